package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
)

// report is what results.md and results.json say.
type report struct {
	Costs []result `json:"costs"`
	Tails []tail   `json:"tails"`
}

// result is one line of it.
type result struct {
	What  string  `json:"what"`
	Ours  float64 `json:"ours"`
	Bare  float64 `json:"bare,omitzero"`
	Unit  string  `json:"unit"`
	Ratio float64 `json:"ratio,omitzero"` // of ours to bare, or of what is limited to what it is compared with
	Goal  string  `json:"goal"`
	Met   bool    `json:"met"`
}

// cost adds a line, and shows it.
func (r *report) cost(c result) {
	log.Printf("%-60s %10.1f %-8s bare %10.1f  ratio %6.2f  goal %s  %v", c.What, c.Ours, c.Unit, c.Bare, c.Ratio, c.Goal, c.Met)
	r.Costs = append(r.Costs, c)
}

// tails adds the tails of an operation and of the bare parts beside it, and shows them.
func (r *report) tails(list []tail) {
	for _, t := range list {
		log.Printf("%-60s %10.0f 1/s      p50 %8.3f ms  p99 %8.3f ms  ratio %6.1f  others had %.2f processors", t.What, t.PerSecond, t.P50, t.P99, t.Ratio, t.Others)
	}
	r.Tails = append(r.Tails, list...)
}

// write puts the report beside this program's source.
func (r *report) write(o options) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# What the API costs\n\n`go run ./bench/api`, with %d channels and %d stages.\n\n", o.Channels, o.Stages)
	b.WriteString("| measure | Footlight | bare | ratio | goal | met |\n|---|---|---|---|---|---|\n")
	for _, c := range r.Costs {
		bare, ratio, met := "", "", "no"
		if c.Bare != 0 {
			bare = fmt.Sprintf("%.5g %s", c.Bare, c.Unit)
		}
		if c.Ratio != 0 {
			ratio = fmt.Sprintf("%.2f", c.Ratio)
		}
		if c.Met {
			met = "yes"
		}
		fmt.Fprintf(&b, "| %s | %.5g %s | %s | %s | %s | %s |\n", c.What, c.Ours, c.Unit, bare, ratio, c.Goal, met)
	}
	fmt.Fprintf(&b, "\nEach at half of its own load: medians of the quieter half of %d rounds of a second. The goal for the operations is a p99\nof at most ten times the median.\n\n", o.Tails)
	b.WriteString("| at half load | a second | median | p99 | p99 to the median | processors that others had |\n|---|---|---|---|---|---|\n")
	for _, t := range r.Tails {
		fmt.Fprintf(&b, "| %s | %.0f | %.3f ms | %.3f ms | %.1f | %.2f |\n", t.What, t.PerSecond, t.P50, t.P99, t.Ratio, t.Others)
	}
	for name, content := range map[string][]byte{"results.json": append(data, '\n'), "results.md": []byte(b.String())} {
		if err := os.WriteFile(filepath.Join("bench", "api", name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
