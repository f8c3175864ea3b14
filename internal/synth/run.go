package synth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// Change is a line of RunPublishers' output.
type Change struct {
	Time   time.Time `json:"time"`
	Index  int       `json:"index"`
	Name   string    `json:"name"`
	State  State     `json:"state"`
	Reason string    `json:"reason,omitzero"`
}

// Order is what RunPublishers takes after the list: new faults for, or the end of, the publishers that have
// this index.
type Order struct {
	Index  int     `json:"index"`
	Faults *Faults `json:"faults,omitzero"`
	Close  bool    `json:"close,omitzero"`
}

// queueTime is for how long one publisher may keep the next from starting.
const queueTime = 2 * time.Second

// RunPublishers reads a JSON array of publishers (see Publisher's tags), runs them until in ends or ctx does,
// and writes a Change as a line of JSON for each change of a state. They come onto the stage in the order of
// the array: one starts when the one before is live, has failed, or has tried for longer than queueTime. After
// the array, in may carry Orders, one JSON object after the other. Secrets come through in only.
//
// A publisher that is refused for good is reported as failed and the others go on. When ctx ends first,
// the caller must still close in to free the goroutine that reads it.
func RunPublishers(ctx context.Context, in io.Reader, out io.Writer) error {
	decoder := json.NewDecoder(in)
	var publishers []*Publisher
	if err := decoder.Decode(&publishers); err != nil {
		return fmt.Errorf("read the list of publishers: %w", err)
	}
	var mu sync.Mutex // keeps lines whole and guards the first error
	var writeErr error
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	encoder := json.NewEncoder(out)
	var started []*Publisher
	var problems error
	for i, p := range publishers {
		if p == nil {
			problems = fmt.Errorf("start publisher %d: it is null", i)
			break
		}
		p.Log = slog.New(slog.DiscardHandler) // the lines say it all
		settled := make(chan struct{}) // live, or never going to be
		settle := sync.OnceFunc(func() { close(settled) })
		p.OnState = func(state State, reason string) {
			if state != Connecting {
				settle()
			}
			mu.Lock()
			defer mu.Unlock()
			if err := encoder.Encode(Change{time.Now().UTC(), p.Index, p.Name, state, reason}); err != nil && writeErr == nil {
				writeErr = fmt.Errorf("report a change of state: %w", err)
				stop() // nobody listens any more
			}
		}
		if problems = p.Start(ctx); problems != nil {
			break
		}
		started = append(started, p)
		select {
		case <-settled:
		case <-time.After(queueTime):
		case <-ctx.Done():
		}
	}
	if problems == nil {
		orders := make(chan error, 1)
		go func() { orders <- obey(decoder, started) }()
		select {
		case problems = <-orders:
		case <-ctx.Done():
		}
	}
	stop()
	for _, p := range started {
		_ = p.Wait() // has been reported as failed
	}
	mu.Lock()
	defer mu.Unlock()
	return errors.Join(problems, writeErr)
}

// obey carries out orders until there are no more.
func obey(decoder *json.Decoder, publishers []*Publisher) error {
	for {
		var order Order
		if err := decoder.Decode(&order); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		for _, p := range publishers {
			if p.Index != order.Index {
				continue
			}
			if order.Faults != nil {
				p.SetFaults(*order.Faults)
			}
			if order.Close {
				p.cancel()
			}
		}
	}
}
