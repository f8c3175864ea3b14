package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// report is as a full run makes it, with made up figures.
func report() *Report {
	r := &Report{Machine: "made up", Hold: []Hold{{Compositions: 1, Ticks: 30, Held: true}, {Compositions: 2, Ticks: 60, Late: 9}}}
	r.Cases = plan("inputs", 1, parts, regexp.MustCompile(""))
	for i := range r.Cases {
		c := &r.Cases[i]
		for k := range c.Engines {
			cost := 0.1 * float64(k+1) * float64(c.Job.Inputs)
			c.Engines[k].Runs = []Measurement{{CPU: cost, Engine: cost, Floor: cost / 1.1, SSIM: 0.98, Pictures: 30}, {CPU: 1.1 * cost, Pictures: 30}}
		}
	}
	r.conclude()
	return r
}

func TestReport(t *testing.T) {
	text := report().Markdown()
	for _, want := range []string{"| 12 × 720p |", "| a screen at 720p |", "to the ideal", "At the same encoder", "| 12 | 180p |", "late, that is not ready one tick after their time: 1 (goal 4)"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "NaN") {
		t.Errorf("a figure is missing in\n%s", text)
	}
}

// A part measured anew takes the place of its old results; the others stay, in the order of the plan.
func TestReportOfPart(t *testing.T) {
	earlier, newer := report(), Report{Machine: "newer", Cases: plan("inputs", 1, []string{simulcast}, regexp.MustCompile(""))}
	for i := range newer.Cases {
		newer.Cases[i].Engines[0].Runs = []Measurement{{CPU: 7}}
	}
	got := earlier.with(newer)
	if len(got.Cases) != len(earlier.Cases) || len(got.Hold) != len(earlier.Hold) {
		t.Fatalf("%d cases and %d steps, want %d and %d", len(got.Cases), len(got.Hold), len(earlier.Cases), len(earlier.Hold))
	}
	for i, c := range got.Cases {
		if was := earlier.Cases[i]; c.Part != was.Part || c.Job.key() != was.Job.key() || (c.Engines[0].Runs[0].CPU == 7) != (c.Part == simulcast) {
			t.Errorf("case %d is %s %s with %v, was %s %s", i, c.Part, c.Job, c.Engines[0].Runs, was.Part, was.Job)
		}
	}
}

func TestPlotIsSVG(t *testing.T) {
	svg := report().plot()
	if path := os.Getenv("PLOT"); path != "" {
		if err := os.WriteFile(path, []byte(svg), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
	}
}

// The layers are those of the stage's rule: the smallest of at least 7/8 of the tile.
func TestLayer(t *testing.T) {
	for n, want := range map[int]int{1: 720, 2: 360, 4: 360, 6: 360, 9: 360, 12: 180} {
		if got := layer(n); got != want {
			t.Errorf("%d participants: %d, want %d", n, got, want)
		}
	}
}
