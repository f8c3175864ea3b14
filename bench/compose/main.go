// Command compose measures what a composition costs: the CPU time that our engine, GStreamer's compositor
// and ffmpeg's xstack take for the same decode, mix and encode.
//
//	go run ./bench/compose
//
// makes its inputs (people-sized H.264 and Opus, once, in the user's cache directory), runs the engines in
// turns, checks that all made the same number of pictures at the same bitrate, and writes results.json and
// results.md beside this file. It needs ffmpeg, ffprobe and gst-launch-1.0 with the good, bad, ugly and
// libav plug-ins. What is compared is CPU seconds, of all threads, per second of media; each ratio comes
// from two runs that followed one another, and the median ratio is reported.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/footlight-live/footlight/internal/av"
)

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
	job := Job{Width: 1280, Height: 720, FrameRate: 30, BitRate: 2_500_000, AudioBitRate: 160_000, KeyInterval: 60}
	flag.IntVar(&job.Inputs, "n", 4, "number of `participants`")
	flag.IntVar(&job.InputHeight, "height", 360, "`lines` of each participant's picture: 360 or 720")
	flag.IntVar(&job.Seconds, "seconds", 20, "`seconds` of media")
	flag.StringVar(&job.Preset, "preset", av.DefaultPreset, "x264 `preset` of all engines")
	rounds := flag.Int("rounds", 5, "how many times each engine `runs`")
	out := flag.String("out", "bench/compose", "`directory` for results.json and results.md")
	work := flag.String("work", filepath.Join(cache, "footlight", "bench-compose"), "`directory` for inputs")
	only := flag.String("engine", "", "run one `engine` and print what it took")
	child := flag.Bool("child", false, "be the footlight engine; used by the benchmark itself")
	result := flag.String("result", "", "`prefix` of the child's outputs")
	flag.Parse()

	job.inputs = inputPaths(*work, job)
	if *child {
		return compose(job, *result)
	}
	if err := makeInputs(ctx, job); err != nil {
		return err
	}
	engines, err := engines(job)
	if err != nil {
		return err
	}
	if *only != "" {
		for _, e := range engines {
			if e.Name == *only {
				m, err := measure(ctx, job, e)
				fmt.Printf("%+v\n", m)
				return err
			}
		}
		return fmt.Errorf("no engine %q", *only)
	}
	report := Report{Job: job, Machine: machine()}
	for round := range *rounds {
		var line []string
		for _, e := range engines {
			m, err := measure(ctx, job, e)
			if err != nil {
				return fmt.Errorf("%s: %w", e.Name, err)
			}
			report.add(e, m)
			line = append(line, fmt.Sprintf("%s %.3f", e.Name, m.CPU))
		}
		fmt.Fprintf(os.Stderr, "round %d of %d, CPU s per s: %s\n", round+1, *rounds, strings.Join(line, ", "))
	}
	report.conclude()
	fmt.Print(report.Markdown())
	return report.write(*out)
}
