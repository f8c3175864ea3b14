package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
	"github.com/footlight-live/footlight/internal/stage"
)

const (
	// inboxSize is how many units may wait for the goroutine: about a second of three sizes of 30 fps and sound.
	inboxSize = 128
	// yields is how long a connection must have been silent that gives way to a newer one with the same key: the encoder
	// has lost it before we have.
	yields = 2 * time.Second
	// checkInterval is how often what depends on time is looked at.
	checkInterval = 250 * time.Millisecond
)

// Requests to a live ingest configuration, in the order of its inbox.
type (
	attachRequest struct {
		in    *connection
		reply chan error // one answer; buffered
	}
	unitMessage struct {
		in      *connection
		unit    rtmp.Unit
		arrived time.Time
	}
	// packetMessage brings 20 ms of Opus.
	packetMessage struct {
		stream *stream
		at     time.Duration
		opus   []byte
	}
	detachMessage struct {
		in      *connection
		goodbye bool
		reason  error
	}
	stopRequest struct {
		reason string
		reply  chan error
	}
)

// live is an ingest configuration with an encoder, or two, or one that may come back. Its goroutine, run, owns every field
// below the line and all of its streams.
type live struct {
	server *Server
	id     string
	log    *slog.Logger
	inbox  chan any
	done   chan struct{} // closed when run has returned
	active atomic.Bool
	began  time.Time // origin of all times

	// ----
	streams [2]*stream // nil where there is none; without redundant ingest only the first
	relay   *relay     // of redundant ingest; nil without
}

// connection is one connected encoder. Its goroutine calls the methods.
type connection struct {
	live       *live
	key        string
	credential Credential
	protocol   string // RTMP or RTMPS
	remote     string
	cut        func(error)
	refused    *stage.Error // it may not publish, which the participant's events are to tell
}

// Write implements rtmp.Publication.
func (in *connection) Write(ctx context.Context, u rtmp.Unit) error {
	return in.live.send(ctx, unitMessage{in, u, time.Now()})
}

// Close implements rtmp.Publication.
func (in *connection) Close(goodbye bool, reason error) {
	// The connection's context may be over already; the goroutine's own end is the bound.
	_ = in.live.send(context.Background(), detachMessage{in, goodbye, reason})
}

func newLive(s *Server, id string) *live {
	return &live{
		server: s, id: id, log: s.log().With("ingest", id), began: time.Now(),
		inbox: make(chan any, inboxSize), done: make(chan struct{}),
	}
}

// send puts a request into the inbox.
func (l *live) send(ctx context.Context, m any) error {
	select {
	case <-l.done:
		return errEnded
	default:
	}
	select {
	case l.inbox <- m:
		return nil
	case <-l.done:
		return errEnded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ask sends a request and waits for its answer.
func (l *live) ask(ctx context.Context, m any, reply chan error) error {
	if err := l.send(ctx, m); err != nil {
		return err
	}
	select {
	case err := <-reply:
		return err
	case <-l.done:
		select {
		case err := <-reply: // its last word
			return err
		default:
			return errEnded
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run is the goroutine, from the first encoder until the last one has left.
func (l *live) run(ctx context.Context) {
	defer close(l.done)
	defer l.active.Store(false)
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			l.stop(errShutdown.Error())
			return
		case m := <-l.inbox:
			l.handle(ctx, m)
		case now := <-tick.C:
			l.check(now)
		case <-l.streams[0].ended():
			l.drop(l.streams[0])
		case <-l.streams[1].ended():
			l.drop(l.streams[1])
		case <-l.relay.ended():
			l.stop(l.relay.feed.Reason())
		}
		if l.streams == [2]*stream{} {
			l.relay.close("both encoders have left")
			return
		}
	}
}

func (l *live) handle(ctx context.Context, m any) {
	switch m := m.(type) {
	case attachRequest:
		m.reply <- l.attach(ctx, m.in)
	case unitMessage:
		if s := l.streamOf(m.in); s != nil {
			if e := s.take(m.unit, m.arrived); e != nil {
				l.fail(s, e)
			}
		}
	case packetMessage:
		m.stream.sound(m.at, m.opus)
	case detachMessage:
		if s := l.streamOf(m.in); s != nil {
			l.detach(s, m.goodbye, m.reason)
		}
	case stopRequest:
		l.stop(m.reason)
		l.active.Store(false) // before who asked goes on
		m.reply <- nil
	}
}

// streamOf finds the stream of a connection; nil when that has been cut.
func (l *live) streamOf(in *connection) *stream {
	if s := l.streams[in.credential.Stream]; s != nil && s.in == in {
		return s
	}
	return nil
}

// attach lets an encoder in, or says why not.
func (l *live) attach(ctx context.Context, in *connection) error {
	s := l.streams[in.credential.Stream]
	switch {
	case in.refused != nil && s != nil:
		s.feed.Report(in.refused)
		return in.refused
	case s == nil:
		return l.open(ctx, in)
	case s.in != nil && time.Since(s.heard) < yields:
		e := fail(stage.ReuseOfStreamKey, "another encoder publishes with this stream key")
		s.feed.Report(e)
		return e
	case s.in != nil:
		s.in.cut(errors.New("a newer connection with this stream key took over"))
	}
	l.log.Info("encoder is back", "participant", s.participant(), "remote", in.remote)
	s.connect(in)
	return nil
}

// open makes the participant of an encoder's stream join.
func (l *live) open(ctx context.Context, in *connection) error {
	c := in.credential
	grant := c.Grant
	if c.Physical != nil {
		grant = *c.Physical
	}
	feed, err := l.server.Stages.OpenFeed(ctx, grant, stage.FeedOptions{Protocol: in.protocol, Origin: l.began})
	if err != nil {
		return err
	}
	if in.refused != nil {
		feed.Fail(in.refused)
		return in.refused
	}
	l.active.Store(true)
	// Whoever changed or deleted the configuration before it was active has not stopped this encoder.
	if now, err := l.server.Directory.ResolveIngestKey(ctx, in.key); err != nil || now.Grant.StageID != c.Grant.StageID || (now.Physical == nil) != (c.Physical == nil) {
		feed.Close("the ingest configuration was changed")
		return fail(stage.InvalidStreamKey, "the ingest configuration was changed")
	}
	s := newStream(l, feed)
	l.streams[c.Stream] = s
	if c.Physical != nil && l.relay == nil {
		l.relay = &relay{live: l, grant: c.Grant, protocol: in.protocol}
	}
	l.log.Info("encoder connected", "participant", s.participant(), "stage", grant.StageID, "remote", in.remote, "protocol", in.protocol)
	s.connect(in)
	return nil
}

// detach handles the end of an encoder's connection.
func (l *live) detach(s *stream, goodbye bool, reason error) {
	text := "the encoder ended the stream"
	if reason != nil {
		text = reason.Error()
	}
	l.log.Info("encoder gone", "participant", s.participant(), "goodbye", goodbye, "reason", text)
	s.in = nil
	if e := codecError(reason); e != nil {
		l.fail(s, e)
		return
	}
	if goodbye {
		s.feed.Close(text)
		l.drop(s)
		return
	}
	l.relay.lost(s)
	s.vanish(time.Now())
}

// fail ends a stream that has what a stage does not take.
func (l *live) fail(s *stream, e *stage.Error) {
	l.log.Warn("encoder is ended", "participant", s.participant(), "code", e.Code, "reason", e.Message)
	s.feed.Fail(e)
	l.drop(s)
}

// drop takes a stream out whose feed has ended. Its encoder, if there is one, is told why.
func (l *live) drop(s *stream) {
	if l.streams[0] == s {
		l.streams[0] = nil
	} else {
		l.streams[1] = nil
	}
	l.relay.lost(s)
	s.close()
}

// stop ends everything.
func (l *live) stop(reason string) {
	for _, s := range l.streams {
		if s != nil {
			s.feed.Close(reason)
			l.drop(s)
		}
	}
	l.relay.close(reason)
}

// check looks at what depends on time.
func (l *live) check(now time.Time) {
	for _, s := range l.streams {
		if s == nil {
			continue
		}
		switch e, gone := s.check(now); {
		case e != nil:
			l.fail(s, e)
		case gone:
			s.feed.Close("the encoder vanished and did not come back")
			l.drop(s)
		}
	}
	l.relay.check(now)
}
