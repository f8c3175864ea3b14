package composition

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/store"
)

// move changes the composition's state and reports whether it did: what may not follow is refused.
func (l *live) move(to State, cause Cause) bool {
	return l.transition("composition", "", &l.record.State, &l.record.Cause, to, cause)
}

// moveDestination changes a destination's state and reports whether it did.
func (l *live) moveDestination(d *Destination, to State, cause Cause) bool {
	if !l.transition("destination", d.ID, &d.State, &d.Cause, to, cause) {
		return false
	}
	if to.Ended() {
		d.Ended = l.manager.Now()
	}
	return true
}

// transition is the one place where a state changes.
func (l *live) transition(what, id string, state *State, why *Cause, to State, cause Cause) bool {
	if !slices.Contains(next[*state], to) {
		return false
	}
	l.log.Info(what+" changes", "id", id, "from", *state, "to", to, "code", cause.Code, "reason", cause.Reason)
	*state, *why = to, cause
	return true
}

// event logs what EventBridge would tell (spec/composition.md §3).
func (l *live) event(name, destination string, cause Cause) {
	l.log.Info("event", "event_name", name, "stage_arn", l.record.StageARN, "id", destination, "error_code", cause.Code, "reason", cause.Reason)
}

// save writes the record, but for the tags, which callers change by themselves. The media does not wait for a
// store that is away: the next change writes everything.
func (l *live) save() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := l.manager.records.Update(ctx, l.record.ID, func(r *Record) error {
		tags := r.Tags
		*r = l.record
		r.Destinations = slices.Clone(l.record.Destinations)
		r.Tags = tags
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		l.log.Error("cannot store the composition's state", "error", err)
	}
}
