// Package recording measures what recording costs, and whether it is whole afterwards.
//
//	go test -run '^$' -bench . -benchtime 1x -timeout 30m ./bench/record
//
// Each benchmark writes its figures to results.json and results.md, beside those of the others. Costs are processor seconds
// per second of media, so that a slow machine does not change what they are. A recording that is not whole fails.
package recording

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/footlight-live/footlight/test/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.RemoveBinaries()
	os.Exit(code)
}

// keep writes a benchmark's figures down.
func keep(b *testing.B, figures map[string]float64) {
	b.Helper()
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		b.ReportMetric(figures[name], name)
	}
	b.ReportMetric(0, "ns/op")
	all := map[string]map[string]float64{}
	if old, err := os.ReadFile("results.json"); err == nil {
		if err := json.Unmarshal(old, &all); err != nil {
			b.Fatal(err)
		}
	}
	all[strings.TrimPrefix(b.Name(), "Benchmark")] = figures
	data, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = os.WriteFile("results.json", append(data, '\n'), 0o644)
	}
	if err == nil {
		err = os.WriteFile("results.md", table(all), 0o644)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// table renders all figures.
func table(all map[string]map[string]float64) []byte {
	text := []byte("# Recording\n\n`go test -run '^$' -bench . -benchtime 1x -timeout 30m ./bench/record` writes this file.\n\n| benchmark | figure | value |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, figure := range slices.Sorted(maps.Keys(all[name])) {
			text = fmt.Appendf(text, "| %s | %s | %.4g |\n", name, figure, all[name][figure])
		}
	}
	return text
}

// setting is a duration from the environment.
func setting(b *testing.B, name string, otherwise time.Duration) time.Duration {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		b.Fatalf("%s is %q, not a duration such as 10m", name, text)
	}
	return d
}

// ownCPU is the processor time of this process so far, in seconds.
func ownCPU(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
