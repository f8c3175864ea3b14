package composition

import (
	"log/slog"
	"slices"
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
	l.log.Info(what+" changes", present("id", id), "from", *state, "to", to, present("code", cause.Code), present("reason", cause.Reason))
	*state, *why = to, cause
	return true
}

// event notes what EventBridge would tell (spec/composition.md §3). The next save stores it with the new state.
func (l *live) event(name, destination string, cause Cause) {
	l.log.Info("event", "event_name", name, "stage_arn", l.record.StageARN,
		present("id", destination), present("error_code", cause.Code), present("reason", cause.Reason))
	l.pending = append(l.pending, Event{
		ID: newEventID(), Time: l.manager.Now().UTC(), Name: name, DestinationID: destination, Cause: cause,
	})
}

// present is an attribute of the log that is left out when it is empty: slog ignores a zero one.
func present(key, value string) slog.Attr {
	if value == "" {
		return slog.Attr{}
	}
	return slog.String(key, value)
}

// save writes the record with its events and reports whether it could. The media does not wait for a store that is
// away: the next change writes everything.
func (l *live) save() bool {
	if err := l.manager.books.write(l.record, l.pending); err != nil {
		l.log.Error("cannot store the composition's state", "error", err)
		return false
	}
	l.pending = nil
	return true
}
