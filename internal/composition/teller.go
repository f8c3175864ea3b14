package composition

import (
	"context"
	"slices"
	"sync"
	"time"
)

// tellAgainAfter is the pause after the event log did not take an event.
const tellAgainAfter = time.Second

// teller brings the events that records hold into the event log, those of one composition in order. An event is
// stored with the state that it tells of, and leaves the record when the log has it: after a crash it may be
// published again, under the same id, and is never lost. Its goroutine is run; due may be called by anyone.
type teller struct {
	manager *Manager
	wake    chan struct{} // holds one: somebody is waiting

	mu      sync.Mutex
	waiting []string // ids of compositions
}

// due says that a record holds events.
func (t *teller) due(id string) {
	t.mu.Lock()
	if !slices.Contains(t.waiting, id) {
		t.waiting = append(t.waiting, id)
	}
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *teller) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting := t.waiting
	t.waiting = nil
	return waiting
}

func (t *teller) run(ctx context.Context) {
	for {
		select {
		case <-t.wake:
		case <-ctx.Done():
			return
		}
		for _, id := range t.take() {
			if err := t.tell(ctx, id); err != nil && ctx.Err() == nil {
				t.manager.Log.Error("cannot publish events of a composition, trying again", "composition", id, "error", err)
				time.AfterFunc(tellAgainAfter, func() { t.due(id) })
			}
		}
	}
}

// tell publishes what a record holds.
func (t *teller) tell(ctx context.Context, id string) error {
	r, err := t.manager.Get(ctx, id)
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for _, e := range r.Untold {
		if err = t.manager.Publish(ctx, r, e); err != nil {
			break
		}
		told[e.ID] = true
	}
	if len(told) == 0 {
		return err
	}
	_, stored := t.manager.records.Update(ctx, id, func(r *Record) error {
		r.Untold = slices.DeleteFunc(r.Untold, func(e Event) bool { return told[e.ID] })
		return nil
	})
	if err != nil {
		return err
	}
	return stored
}
