package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
)

// Case is a job and the engines that do it.
type Case struct {
	Job     Job      `json:"job"`
	Engines []Result `json:"engines"`
}

// counts are the numbers of participants.
var counts = []int{1, 2, 4, 6, 9, 12}

// plan lists the cases and engines that match the pattern.
func plan(dir string, seconds int, only *regexp.Regexp) []Case {
	var cases []Case
	add := func(j Job, engines ...Engine) {
		c := Case{Job: j}
		for _, e := range engines {
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
			engines := []Engine{footlight, ffmpeg, gstreamer}
			if n == 4 {
				engines = append(engines, footlightX264, ffmpegTuned, browser)
			}
			add(newJob(n, height, moving, seconds, dir), engines...)
		}
	}
	add(newJob(1, 720, screen, seconds, dir), footlight, ffmpeg, gstreamer)
	for _, n := range counts {
		add(newJob(n, layer(n), moving, seconds, dir), simulcastEngine)
	}
	return cases
}

func (j Job) key() string {
	if j.Content == screen {
		return screen
	}
	return fmt.Sprintf("%dx%dp", j.Inputs, j.InputHeight)
}

// measure runs everything, round by round.
func (r *Report) measure(ctx context.Context) error {
	for round := range r.Rounds {
		for i := range r.Cases {
			c := &r.Cases[i]
			for k := range c.Engines {
				e := &c.Engines[k]
				quality := round == 0 && (c.Job.Inputs == 4 || c.Job.Content == screen) && e.Name != simulcastEngine.Name
				m, err := measure(ctx, c.Job, e.engine, quality)
				if err != nil {
					return fmt.Errorf("%s of %s: %w", e.Name, c.Job, err)
				}
				e.Runs = append(e.Runs, m)
				fmt.Fprintf(os.Stderr, "round %d of %d, %s, %s: %.3f CPU s per s\n", round+1, r.Rounds, c.Job, e.Name, m.CPU)
			}
		}
	}
	return nil
}
