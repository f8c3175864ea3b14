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
}

// write leaves the tags, which callers change by themselves, and the events that still wait.
func (b *ledger) write(r Record, events []Event) error {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	_, err := b.records.Update(ctx, r.ID, func(stored *Record) error {
		next := r
		next.Destinations = slices.Clone(r.Destinations)
		next.Tags, next.Untold = stored.Tags, stored.Untold
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
	return err
}

func (b *ledger) remove(ctx context.Context, id string) error {
	if err := b.records.Delete(ctx, id); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}
