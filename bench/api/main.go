// Command api measures what the API costs beside the bare parts that it is made of, in one run on one machine:
//
//	go run ./bench/api
//
// Reads are compared with a bare Go HTTP handler that verifies the same signature and writes the same bytes, writes with
// bare synced JetStream puts of the same records, participant tokens with bare ES384 signing. It writes results.md and
// results.json beside this file, and needs bin/footlight (make build).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"
)

// options are the command line's.
type options struct {
	Channels, Stages int
	Round            time.Duration // of one measurement
	Rounds           int           // of each kind, ours and bare in turns
	Only             string        // part to run, all when empty; then nothing is written
}

// result is one line of the report.
type result struct {
	What  string  `json:"what"`
	Ours  float64 `json:"ours"`
	Bare  float64 `json:"bare,omitzero"`
	Unit  string  `json:"unit"`
	Ratio float64 `json:"ratio,omitzero"` // of ours to bare, or of what is limited to what it is compared with
	Goal  string  `json:"goal"`
	Met   bool    `json:"met"`
}

func main() {
	log.SetFlags(0)
	var o options
	flag.IntVar(&o.Channels, "channels", 10_000, "channels in the store")
	flag.IntVar(&o.Stages, "stages", 1_000, "stages in the store")
	flag.DurationVar(&o.Round, "round", 2*time.Second, "length of one measurement")
	flag.IntVar(&o.Rounds, "rounds", 3, "measurements of each kind")
	flag.StringVar(&o.Only, "only", "", "run one part and write nothing: reads or writes")
	load := flag.Bool("pace", false, "send the load that standard input describes: this program starts itself so")
	profile := flag.String("cpuprofile", "", "write a profile of this program to this file")
	flag.Parse()
	if *load {
		if err := runPlan(os.Stdin, os.Stdout); err != nil {
			log.Fatal("bench/api: ", err)
		}
		return
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			log.Fatal("bench/api: ", err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			log.Fatal("bench/api: ", err)
		}
		defer pprof.StopCPUProfile()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	results, err := run(ctx, o)
	if err == nil && o.Only == "" {
		err = write(o, results)
	}
	if err != nil {
		log.Fatal("bench/api: ", err)
	}
}

func run(ctx context.Context, o options) ([]result, error) {
	memory, err := os.MkdirTemp(memoryFolder(), "footlight-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(memory)
	disk, err := os.MkdirTemp("", "footlight-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(disk)

	var results []result
	for _, part := range []struct {
		name string
		run  func() ([]result, error)
	}{
		{"reads", func() ([]result, error) { return reads(ctx, o, filepath.Join(memory, "full")) }},
		{"writes", func() ([]result, error) { return writes(ctx, o, disk) }},
		{"process", func() ([]result, error) {
			return process(ctx, filepath.Join(memory, "full"), filepath.Join(memory, "empty"))
		}},
	} {
		if o.Only != "" && o.Only != part.name {
			continue
		}
		more, err := part.run()
		if err != nil {
			return nil, err
		}
		for _, r := range more {
			log.Printf("%-60s %10.1f %-8s bare %10.1f  ratio %6.2f  goal %s  %v", r.What, r.Ours, r.Unit, r.Bare, r.Ratio, r.Goal, r.Met)
		}
		results = append(results, more...)
	}
	return results, nil
}

// memoryFolder is where files need no disk, so that reads are not measured beside the seeding's syncs; "" is the usual
// place for temporary files.
func memoryFolder() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return ""
}

// write puts the report beside this program's source.
func write(o options, results []result) error {
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# What the API costs\n\n`go run ./bench/api`, with %d channels and %d stages.\n\n", o.Channels, o.Stages)
	b.WriteString("| measure | Footlight | bare | ratio | goal | met |\n|---|---|---|---|---|---|\n")
	for _, r := range results {
		bare, ratio, met := "", "", "no"
		if r.Bare != 0 {
			bare = fmt.Sprintf("%.5g %s", r.Bare, r.Unit)
		}
		if r.Ratio != 0 {
			ratio = fmt.Sprintf("%.2f", r.Ratio)
		}
		if r.Met {
			met = "yes"
		}
		fmt.Fprintf(&b, "| %s | %.5g %s | %s | %s | %s | %s |\n", r.What, r.Ours, r.Unit, bare, ratio, r.Goal, met)
	}
	for name, content := range map[string][]byte{"results.json": append(data, '\n'), "results.md": []byte(b.String())} {
		if err := os.WriteFile(filepath.Join("bench", "api", name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
