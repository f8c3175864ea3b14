package composition

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/store"
)

// saveTimeout bounds one write of a record.
const saveTimeout = 5 * time.Second

// books are the records as the goroutine of a composition writes them.
type books interface {
	// write stores a record together with events that nobody has been told of yet.
	write(Record, []Event) error
	// remove forgets a record.
	remove(ctx context.Context, id string) error
}

// ledger are the books in the store.
type ledger struct {
	records *store.Bucket[Record]
	teller  *teller
}

// write leaves the tags, which callers change by themselves, and the events that still wait.
func (b *ledger) write(r Record, events []Event) error {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	_, err := b.records.Update(ctx, r.ID, func(stored *Record) error {
		next := r
		next.Destinations = slices.Clone(r.Destinations)
		next.Tags, next.Untold = stored.Tags, slices.Clone(stored.Untold)
		if b.teller.manager.Publish == nil { // they are in this process's log, and nowhere else
			events = nil
		}
		for _, e := range events {
			// A write that seemed to fail may have come through.
			if !slices.ContainsFunc(next.Untold, func(o Event) bool { return o.ID == e.ID }) {
				next.Untold = append(next.Untold, e)
			}
		}
		*stored = next
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil && len(events) > 0 {
		b.teller.due(r.ID)
	}
	return err
}

// errUntold keeps a record until its events are in the log.
var errUntold = errors.New("its events are not in the log yet")

func (b *ledger) remove(ctx context.Context, id string) error {
	err := b.records.Delete(ctx, id, func(r Record) error {
		if len(r.Untold) > 0 && b.teller.manager.Publish != nil {
			return errUntold
		}
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}
