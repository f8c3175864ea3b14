package composition

import (
	"context"
	"fmt"
	"time"

	"github.com/footlight-live/footlight/internal/composer/wire"
)

// How a running composer is watched.
const (
	readyTimeout     = 10 * time.Second // from the start of the program until it is subscribed
	heartbeatTimeout = 2 * time.Second  // four heartbeats
	stopTimeout      = 10 * time.Second // from Stop until the program is gone
	memoryInterval   = 250 * time.Millisecond
)

// conversation is what the goroutine of a composition has with one composer, from its job to its end.
type conversation struct {
	*live
	p       *process
	alive   *time.Timer // runs out at due
	due     time.Time   // when the composer has owed something for too long
	silence string      // what it owes then
	ready   time.Time   // zero until it is
}

// run talks until the composition has ended or the composer is lost; it says why.
func (c *conversation) run(ctx context.Context) (reason string) {
	c.alive = time.NewTimer(readyTimeout)
	defer c.alive.Stop()
	c.expect("not ready", readyTimeout)
	memory := time.NewTicker(memoryInterval)
	defer memory.Stop()
	for reason == "" {
		select {
		case m, ok := <-c.p.messages:
			reason = c.hear(m, ok)
		case r := <-c.requests:
			reason = c.serve(r)
		case <-c.alive.C:
			reason = c.late()
		case <-memory.C:
			reason = c.weigh()
		case <-ctx.Done():
			return "the server ends"
		}
	}
	return reason
}

// late says why the composer is given up when it owes something, after everything that it has said is heard: it may
// have been we who did not listen.
func (c *conversation) late() (reason string) {
	for range cap(c.p.messages) {
		select {
		case m, ok := <-c.p.messages:
			if reason = c.hear(m, ok); reason != "" {
				return reason
			}
		default:
			return c.overdue()
		}
	}
	return c.overdue()
}

// overdue says what the composer owes, if it has for too long.
func (c *conversation) overdue() string {
	if time.Now().Before(c.due) {
		return ""
	}
	return c.silence
}

// hear takes up a message; it says why the conversation is over, if it is.
func (c *conversation) hear(m wire.Message, ok bool) (reason string) {
	if !ok {
		<-c.p.exited
		return "it ended: " + exitText(c.p.err)
	}
	switch {
	case m.Ready != nil && c.ready.IsZero():
		c.ready = c.manager.Now()
		if c.record.State != Stopping {
			c.expect("no heartbeat", heartbeatTimeout)
		}
		c.active()
	case m.Heartbeat != nil:
		c.beat(m.Heartbeat)
	case m.Destination != nil && c.record.State != Stopping:
		c.heard(*m.Destination)
		if c.record.State.Ended() {
			return "every destination failed"
		}
	case m.Stopped != nil:
		c.log.Info("the composer stopped", present("reason", m.Stopped.Reason), present("error", m.Stopped.Error))
	}
	return ""
}

// expect gives the composer a time for what it owes next.
func (c *conversation) expect(what string, within time.Duration) {
	c.silence = fmt.Sprintf("%s within %v", what, within)
	c.due = time.Now().Add(within) // with the monotonic clock, as the timer
	c.alive.Reset(within)
}

// beat takes up a heartbeat. It is also when the ends that come by themselves are looked at.
func (c *conversation) beat(h *wire.Heartbeat) {
	now := c.manager.Now()
	c.tell(func(v *vitals) {
		v.heartbeat = h
		v.learnCores(h.CPU)
		switch {
		case h.Publishing > 0:
			v.idleSince = time.Time{}
		case v.idleSince.IsZero():
			v.idleSince = now
		}
	})
	// Before it is ready, and while it stops, other times run.
	if c.ready.IsZero() || c.record.State == Stopping {
		return
	}
	c.expect("no heartbeat", heartbeatTimeout)
	if now.Sub(c.ready) > provenAfter {
		c.healthy, c.crashes = now, 0
	}
	if at, why := stopsAt(c.record.Started, c.seen.idleSince); !now.Before(at) {
		c.stop(Cause{Reason: why})
	}
}

// serve takes up a request.
func (c *conversation) serve(r request) (reason string) {
	stopping := c.record.State == Stopping
	switch {
	case r.stop != nil && !stopping:
		c.stop(*r.stop)
	case r.stop != nil && r.stop.Code != "": // it fails after all
		c.record.Cause = *r.stop
		c.save()
	case r.scene != nil && stopping:
		r.taken <- refuse(ErrConflict, "The composition is stopping")
		return ""
	case r.scene != nil:
		c.look(*r.scene)
		if err := c.p.conn.Send(wire.Message{Scene: r.scene}); err != nil {
			reason = "it does not take its scene: " + err.Error() // the next one gets it with its job
		}
	}
	r.taken <- nil
	return reason
}

// stop asks the composer to end and gives it a time to do so.
func (c *conversation) stop(cause Cause) {
	c.take(cause)
	if err := c.p.conn.Send(wire.Message{Stop: &wire.Stop{Reason: cause.Reason}}); err != nil {
		c.log.Warn("cannot ask the composer to stop", "error", err)
	}
	c.expect("not stopped", stopTimeout)
}

// weigh compares the composer's memory with what it may have.
func (c *conversation) weigh() (reason string) {
	resident, err := c.p.resident()
	if err != nil || resident <= c.manager.maxMemory() {
		return "" // one that has gone says so by its messages
	}
	return fmt.Sprintf("it takes %d MiB of memory and may take %d (--max-composer-memory)", resident>>20, c.manager.maxMemory()>>20)
}

// active is called when a composer has subscribed to the stage and its clock runs.
func (l *live) active() {
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
		l.active() // a session starts before its destinations
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
		if cause.Code == "" {
			cause.Code = internalFailure.Code
		}
		l.moveDestination(d, Failed, cause)
		l.event("Destination Failure", d.ID, cause)
		l.finishRecording(l.manager.ctx, d, cause)
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

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}
