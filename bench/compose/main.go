// Command compose measures what a composition costs: the CPU time that our engine, ffmpeg's xstack, GStreamer's
// compositor and a filmed browser take for the same participants, and how good the pictures are.
//
//	go run ./bench/compose                                everything, about 20 minutes on two idle cores
//	go run ./bench/compose -parts sizes                   one part; the results of the others stay (sizes, engines, simulcast, hold)
//	go run ./bench/compose -rounds 1 -only '^4x360p/'     some cases and engines, printed only
//	go run ./bench/compose -encoders                      only: the table of encoders, encoders.md
//
// It makes its inputs (people-sized H.264 and Opus, once, in the user's cache directory), runs the engines in
// turns, checks that all made the same number of pictures at the same bitrate, and writes results.json and
// results.md beside this file and docs/images/bench-compose.svg. It needs the packages of scripts/setup.sh bench.
// What is compared is CPU seconds, of all threads, per second of media; each ratio comes from two runs that
// followed one another, and the median ratio is reported.
package main

import (
	"context"
	"embed"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/footlight-live/footlight/internal/av"
)

//go:embed inputs.go engine.go
var sources embed.FS

// composer is what a composer encodes 720p30 with; see encodingFor in internal/composer.
var composer = struct{ encoder, preset string }{av.OpenH264, "medium"}

func main() {
	log.SetFlags(0)
	log.SetPrefix("compose: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	rounds := flag.Int("rounds", 5, "how many times each engine `runs`")
	seconds := flag.Int("seconds", 5, "`seconds` of media of a run")
	partsFlag := flag.String("parts", strings.Join(parts, ","), "`parts` to measure; the results of the others stay as they are")
	only := flag.String("only", "", "`pattern` of cases and engines, such as ^4x360p/footlight; the results are printed, not written")
	inputs := flag.String("inputs", filepath.Join(cache, "footlight", "bench-compose"), "`directory` for inputs")
	out := flag.String("out", ".", "`directory` of the repository")
	qualities := flag.Bool("quality", false, "also tell how good the pictures of all cases are, which takes many times as long")
	onlyEncoders := flag.Bool("encoders", false, "only compare encoders, and write encoders.md")
	task := flag.String("task", "", "be our engine and do this `task`; used by the benchmark itself")
	flag.Parse()
	if *task != "" {
		runtime.LockOSThread()
		var t Task
		if err := json.Unmarshal([]byte(*task), &t); err != nil {
			return fmt.Errorf("read the task: %w", err)
		}
		return compose(t)
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	if *onlyEncoders {
		return compareEncoders(ctx, *inputs, *rounds, filepath.Join(*out, "bench", "compose", "encoders.md"))
	}
	wanted := strings.Split(*partsFlag, ",")
	for _, p := range wanted {
		if !slices.Contains(parts, p) {
			return fmt.Errorf("there is no part %q of %v", p, parts)
		}
	}
	report := Report{Machine: machine(), Cases: plan(*inputs, *seconds, wanted, pattern)}
	held := newJob(4, 360, moving, 12, *inputs)
	jobs := []Job{held}
	for _, c := range report.Cases {
		jobs = append(jobs, c.Job)
	}
	if err := makeInputs(ctx, jobs); err != nil {
		return err
	}
	if err := report.measure(ctx, *rounds, *qualities); err != nil {
		return err
	}
	if *only == "" && slices.Contains(wanted, holding) {
		if report.Hold, err = search(ctx, held); err != nil {
			return err
		}
	}
	if *only == "" {
		earlier, err := read(*out)
		if err != nil {
			return err
		}
		report = earlier.with(report)
	}
	report.conclude()
	fmt.Print(report.Markdown())
	if *only != "" {
		return nil
	}
	return report.write(*out)
}
