package channel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/channel/rtmp"
)

// liveState is where a live channel is in its life.
type liveState int

const (
	stateConnected liveState = iota // a publisher is there, nothing is playable yet
	statePlaying                    // playable
	stateGap                        // the publisher vanished; the stream waits for its return
	stateEnded                      // over; the playlist with its end is still served
)

func (s liveState) String() string {
	return [...]string{"connected", "playing", "gap", "ended"}[s]
}

const (
	// inboxSize is how many units may wait for the live channel's goroutine: about a second of 30 fps and sound.
	inboxSize = 64
	// linger is how long the end of a stream can still be watched.
	linger = time.Minute
	// videoDeadline is how long a publisher may take to bring a key frame; IVS advises against more than 5 s.
	videoDeadline = 20 * time.Second
)

var (
	errEnded           = errors.New("the stream has ended")
	errShutdown        = errors.New("the server is shutting down")
	errNothingPlayable = fmt.Errorf("no H.264 key frame within %v", videoDeadline)
)

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
		unit    rtmp.Unit
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

// live is one stream session of a channel. Its goroutine, run, owns every field below the line.
type live struct {
	server  *Server
	channel Channel
	id      string
	started time.Time
	log     *slog.Logger
	inbox   chan any
	done    chan struct{} // closed when run has returned
	cancel  context.CancelFunc
	viewers viewers
	muxer   atomic.Pointer[hls.Muxer]
	shown   atomic.Pointer[Stream] // the newest snapshot; ViewerCount is left out
	over    atomic.Bool            // stateEnded
	counts  counters

	// owned by run
	state    liveState
	in       *ingest // nil in stateGap and stateEnded
	identity string  // of the publisher that the stream belongs to
	source   string
	first    int64 // media sequence number to begin with
	wall     time.Time
	expiry   *time.Timer // end of the gap or of the linger
	meter    meter
}

// counters are what Stats shows of a live channel.
type counters struct {
	videoBytes, audioBytes, droppedSound, reconnects atomic.Uint64
}

// ingest is one connected publisher. Its connection's goroutine calls the methods.
type ingest struct {
	live      *live
	publisher Publisher
	identity  string // who may come back after vanishing: the source and its key
	remote    string
	cut       func(error)
	feed      feed // owned by the live channel's goroutine, like what follows
	tape      Sink // nil: not recorded
	gone      func()
}

// Write implements rtmp.Publication.
func (in *ingest) Write(ctx context.Context, u rtmp.Unit) error {
	return in.live.send(ctx, unitMessage{in, u, time.Now()})
}

// Close implements rtmp.Publication.
func (in *ingest) Close(goodbye bool, reason error) {
	// The connection's context may be over already; the live channel's own end is the bound.
	_ = in.live.send(context.Background(), detachMessage{in, goodbye, reason})
}

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

// run is the live channel's goroutine, from the first publisher to the end of the linger.
func (l *live) run(ctx context.Context) {
	defer close(l.done)
	l.expiry = time.NewTimer(time.Hour)
	l.expiry.Stop()
	defer l.expiry.Stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	l.observe(SessionCreated, "")
	for {
		select {
		case <-ctx.Done():
			l.abandon()
			return
		case m := <-l.inbox:
			l.handle(m)
		case now := <-tick.C:
			l.measure(now)
		case <-l.expiry.C:
			if l.state == stateEnded {
				return
			}
			l.end("the publisher vanished and did not come back")
		}
	}
}

func (l *live) handle(m any) {
	switch m := m.(type) {
	case attachRequest:
		m.reply <- l.attach(m.in)
	case unitMessage:
		if m.in != l.in {
			return // cut already
		}
		if err := m.in.feed.write(m.unit, m.arrived); err != nil {
			// It goes with what it sent; what viewers have so far stays.
			l.log.Warn("publisher cut", "remote", m.in.remote, "error", err)
			m.in.cut(err)
			l.detach(err.Error(), false)
			return
		}
		l.counts.videoBytes.Store(l.meter.video + m.in.feed.videoBytes)
		l.counts.audioBytes.Store(l.meter.audio + m.in.feed.audioBytes)
		l.counts.droppedSound.Store(m.in.feed.droppedSound)
		if l.state == stateConnected {
			if x := l.muxer.Load(); x != nil && x.Ready() {
				l.play()
			}
		}
	case detachMessage:
		if m.in == l.in {
			l.detach(reasonText(m.reason), m.goodbye)
		}
	case stopRequest:
		m.reply <- l.stop(m)
	case tapeMessage:
		if m.in != l.in {
			go m.gone()
			return
		}
		m.in.tape, m.in.gone = m.sink, m.gone
	case doRequest:
		m.reply <- l.act(m)
	}
}

func reasonText(err error) string {
	if err == nil {
		return "the publisher ended the stream"
	}
	return err.Error()
}

// to is the one place where the state changes.
func (l *live) to(s liveState, why string) {
	l.log.Info("stream state", "from", l.state.String(), "to", s.String(), "reason", why)
	l.state = s
	l.over.Store(s == stateEnded)
}

// attach lets a publisher in, or says why not.
func (l *live) attach(in *ingest) error {
	switch {
	case l.state == stateEnded:
		return errEnded
	case l.in != nil:
		return ErrAlreadyLive
	case l.state == stateGap && in.identity != l.identity:
		l.end("another publisher took over")
		return errEnded
	case l.state == stateGap:
		l.expiry.Stop()
		l.counts.reconnects.Add(1)
		l.to(statePlaying, "the publisher is back")
	}
	l.in, l.identity, l.source = in, in.identity, in.publisher.Source
	in.feed = feed{open: l.openMuxer, wall: l.wall, muxer: nil}
	l.log.Info("publisher connected", "remote", in.remote, "source", in.publisher.Source)
	return nil
}

// openMuxer returns the stream's muxer; the first frame of the first publisher makes it.
func (l *live) openMuxer(frame int64, wall time.Time) Sink {
	if x := l.muxer.Load(); x != nil {
		return l.taped(x)
	}
	l.wall = wall
	l.in.feed.wall = wall
	x := hls.New(hls.Config{
		Prefix: arn.NewID(8), Wall: wall, PartTarget: hls.PartTarget(frame),
		// Seconds, so that neither number falls behind an earlier stream of this channel, across restarts of
		// the server too: segments and breaks are further apart than a second.
		Sequence: l.first, Breaks: l.first,
	})
	l.muxer.Store(x)
	return l.taped(x)
}

// play makes the stream known: its first part is there.
func (l *live) play() {
	l.to(statePlaying, "the first part is playable")
	l.log.Info("stream is playable", "after", time.Since(l.started).Round(time.Millisecond))
	l.meter.reset(time.Now(), l.muxer.Load().EndTime())
	l.show(Healthy)
	l.observe(StreamStart, "")
}

// detach handles the end of the publisher.
func (l *live) detach(reason string, goodbye bool) {
	l.log.Info("publisher gone", "goodbye", goodbye, "reason", reason)
	l.meter.video += l.in.feed.videoBytes
	l.meter.audio += l.in.feed.audioBytes
	defer l.in.untape()
	if goodbye || l.state == stateConnected {
		l.end(reason)
		return
	}
	if err := l.in.feed.interrupt(); err != nil {
		l.log.Error("cannot close the last segment", "error", err)
	}
	l.in = nil
	l.to(stateGap, reason)
	l.show(Starving)
	l.expiry.Reset(l.server.grace())
}

// stop ends the stream on somebody's order.
func (l *live) stop(r stopRequest) error {
	if l.state == stateEnded {
		return ErrNotLive
	}
	if r.finish && l.in != nil && !strings.HasPrefix(l.source, "composition/") {
		return nil
	}
	if l.in != nil {
		l.in.cut(errors.New(r.reason))
		l.in.untape()
		l.meter.video += l.in.feed.videoBytes
		l.meter.audio += l.in.feed.audioBytes
	}
	l.end(r.reason)
	return nil
}

// end finishes the stream; its playlist stays for a while.
func (l *live) end(reason string) {
	wasPlayable := l.state != stateConnected
	l.in = nil
	if x := l.muxer.Load(); x != nil {
		if err := x.End(); err != nil {
			l.log.Error("cannot close the last segment", "error", err)
		}
	}
	l.to(stateEnded, reason)
	if wasPlayable {
		l.observe(StreamEnd, reason)
	}
	l.observe(SessionEnded, reason)
	l.expiry.Reset(linger)
}

// abandon ends the stream with the server. Players find its continuation after a restart: no end of list.
func (l *live) abandon() {
	if l.in != nil {
		l.in.cut(errShutdown)
		l.in.untape()
		l.in = nil
	}
	if x := l.muxer.Load(); x != nil {
		x.Abandon()
	}
	if l.state == stateEnded {
		return
	}
	wasPlayable := l.state != stateConnected
	l.to(stateEnded, errShutdown.Error())
	if wasPlayable {
		l.observe(StreamEnd, errShutdown.Error())
	}
	l.observe(SessionEnded, errShutdown.Error())
}

// measure runs once a second.
func (l *live) measure(now time.Time) {
	if l.state == stateConnected && now.Sub(l.started) > videoDeadline {
		err := errNothingPlayable
		l.in.cut(err)
		l.detach(err.Error(), false)
	}
	if l.state != statePlaying || l.in == nil {
		return
	}
	f := &l.in.feed
	before := l.shown.Load().Health
	health := l.meter.measure(now, l.muxer.Load().EndTime(), l.meter.video+f.videoBytes, l.meter.audio+f.audioBytes, before)
	if health != before {
		l.log.Info("stream health", "from", before, "to", health)
	}
	l.show(health)
}

// show publishes a snapshot.
func (l *live) show(h Health) {
	s := Stream{
		ChannelARN: l.channel.ARN, ID: l.id, StartTime: l.started, Health: h, Source: l.source,
	}
	if old := l.shown.Load(); old != nil {
		s.Video, s.Audio = old.Video, old.Audio
	}
	if l.in != nil {
		if v := l.in.feed.videoInfo(l.meter.videoRate); v != nil {
			s.Video, s.Audio = v, l.in.feed.audioInfo(l.meter.audioRate)
		}
	}
	l.shown.Store(&s)
}

// stream returns the newest snapshot with the viewers of now. Any goroutine may call it.
func (l *live) stream() Stream {
	s := *l.shown.Load()
	s.ViewerCount = l.viewers.count(time.Now())
	return s
}

func (l *live) observe(kind EventKind, reason string) {
	if o := l.server.Observer; o != nil {
		o.Observe(Event{Kind: kind, Time: time.Now(), Stream: l.stream(), Reason: reason})
	}
}

// newLive starts a stream session for its first publisher.
func newLive(ctx context.Context, s *Server, in *ingest, first int64) *live {
	ctx, cancel := context.WithCancel(ctx)
	l := &live{
		server: s, channel: in.publisher.Channel, id: "st-" + arn.NewID(23), started: time.Now(),
		inbox: make(chan any, inboxSize), done: make(chan struct{}), cancel: cancel, first: first,
	}
	l.log = s.log().With("channel", l.channel.ID, "stream", l.id)
	in.live = l
	l.wall = l.started
	if err := l.attach(in); err != nil {
		panic(fmt.Sprintf("a new live channel refused its first publisher: %v", err))
	}
	l.show(Unknown)
	s.running.Go(func() {
		defer cancel()
		l.run(ctx)
		s.forget(l)
	})
	return l
}
