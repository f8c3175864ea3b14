package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// The parts of the benchmark, each of which can be run alone.
const (
	sizes     = "sizes"     // one to twelve participants, but four: ours, ffmpeg and GStreamer
	engines   = "engines"   // four participants, and a screen: all engines, and how good the pictures are
	simulcast = "simulcast" // publishers with layers
	holding   = "hold"      // how many compositions the machine holds in real time
)

var parts = []string{sizes, engines, simulcast, holding}

// Case is a job and the engines that do it.
type Case struct {
	Part    string   `json:"part"`
	Job     Job      `json:"job"`
	Engines []Result `json:"engines"`
}

// counts are the numbers of participants.
var counts = []int{1, 2, 4, 6, 9, 12}

// plan lists the cases of the parts, with the engines that match the pattern.
func plan(dir string, seconds int, wanted []string, only *regexp.Regexp) []Case {
	var cases []Case
	add := func(part string, j Job, who ...Engine) {
		c := Case{Part: part, Job: j}
		if !slices.Contains(wanted, part) {
			return
		}
		for _, e := range who {
			if only.MatchString(j.key() + "/" + e.Name) {
				c.Engines = append(c.Engines, Result{Name: e.Name, What: e.What, engine: e})
			}
		}
		if len(c.Engines) > 0 {
			cases = append(cases, c)
		}
	}
	for _, height := range []int{360, 720} {
		for _, n := range counts {
			if n == 4 {
				add(engines, newJob(n, height, moving, seconds, dir), footlight, ffmpeg, gstreamer, footlightX264, ffmpegTuned, browser)
			} else {
				add(sizes, newJob(n, height, moving, seconds, dir), footlight, ffmpeg, gstreamer)
			}
		}
	}
	add(engines, newJob(1, 720, screen, seconds, dir), footlight, ffmpeg, gstreamer)
	for _, n := range counts {
		add(simulcast, newJob(n, layer(n), moving, seconds, dir), simulcastEngine)
	}
	return cases
}

func (j Job) key() string {
	if j.Content == screen {
		return screen
	}
	return fmt.Sprintf("%dx%dp", j.Inputs, j.InputHeight)
}

// measure runs everything, round by round. It looks at the pictures of part engines, or of all, in the first.
func (r *Report) measure(ctx context.Context, rounds int, qualities bool) error {
	for round := range rounds {
		for i := range r.Cases {
			c := &r.Cases[i]
			for k := range c.Engines {
				e := &c.Engines[k]
				quality := round == 0 && (c.Part == engines || qualities)
				m, err := measure(ctx, c.Job, e.engine, quality)
				if err != nil {
					return fmt.Errorf("%s of %s: %w", e.Name, c.Job, err)
				}
				e.Runs = append(e.Runs, m)
				fmt.Fprintf(os.Stderr, "round %d of %d, %s, %s: %.3f CPU s per s\n", round+1, rounds, c.Job, e.Name, m.CPU)
			}
		}
	}
	return nil
}
