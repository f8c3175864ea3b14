package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// goal is how much of GStreamer's CPU time we want to take at most.
const goal = 0.65

// Report is everything measured.
type Report struct {
	Job     Job      `json:"job"`
	Machine string   `json:"machine"`
	Engines []Result `json:"engines"`
}

// Result sums up one engine.
type Result struct {
	Name   string        `json:"name"`
	What   string        `json:"what"`
	Runs   []Measurement `json:"runs"`
	CPU    float64       `json:"cpu"`    // median
	Wall   float64       `json:"wall"`   // median
	Memory float64       `json:"memory"` // median
	Ratio  Ratio         `json:"ratio"`  // our CPU time to this engine's, of runs of the same round
}

// Ratio is a median with its range.
type Ratio struct{ Median, Min, Max float64 }

func (r *Report) add(e Engine, m Measurement) {
	i := slices.IndexFunc(r.Engines, func(x Result) bool { return x.Name == e.Name })
	if i < 0 {
		i = len(r.Engines)
		r.Engines = append(r.Engines, Result{Name: e.Name, What: e.What})
	}
	r.Engines[i].Runs = append(r.Engines[i].Runs, m)
}

// conclude computes the medians and the ratios to the first engine.
func (r *Report) conclude() {
	for i := range r.Engines {
		e := &r.Engines[i]
		var cpu, wall, memory, ratio []float64
		for n, m := range e.Runs {
			cpu, wall, memory = append(cpu, m.CPU), append(wall, m.Wall), append(memory, m.Memory)
			ratio = append(ratio, r.Engines[0].Runs[n].CPU/m.CPU)
		}
		e.CPU, e.Wall, e.Memory = median(cpu), median(wall), median(memory)
		e.Ratio = Ratio{median(ratio), slices.Min(ratio), slices.Max(ratio)}
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// Markdown is the report as a page.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What a composition costs\n\n%s, %d s, %d rounds on %s. Made by `go run ./bench/compose`.\n\n",
		r.Job, r.Job.Seconds, len(r.Engines[0].Runs), r.Machine)
	b.WriteString("| engine | CPU s per s | footlight's share of it: median [range] | wall s per s | memory MiB |\n|---|---|---|---|---|\n")
	for i, e := range r.Engines {
		share := fmt.Sprintf("%.2f [%.2f–%.2f]", e.Ratio.Median, e.Ratio.Min, e.Ratio.Max)
		if i == 0 {
			share = "–"
		}
		fmt.Fprintf(&b, "| %s: %s | %.3f | %s | %.2f | %.0f |\n", e.Name, e.What, e.CPU, share, e.Wall, e.Memory)
	}
	for _, e := range r.Engines {
		if e.Name == "gstreamer" {
			fmt.Fprintf(&b, "\nGoal: at most %.2f of GStreamer's CPU time; reached: %v.\n", goal, e.Ratio.Median <= goal)
		}
	}
	b.WriteString("\nNo engine waits for a clock, so wall time shows how many threads each one uses. " +
		"The work is not alike in two points: footlight crops pictures by up to 1/64 of a side where that saves the " +
		"scaling, and searches motion in a diamond where x264's preset has a hexagon, for the same PSNR to 0.01 dB.\n")
	return b.String()
}

func (r *Report) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "results.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "results.md"), []byte(r.Markdown()), 0o644)
}
