// Command compose measures what a composition costs: the CPU time that our engine, ffmpeg's xstack, GStreamer's
// compositor and a filmed browser take for the same participants, and how good the pictures are.
//
//	go run ./bench/compose                        everything, about 15 minutes on two cores
//	go run ./bench/compose -rounds 1 -only '^4x360p/'   a part of it, printed only
//	go run ./bench/compose -hold                  only: how many compositions this machine holds in real time
//	go run ./bench/compose -encoders              only: the table of encoders, encoders.md
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
	seconds := flag.Int("seconds", 6, "`seconds` of media of a run")
	only := flag.String("only", "", "`pattern` of cases and engines, such as ^4x360p/footlight; the results are printed, not written")
	inputs := flag.String("inputs", filepath.Join(cache, "footlight", "bench-compose"), "`directory` for inputs")
	out := flag.String("out", ".", "`directory` of the repository")
	onlyHold := flag.Bool("hold", false, "only search how many compositions of 4 × 360p this machine holds in real time")
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
	held := newJob(4, 360, moving, 12, *inputs)
	switch {
	case *onlyHold:
		if err := makeInputs(ctx, []Job{held}); err != nil {
			return err
		}
		steps, err := search(ctx, held)
		fmt.Print((&Report{Hold: steps}).holding())
		return err
	case *onlyEncoders:
		return compareEncoders(ctx, *inputs, *rounds, filepath.Join(*out, "bench", "compose", "encoders.md"))
	}
	cases := plan(*inputs, *seconds, pattern)
	jobs := []Job{held}
	for _, c := range cases {
		jobs = append(jobs, c.Job)
	}
	if err := makeInputs(ctx, jobs); err != nil {
		return err
	}
	report := Report{Machine: machine(), Rounds: *rounds, Seconds: *seconds, Cases: cases}
	if err := report.measure(ctx); err != nil {
		return err
	}
	if *only == "" {
		if report.Hold, err = search(ctx, held); err != nil {
			return err
		}
	}
	report.conclude()
	fmt.Print(report.Markdown())
	if *only != "" {
		return nil
	}
	return report.write(*out)
}
