package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// tailRound is the length of one measurement of a tail.
const tailRound = time.Second

// tail says how long answers took at half of what a target can do: the medians of the quieter half of the rounds.
type tail struct {
	What      string  `json:"what"`
	PerSecond float64 `json:"perSecond"` // half of what it can do
	P50       float64 `json:"p50"`       // ms
	P99       float64 `json:"p99"`       // ms
	Ratio     float64 `json:"ratio"`     // of p99 to p50
	Others    float64 `json:"others"`    // processors that others had meanwhile
}

// round is one measurement.
type round struct {
	p50, p99 float64 // ms
	others   time.Duration
}

// tails measures targets in turns. Each gets half of its own load: at a rate that is easy for one and hard for another,
// there would be nothing to compare. What others do with the processors meanwhile is nobody's tail here, so that
// the half of the rounds in which they had the most does not count.
func tails(ctx context.Context, o options, targets ...target) ([]tail, error) {
	out := make([]tail, len(targets))
	rounds := make([][]round, len(targets))
	for i, t := range targets {
		out[i].What = t.what
		var rates []float64
		for range o.Rounds {
			took, err := pace(ctx, plan{t.address, t.wire, connections, 0, tailRound})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.what, err)
			}
			rates = append(rates, float64(len(took))/tailRound.Seconds())
		}
		out[i].PerSecond = median(rates) / 2
	}
	for range o.Tails {
		for i, t := range targets {
			r, err := atRate(ctx, t, out[i].PerSecond)
			if err != nil {
				return nil, fmt.Errorf("%s at half load: %w", t.what, err)
			}
			rounds[i] = append(rounds[i], r)
		}
	}
	for i := range out {
		out[i].sum(rounds[i])
	}
	return out, nil
}

// atRate measures one round.
func atRate(ctx context.Context, t target, perSecond float64) (round, error) {
	before, err := others()
	if err != nil {
		return round{}, err
	}
	took, err := pace(ctx, plan{t.address, t.wire, connections, perSecond, tailRound})
	if err != nil {
		return round{}, err
	}
	after, err := others()
	if err != nil {
		return round{}, err
	}
	if len(took) == 0 {
		return round{}, errors.New("no request was due")
	}
	slices.Sort(took)
	return round{ms(took[len(took)/2]), ms(took[len(took)*99/100]), after - before}, nil
}

// sum fills in what the rounds say.
func (t *tail) sum(rounds []round) {
	slices.SortFunc(rounds, func(a, b round) int { return cmp.Compare(a.others, b.others) })
	var p50, p99, others []float64
	for _, r := range rounds[:(len(rounds)+1)/2] {
		p50, p99, others = append(p50, r.p50), append(p99, r.p99), append(others, r.others.Seconds()/tailRound.Seconds())
	}
	t.P50, t.P99, t.Others = median(p50), median(p99), max(0, median(others))
	t.Ratio = t.P99 / t.P50
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// others is the processor time that neither this process nor those that it started had, nor nobody: that of other
// programs and, where the system can tell, of other systems on the same host. Linux counts it in ticks, so that a
// difference may be below zero.
func others() (time.Duration, error) {
	data, err := os.ReadFile("/proc/stat") // proc_stat(5)
	if err != nil {
		return 0, err
	}
	var user, nice, system, idle, iowait, irq, softirq, steal int
	first, _, _ := strings.Cut(string(data), "\n")
	if _, err := fmt.Sscanf(first, "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); err != nil {
		return 0, fmt.Errorf("/proc/stat: %w", err)
	}
	const tick = time.Second / 100 // USER_HZ
	return time.Duration(user+nice+system+irq+softirq+steal)*tick - processorTime(syscall.RUSAGE_SELF) - processorTime(syscall.RUSAGE_CHILDREN), nil
}
