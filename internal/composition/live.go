package composition

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/footlight-live/footlight/internal/composer/wire"
)

// How composers are supervised.
const (
	readyTimeout     = 10 * time.Second       // from the start of the program until it is subscribed
	heartbeatTimeout = 2 * time.Second        // four heartbeats
	stopTimeout      = 10 * time.Second       // from Stop until the program is gone
	firstBackOff     = 250 * time.Millisecond // after a second crash in a row; the first one is answered at once
	lastBackOff      = 4 * time.Second
	provenAfter      = 5 * time.Second // a composer that has been ready for so long is no failure from the start
	giveUpAfter      = time.Minute     // of attempts none of which was proven
)

// request asks a composition to end.
type request struct {
	reason string // for the log
	cause  Cause  // of a failure; zero for a graceful end
	taken  chan error
}

// live is a composition with its goroutine, run, which alone touches the fields below the channels.
type live struct {
	manager  *Manager
	log      *slog.Logger
	requests chan request
	gone     chan struct{} // closed when the record has been removed, or the manager closes

	record  Record
	healthy time.Time // when a composer last proved itself, or this run began
	crashes int       // in a row, without a proven composer between

	heartbeat atomic.Pointer[wire.Heartbeat] // the latest; nil while there is no composer
}

func (l *live) run() {
	defer close(l.gone)
	ctx := l.manager.ctx
	l.healthy = l.manager.Now()
	l.reconnect("the server started again")
	for !l.record.State.Ended() {
		if l.record.State == Stopping {
			l.end(Cause{Reason: "the server restarted while it stopped"})
			break
		}
		l.attempt(ctx)
		if ctx.Err() != nil {
			return
		}
	}
	l.retire(ctx)
}

// attempt runs one composer until the composition has ended, or the composer has.
func (l *live) attempt(ctx context.Context) {
	job, err := l.manager.Job(ctx, l.record)
	if errors.Is(err, ErrStageGone) {
		l.end(stageDeleted)
		return
	}
	var p *process
	if err == nil {
		p, err = launch(l.manager.Composer, job, l.log)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return
	case err != nil:
		l.crashed(ctx, err.Error())
		return
	}
	reason := l.serve(ctx, p)
	p.kill()
	l.heartbeat.Store(nil)
	switch {
	case ctx.Err() != nil || l.record.State.Ended():
	case l.record.State == Stopping:
		// It was asked to stop and is gone, in good order or not.
		l.end(l.record.Cause)
	default:
		l.crashed(ctx, reason)
	}
}

// crashed makes ready for the next attempt: destinations reconnect, and repeated crashes wait longer.
func (l *live) crashed(ctx context.Context, reason string) {
	l.log.Error("the composer is gone and will be replaced", "reason", reason, "crashes", l.crashes+1)
	if l.manager.Now().Sub(l.healthy) > giveUpAfter {
		l.end(internalFailure)
		return
	}
	l.reconnect(reason)
	l.crashes++
	if l.crashes == 1 {
		return
	}
	wait := time.NewTimer(min(firstBackOff<<min(l.crashes-2, 8), lastBackOff))
	defer wait.Stop()
	select {
	case <-wait.C:
	case r := <-l.requests:
		l.take(r)
		l.end(r.cause)
		r.taken <- nil
	case <-ctx.Done():
	}
}

// reconnect notes that no destination is fed until the next composer is.
func (l *live) reconnect(reason string) {
	changed := false
	for i := range l.record.Destinations {
		if d := &l.record.Destinations[i]; d.State == Active {
			changed = l.moveDestination(d, Reconnecting, Cause{Reason: reason}) || changed
		}
	}
	if changed {
		l.save()
	}
}

// serve talks with a composer until the composition has ended or the composer is lost; it says why.
func (l *live) serve(ctx context.Context, p *process) (reason string) {
	alive := time.NewTimer(readyTimeout)
	defer alive.Stop()
	idle := time.NewTimer(idleTimeout)
	defer idle.Stop()
	age := time.NewTimer(maxDuration - l.manager.Now().Sub(l.record.Started))
	defer age.Stop()
	silence := "not ready in time"
	var ready time.Time // zero until it is
	stop := func(r request) {
		l.take(r)
		if err := p.conn.Send(wire.Message{Stop: &wire.Stop{Reason: r.reason}}); err != nil {
			l.log.Warn("cannot ask the composer to stop", "error", err)
		}
		alive.Reset(stopTimeout)
		silence = "did not stop in time"
	}
	for {
		select {
		case m, ok := <-p.messages:
			if !ok {
				<-p.exited
				return "it ended: " + exitText(p.err)
			}
			switch {
			case m.Ready != nil:
				l.ready()
				ready = l.manager.Now()
				silence = "no heartbeat"
				alive.Reset(heartbeatTimeout)
			case m.Heartbeat != nil:
				l.heartbeat.Store(m.Heartbeat)
				if m.Heartbeat.Publishing > 0 {
					idle.Reset(idleTimeout)
				}
				// Before it is ready, and while it stops, other times run.
				if !ready.IsZero() && l.record.State != Stopping {
					alive.Reset(heartbeatTimeout)
					if now := l.manager.Now(); now.Sub(ready) > provenAfter {
						l.healthy, l.crashes = now, 0
					}
				}
			case m.Destination != nil && l.record.State != Stopping:
				l.heard(*m.Destination)
				if l.record.State.Ended() {
					return "every destination failed"
				}
			case m.Stopped != nil:
				l.log.Info("the composer stopped", "reason", m.Stopped.Reason, "error", m.Stopped.Error)
			}
		case r := <-l.requests:
			switch {
			case l.record.State != Stopping:
				stop(r)
			case r.cause != Cause{}: // it fails after all
				l.record.Cause = r.cause
				l.save()
			}
			r.taken <- nil
		case <-alive.C:
			return silence
		case <-idle.C:
			if l.record.State != Stopping {
				stop(request{reason: "nobody has published for a minute"})
			}
		case <-age.C:
			if l.record.State != Stopping {
				stop(request{reason: "it has run for 24 hours"})
			}
		case <-ctx.Done():
			return "the server ends"
		}
	}
}

// ready is called when a composer has subscribed to the stage and its clock runs.
func (l *live) ready() {
	if l.move(Active, Cause{}) {
		l.event("Session Start", "", Cause{})
		l.save()
	}
}

// heard takes up what the composer says of a destination.
func (l *live) heard(m wire.Destination) {
	d := l.record.destination(m.ID)
	if d == nil || d.State.Ended() {
		return
	}
	cause := Cause{Code: m.Code, Reason: m.Reason}
	switch m.State {
	case wire.Active:
		first := d.Started.IsZero()
		if !l.moveDestination(d, Active, Cause{}) {
			return
		}
		if first {
			d.Started = l.manager.Now()
			l.event("Destination Start", d.ID, Cause{})
		}
	case wire.Reconnecting:
		if !l.moveDestination(d, Reconnecting, cause) {
			return
		}
		l.event("Destination Reconnecting", d.ID, Cause{})
	case wire.Failed:
		l.moveDestination(d, Failed, cause)
		l.event("Destination Failure", d.ID, cause)
		if l.allFailed() {
			l.end(destinationFailed)
			return
		}
	default:
		return
	}
	l.save()
}

func (l *live) allFailed() bool {
	for _, d := range l.record.Destinations {
		if d.State != Failed {
			return false
		}
	}
	return true
}

// take moves the composition and its destinations to STOPPING. The cause, when there is one, decides how it ends.
func (l *live) take(r request) {
	l.log.Info("stopping", "reason", r.reason)
	l.move(Stopping, r.cause)
	for i := range l.record.Destinations {
		l.moveDestination(&l.record.Destinations[i], Stopping, Cause{})
	}
	l.save()
}

// end closes the books: every destination, then the composition, which has failed when the cause has a code.
func (l *live) end(cause Cause) {
	for i := range l.record.Destinations {
		d := &l.record.Destinations[i]
		if d.State.Ended() {
			continue
		}
		l.moveDestination(d, Stopping, Cause{})
		l.moveDestination(d, Stopped, Cause{})
		if l.manager.Finish != nil {
			l.manager.Finish(d.ChannelARN)
		}
		l.event("Destination End", d.ID, Cause{})
	}
	failed := cause.Code != ""
	if failed {
		l.move(Failed, cause)
	} else {
		l.move(Stopping, Cause{})
		l.move(Stopped, cause)
	}
	l.record.Ended = l.manager.Now()
	l.save()
	if failed {
		l.event("Session Failure", "", cause)
	} else {
		l.event("Session End", "", Cause{})
	}
}

// retire keeps the record for a while after the end, then removes it. Requests to stop are granted: it has.
func (l *live) retire(ctx context.Context) {
	timer := time.NewTimer(retention - l.manager.Now().Sub(l.record.Ended))
	defer timer.Stop()
	for {
		select {
		case r := <-l.requests:
			r.taken <- nil
		case <-timer.C:
			if err := l.manager.records.Delete(ctx, l.record.ID); err != nil && ctx.Err() == nil {
				l.log.Error("cannot remove the record; the next start of the server will", "error", err)
			}
			l.manager.forget(l.record.ID)
			return
		case <-ctx.Done():
			return
		}
	}
}

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}
