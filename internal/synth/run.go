package synth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
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

// Order is what RunPublishers takes after the list. It goes to all publishers that have this index, but for Join.
type Order struct {
	Index  int        `json:"index"`
	Join   *Publisher `json:"join,omitzero"`   // another publisher, which starts now; its own index counts
	Faults *Faults    `json:"faults,omitzero"` // these from now on, in place of those before
	Mute   *Muted     `json:"mute,omitzero"`   // this from now on
	Close  bool       `json:"close,omitzero"`  // leave
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
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	t := &troupe{stop: stop, encoder: json.NewEncoder(out)}
	ended := make(chan error, 1)
	go func() {
		ended <- t.play(ctx, publishers, decoder)
	}()
	var problem error
	select {
	case problem = <-ended:
	case <-ctx.Done():
	}
	stop()
	return errors.Join(problem, t.wait())
}

// troupe is the publishers of one run. The goroutine that executes play starts them; they report on their own.
type troupe struct {
	stop func()

	mu       sync.Mutex // keeps lines whole and guards the rest
	encoder  *json.Encoder
	writeErr error
	started  []*Publisher
	over     bool // nobody starts any more
}

// play starts the publishers and then carries out orders until there are no more.
func (t *troupe) play(ctx context.Context, publishers []*Publisher, orders *json.Decoder) error {
	for i, p := range publishers {
		if p == nil {
			return fmt.Errorf("start publisher %d: it is null", i)
		}
		settled, err := t.start(ctx, p)
		if err != nil {
			return err
		}
		select {
		case <-settled:
		case <-time.After(queueTime):
		case <-ctx.Done():
			return nil
		}
	}
	for {
		var order Order
		if err := orders.Decode(&order); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		if err := t.obey(ctx, order); err != nil {
			return err
		}
	}
}

func (t *troupe) obey(ctx context.Context, order Order) error {
	if order.Join != nil {
		_, err := t.start(ctx, order.Join)
		return err
	}
	t.mu.Lock()
	publishers := slices.Clone(t.started)
	t.mu.Unlock()
	for _, p := range publishers {
		if p.Index != order.Index {
			continue
		}
		if order.Faults != nil {
			p.SetFaults(*order.Faults)
		}
		if order.Mute != nil {
			p.SetMuted(*order.Mute)
		}
		if order.Close {
			p.cancel()
		}
	}
	return nil
}

// start starts a publisher. settled is closed when it is live, or never going to be.
func (t *troupe) start(ctx context.Context, p *Publisher) (settled <-chan struct{}, err error) {
	done := make(chan struct{})
	settle := sync.OnceFunc(func() { close(done) })
	p.Log = slog.New(slog.DiscardHandler) // the lines say it all
	p.OnState = func(state State, reason string) {
		if state != Connecting {
			settle()
		}
		t.report(Change{time.Now().UTC(), p.Index, p.Name, state, reason})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		settle()
		return done, nil
	}
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	t.started = append(t.started, p)
	return done, nil
}

func (t *troupe) report(c Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.encoder.Encode(c); err != nil && t.writeErr == nil {
		t.writeErr = fmt.Errorf("report a change of state: %w", err)
		t.stop() // nobody listens any more
	}
}

// wait returns when all publishers have ended, with the error of writing.
func (t *troupe) wait() error {
	t.mu.Lock()
	t.over = true
	started := t.started
	t.mu.Unlock()
	for _, p := range started {
		_ = p.Wait() // has been reported as failed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.writeErr
}
