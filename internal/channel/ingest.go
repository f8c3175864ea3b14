package channel

import (
	"context"
	"time"

	"github.com/footlight-live/footlight/internal/unit"
)

// ingest is one connected publisher. Its connection's goroutine calls the methods.
type ingest struct {
	live      *live
	publisher Publisher
	identity  string // who may come back after vanishing: the source and its key
	remote    string
	priority  int // to take the stream over from another publisher; 0: none
	cut       func(error)

	// owned by the live channel's goroutine
	input             // the coder or, without one, the feed
	coder *transcoder // nil: the picture is shown as it comes
	feed  feed

	came   time.Time
	sparse bool // it was told that its key frames are far apart
	tape   Tape // nil: not recorded
	gone   func()
}

// input takes what a publisher sends, and tells of that: not of what comes of it. The live channel's goroutine owns it.
type input interface {
	write(u unit.Unit, arrived time.Time) error
	received() received
	// videoInfo describes the pictures, the largest first; nil: not known yet. measured is their bit rate as received, for
	// encoders that announce none.
	videoInfo(measured int) []VideoInfo
	// size is how many pictures there are, and that of the leading one; 0, 0: not known yet.
	size() (pictures, width, height int)
	// constantRate is the frame rate that the leading picture keeps, or not known.
	constantRate() rate
}

// Write implements rtmp.Publication and srt.Publication.
func (in *ingest) Write(ctx context.Context, u unit.Unit) error {
	return in.live.send(ctx, unitMessage{in, u, time.Now()})
}

// Close implements rtmp.Publication and srt.Publication.
func (in *ingest) Close(goodbye bool, reason error) {
	// The connection's context may be over already; the live channel's own end is the bound.
	_ = in.live.send(context.Background(), detachMessage{in, goodbye, reason})
}

// finish says that nothing more of a publisher is wanted.
func (in *ingest) finish() {
	in.untape()
	if in.coder != nil {
		in.coder.close()
	}
}

// Requests to a live channel, in the order of its inbox.
type (
	// attachRequest brings a publisher.
	attachRequest struct {
		in    *ingest
		reply chan error // one answer; buffered
	}
	// unitMessage brings media.
	unitMessage struct {
		in      *ingest
		unit    unit.Unit
		arrived time.Time
	}
	// detachMessage says that a publisher is gone.
	detachMessage struct {
		in      *ingest
		goodbye bool
		reason  error
	}
	// stopRequest ends the stream.
	stopRequest struct {
		reason string
		finish bool // spare publishers other than compositions
		reply  chan error
	}
)

// send puts a request into the inbox.
func (l *live) send(ctx context.Context, m any) error {
	select {
	case l.inbox <- m:
		return nil
	case <-l.done:
		return errEnded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tell runs a function on the live channel's goroutine, some time, unless the stream has ended by then.
func (l *live) tell(f func()) {
	_ = l.send(l.server.ctx, doRequest{do: func(*live) error { f(); return nil }, reply: make(chan error, 1)})
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
		return errEnded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
