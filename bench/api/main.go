// Command api measures what the API costs beside the bare parts that it is made of, in one run on one machine:
//
//	go run ./bench/api
//
// Reads are compared with a bare Go HTTP handler that verifies the same signature and writes the same bytes, writes with
// bare synced JetStream puts of the same records, participant tokens with bare ES384 signing; and how long the slowest
// hundredth of the answers takes at half load, of either. It writes results.md and results.json beside this file, and
// needs bin/footlight (make build).
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"time"
)

// options are the command line's.
type options struct {
	Channels, Stages int
	Round            time.Duration // of one measurement
	Rounds           int           // of each kind, ours and bare in turns
	Tails            int           // rounds of a second for each tail; the quieter half counts
	Only             string        // part to run, all when empty; then nothing is written
}

func main() {
	log.SetFlags(0)
	var o options
	flag.IntVar(&o.Channels, "channels", 10_000, "channels in the store")
	flag.IntVar(&o.Stages, "stages", 1_000, "stages in the store")
	flag.DurationVar(&o.Round, "round", 2*time.Second, "length of one measurement")
	flag.IntVar(&o.Rounds, "rounds", 3, "measurements of each kind")
	flag.IntVar(&o.Tails, "tails", 30, "rounds of a second for each tail; the quieter half counts")
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
	out, err := run(ctx, o)
	if err == nil && o.Only == "" {
		err = out.write(o)
	}
	if err != nil {
		log.Fatal("bench/api: ", err)
	}
}

func run(ctx context.Context, o options) (*report, error) {
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

	out := new(report)
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"reads", func() error { return reads(ctx, o, filepath.Join(memory, "full"), out) }},
		{"writes", func() error { return writes(ctx, o, disk, out) }},
		{"process", func() error {
			return process(ctx, filepath.Join(memory, "full"), filepath.Join(memory, "empty"), out)
		}},
	} {
		if o.Only != "" && o.Only != part.name {
			continue
		}
		if err := part.run(); err != nil {
			return nil, err
		}
	}
	return out, nil
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
