package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// lateGoal is the share of late ticks that a machine which holds its compositions stays under.
const lateGoal = 0.005

// stagger is within what time compositions start, each at random: neither their ticks nor their key frames fall
// together, as they do not in use. Only what comes when all have started counts.
const stagger = 2 * time.Second

// Hold is one step of the search for how many compositions a machine holds in real time.
type Hold struct {
	Compositions int     `json:"compositions"`
	Ticks        int     `json:"ticks"`
	Late         int     `json:"late"` // pictures not ready one tick after their time
	Steal        float64 `json:"steal"`
	Held         bool    `json:"held"`
}

// search runs one, two, three and more compositions at once, each in its process and paced by the clock, until they
// are too many. A step that fails is repeated once, since hosts have bad moments.
func search(ctx context.Context, j Job) ([]Hold, error) {
	var steps []Hold
	for k := 1; ; k++ {
		step, err := hold(ctx, j, k)
		if err == nil && !step.Held {
			steps = append(steps, step)
			step, err = hold(ctx, j, k)
		}
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
		fmt.Fprintf(os.Stderr, "%d compositions: %d of %d ticks late\n", k, step.Late, step.Ticks)
		if !step.Held {
			return steps, nil
		}
	}
}

func hold(ctx context.Context, j Job, k int) (Hold, error) {
	dir, err := os.MkdirTemp("", "compose-")
	if err != nil {
		return Hold{}, err
	}
	defer os.RemoveAll(dir)
	type result struct {
		stages Stages
		err    error
	}
	results := make(chan result)
	stolen := steal()
	for i := range k {
		task := Task{Job: j, Files: j.Files, Encoder: composer.encoder, Preset: composer.preset,
			Prefix: filepath.Join(dir, fmt.Sprint(i)), Paced: true,
			Wait: rand.N(stagger)}
		go func() {
			args := task.command()
			out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
			var r result
			if r.err = err; err == nil {
				r.err = json.Unmarshal(out, &r.stages)
			}
			results <- r
		}()
	}
	h := Hold{Compositions: k}
	for range k {
		r := <-results
		if r.err != nil {
			err = r.err
		}
		h.Ticks += r.stages.Ticks
		h.Late += r.stages.Late
	}
	h.Steal = steal() - stolen
	h.Held = float64(h.Late) < lateGoal*float64(h.Ticks)
	return h, err
}
