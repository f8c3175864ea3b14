package composition

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/footlight-live/footlight/internal/composer/wire"
)

// How composers are replaced.
const (
	firstBackOff = 250 * time.Millisecond // after a second crash in a row; the first one is answered at once
	lastBackOff  = 4 * time.Second
	provenAfter  = 5 * time.Second // a composer that has been ready for so long is no failure from the start
	giveUpAfter  = time.Minute     // of attempts none of which was proven
)

// request asks the goroutine of a composition for one thing: exactly one of stop and scene is set.
type request struct {
	stop  *Cause      // end; failed when it has a code
	scene *wire.Scene // look like this from now on
	taken chan error  // has room for the answer
}

// live is a composition with its goroutine, run, which alone touches the fields below the channels.
type live struct {
	manager  *Manager
	log      *slog.Logger
	requests chan request
	gone     chan struct{} // closed when the record has been removed, or the manager closes

	record  Record
	pending []Event   // not yet stored with the record
	healthy time.Time // when a composer last proved itself, or this run began
	crashes int       // in a row, without a proven composer between

	seen   vitals // what vitals tells others
	vitals atomic.Pointer[vitals]
}

func (l *live) run() {
	defer close(l.gone)
	ctx := l.manager.ctx
	now := l.manager.Now()
	l.healthy = now
	l.tell(func(v *vitals) { v.idleSince = now })
	l.reconnect("the server started again")
	for !l.record.State.Ended() {
		if l.record.State == Stopping {
			// The server ended while the composition did. No composer has anything left to flush.
			l.end(l.record.Cause)
			if !l.record.State.Ended() {
				return
			}
			break
		}
		l.attempt(ctx)
		if ctx.Err() != nil {
			return
		}
	}
	l.retire(ctx)
}

// tell changes what Status and Heartbeat show.
func (l *live) tell(change func(*vitals)) {
	change(&l.seen)
	v := l.seen
	l.vitals.Store(&v)
}

// attempt runs one composer until the composition has ended, or the composer has.
func (l *live) attempt(ctx context.Context) {
	p, err := l.launch(ctx)
	switch {
	case errors.Is(err, ErrStageGone):
		l.end(stageDeleted)
		return
	case err != nil && ctx.Err() != nil:
		return
	case err != nil:
		l.crashed(ctx, err.Error())
		return
	}
	l.tell(func(v *vitals) { v.pid, v.since = p.pid, l.manager.Now() })
	c := conversation{live: l, p: p}
	reason := c.run(ctx)
	p.kill()
	l.tell(func(v *vitals) { v.pid, v.heartbeat, v.cores = 0, nil, 0 })
	switch {
	case ctx.Err() != nil || l.record.State.Ended():
	case l.record.State == Stopping:
		// It was asked to stop and is gone, in good order or not.
		l.end(l.record.Cause)
	default:
		l.crashed(ctx, reason)
	}
}

// launch starts a composer with a new job.
func (l *live) launch(ctx context.Context) (*process, error) {
	job, err := l.manager.Job(ctx, l.record)
	if err != nil {
		return nil, err
	}
	if job.Scene, err = l.manager.sceneOf(ctx, l.record.Scene); err != nil {
		// A picture that has gone meanwhile costs the scene, not the composition.
		l.log.Error("composing without the scene", "error", err)
		job.Scene = wire.Scene{}
	}
	return l.manager.launch(job, l.log)
}

// crashed makes ready for the next attempt: destinations reconnect, and repeated crashes wait longer.
func (l *live) crashed(ctx context.Context, reason string) {
	l.log.Error("the composer is gone and will be replaced", "reason", reason, "crashes", l.crashes+1)
	if l.manager.Now().Sub(l.healthy) > giveUpAfter {
		l.end(internalFailure)
		return
	}
	l.reconnect(reason)
	l.tell(func(v *vitals) { v.restarts, v.lastExit = v.restarts+1, reason })
	l.crashes++
	if l.crashes == 1 {
		return
	}
	wait := time.NewTimer(min(firstBackOff<<min(l.crashes-2, 8), lastBackOff))
	defer wait.Stop()
	for {
		select {
		case <-wait.C:
			return
		case r := <-l.requests:
			if r.stop != nil {
				l.take(*r.stop)
				r.taken <- nil
				l.end(*r.stop)
				return
			}
			l.look(*r.scene)
			r.taken <- nil
		case <-ctx.Done():
			return
		}
	}
}

// reconnect notes that no destination is fed until the next composer is.
func (l *live) reconnect(reason string) {
	changed := false
	for i := range l.record.Destinations {
		d := &l.record.Destinations[i]
		if d.State == Active && l.moveDestination(d, Reconnecting, Cause{Reason: reason}) {
			l.event("Destination Reconnecting", d.ID, Cause{})
			changed = true
		}
	}
	if changed {
		l.save()
	}
}

// look takes up another scene.
func (l *live) look(s wire.Scene) {
	l.record.Scene = s.Document
	if string(s.Document) == "null" {
		l.record.Scene = json.RawMessage(nil)
	}
	l.save()
}

// take moves the composition and its destinations to STOPPING. The cause stays with the record and decides how
// the composition ends, whoever ends it.
func (l *live) take(cause Cause) {
	l.log.Info("stopping", present("reason", cause.Reason))
	l.move(Stopping, cause)
	for i := range l.record.Destinations {
		l.moveDestination(&l.record.Destinations[i], Stopping, Cause{})
	}
	l.save()
}

// end closes the books: every destination, then the composition, which has failed when the cause has a code. It waits
// for recordings to be stored; when the server ends meanwhile, the next start goes on with it.
func (l *live) end(cause Cause) {
	for i := range l.record.Destinations {
		d := &l.record.Destinations[i]
		if d.State.Ended() {
			continue
		}
		l.moveDestination(d, Stopping, Cause{})
		if !d.Records() {
			l.endDestination(d)
		}
	}
	if l.record.recording() {
		l.move(Stopping, cause)
		l.save()
		if !l.finishRecordings(cause) {
			return
		}
		cause = l.record.Cause // it may have failed meanwhile
	}
	for i := range l.record.Destinations {
		if d := &l.record.Destinations[i]; !d.State.Ended() {
			l.endDestination(d)
		}
	}
	l.record.Ended = l.manager.Now()
	if cause.Code != "" {
		l.move(Failed, cause)
		l.event("Session Failure", "", cause)
	} else {
		l.move(Stopping, Cause{})
		l.move(Stopped, cause)
		l.event("Session End", "", Cause{})
	}
	l.save()
}

func (l *live) endDestination(d *Destination) {
	l.moveDestination(d, Stopped, Cause{})
	if l.manager.Finish != nil && !d.Records() {
		l.manager.Finish(d.ChannelARN)
	}
	l.event("Destination End", d.ID, Cause{})
}

// retire keeps the record for a while after the end, then removes it. Requests to stop are granted: it has.
func (l *live) retire(ctx context.Context) {
	timer := time.NewTimer(retention - l.manager.Now().Sub(l.record.Ended))
	defer timer.Stop()
	for {
		select {
		case r := <-l.requests:
			if r.scene != nil {
				r.taken <- refuse(ErrConflict, "The composition has ended")
				continue
			}
			r.taken <- nil
		case <-timer.C:
			// What could not be stored before must be now, or its events would be lost.
			if len(l.pending) > 0 && !l.save() {
				timer.Reset(lastBackOff)
				continue
			}
			if err := l.manager.books.remove(ctx, l.record.ID); err != nil {
				l.log.Error("cannot remove the record yet", "error", err)
				timer.Reset(lastBackOff)
				continue
			}
			l.manager.forget(l.record.ID)
			return
		case <-ctx.Done():
			return
		}
	}
}
