// Command ladder measures what the ladder of a channel of type ADVANCED_HD costs, beside ffmpeg doing the same with x264:
// decode once, scale, encode every size at the same bit rates. It needs the packages of scripts/setup.sh bench.
//
//	make build && go run ./bench/ladder                    about five minutes on an idle machine; writes results.md
//	go run ./bench/ladder -rounds 1 -only 720p30           one case, printed only
//
// Our process gets the next access unit when it has answered the one before, so it never leaves a picture out, and the
// time to the answer is the delay that it adds. Both take one thread to decode, and one for each encoder. What is
// compared is CPU seconds per second of media, of runs that followed one another; the median ratio is reported.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/transcode/ladder"
)

// tests are the publishers.
var tests = []film{
	{"720p30", 1280, 720, 30, 4000},
	{"1080p30", 1920, 1080, 30, 6000},
	{"720p60", 1280, 720, 60, 6000},
}

// presets of ffmpeg's x264: as a live ladder is run, and with the look-ahead that costs half a second of delay.
var presets = [][]string{
	{"-preset", "veryfast", "-tune", "zerolatency"},
	{"-preset", "veryfast"},
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("ladder: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	rounds := flag.Int("rounds", 3, "how many times each `runs`")
	seconds := flag.Int("seconds", 12, "`seconds` of media of a run")
	only := flag.String("only", "", "measure one `case`; the results are printed, not written")
	program := flag.String("composer", "bin/footlight-composer", "`path` of footlight-composer")
	flag.Parse()
	text, err := run(ctx, *rounds, *seconds, *only, *program)
	if err == nil && *only == "" {
		err = os.WriteFile(filepath.Join("bench", "ladder", "results.md"), []byte(text), 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(text)
}

func run(ctx context.Context, rounds, seconds int, only, program string) (string, error) {
	dir, err := os.MkdirTemp("", "ladder-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	var b strings.Builder
	fmt.Fprintf(&b, "# The ladder\n\nMade by `go run ./bench/ladder`: %d s of moving pictures, median of %d rounds. CPU is in cores. The delay is from an "+
		"access unit to its picture in all sizes. SSIM is of luma, against the publisher's picture scaled by Lanczos.\n", seconds, rounds)
	for _, f := range tests {
		if only != "" && only != f.name {
			continue
		}
		path := filepath.Join(dir, f.name+".ts")
		if err := f.make(ctx, path, seconds); err != nil {
			return "", err
		}
		if err := compare(ctx, &b, f, dir, path, rounds, program); err != nil {
			return "", fmt.Errorf("%s: %w", f.name, err)
		}
		os.Remove(path)
	}
	return b.String(), nil
}

// compare runs all on one film, in turns.
func compare(ctx context.Context, b *strings.Builder, f film, dir, path string, rounds int, program string) error {
	units, err := read(path)
	if err != nil {
		return err
	}
	rungs := ladder.Rungs(ladder.AdvancedHD, ladder.HigherBandwidth, ladder.Source{Width: f.width, Height: f.height, FrameRate: float64(f.rate)})
	media := float64(len(units)) / float64(f.rate)
	var ours result
	theirs := make([]result, len(presets))
	ratios := make([][]float64, len(presets))
	for range rounds {
		next, err := runOurs(ctx, program, units, dir, len(rungs))
		if err != nil {
			return err
		}
		ours.add(next)
		for i, preset := range presets {
			r, err := runFFmpeg(ctx, path, dir, rungs, f.rate, preset)
			if err != nil {
				return err
			}
			theirs[i].add(r)
			ratios[i] = append(ratios[i], next.cpu[0]/r.cpu[0])
		}
	}
	fmt.Fprintf(b, "\n## %s\n\n| | CPU | ours to this |%s\n|---|---|---|%s\n", f.name, heads(rungs), strings.Repeat("---|", len(rungs)))
	if err := row(ctx, b, "footlight-composer ladder", media, ours, nil, path, f, rungs); err != nil {
		return err
	}
	for i, preset := range presets {
		if err := row(ctx, b, "ffmpeg "+strings.Join(preset, " "), media, theirs[i], ratios[i], path, f, rungs); err != nil {
			return err
		}
	}
	fmt.Fprintf(b, "\nDelay of ours: median %v, 99th percentile %v.\n", quantile(ours.delays, 0.5).Round(100*time.Microsecond), quantile(ours.delays, 0.99).Round(100*time.Microsecond))
	return nil
}

func heads(rungs []ladder.Rung) (s string) {
	for _, r := range rungs {
		s += fmt.Sprintf(" %dx%d@%g, %d kb/s |", r.Width, r.Height, r.FrameRate, r.BitRate/1000)
	}
	return s
}

// row tells of one contender: what it takes, and how good and how large each size is.
func row(ctx context.Context, b *strings.Builder, name string, media float64, r result, ratios []float64, path string, f film, rungs []ladder.Rung) error {
	ratio := ""
	if ratios != nil {
		slices.Sort(ratios)
		ratio = fmt.Sprintf("%.2f", ratios[len(ratios)/2])
	}
	slices.Sort(r.cpu)
	fmt.Fprintf(b, "| %s | %.2f | %s |", name, r.cpu[len(r.cpu)/2]/media, ratio)
	for i, rung := range rungs {
		info, err := os.Stat(r.files[i])
		if err != nil {
			return err
		}
		ssim, err := ssim(ctx, path, r.files[i], f, rung, ratios == nil)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, " %.4f, %.0f kb/s |", ssim, float64(info.Size())*8/1000/media)
	}
	fmt.Fprintln(b)
	return nil
}

func quantile(d []time.Duration, q float64) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[int(float64(len(d)-1)*q)]
}
