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
	muxer   atomic.Pointer[hls.Muxer] // of the leading picture
	shown   atomic.Pointer[Stream]    // the newest snapshot; ViewerCount is left out
	over    atomic.Bool               // stateEnded
	counts  counters

	renditions atomic.Pointer[[]rendition] // the largest first; nil until the first frame
	playable   atomic.Bool
	coder      atomic.Pointer[transcoder] // of the newest publisher, for its figures; nil until one runs

	// owned by run
	state      liveState
	in         *ingest // nil in stateGap and stateEnded
	challenger *ingest // wants to take the stream over, see takeover.go; nil without in
	takeovers  int
	identity   string // of the publisher that the stream belongs to
	source     string
	first      int64       // media sequence number to begin with
	code       string      // of SessionEnded
	expiry     *time.Timer // end of the gap or of the linger
	meter      meter
	overrun    overrun
	crowdedAt  time.Time // when it was told last that there are too many viewers
}

// counters are what Stats shows of a live channel.
type counters struct {
	videoBytes, audioBytes, droppedSound, reconnects atomic.Uint64
}

// run is the live channel's goroutine, from the first publisher to the end of the linger.
func (l *live) run(ctx context.Context) {
	defer close(l.done)
	l.expiry = time.NewTimer(time.Hour)
	l.expiry.Stop()
	defer l.expiry.Stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	l.observe(Event{Kind: SessionCreated})
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
		l.write(m)
	case codedMessage:
		l.emit(m)
	case detachMessage:
		switch m.in {
		case l.in:
			l.detach(reasonText(m.reason), m.goodbye)
		case l.challenger:
			l.challenger.finish()
			l.challenger = nil
			l.log.Info("publisher gone before it took the stream over", "remote", m.in.remote, "reason", reasonText(m.reason))
		}
	case stopRequest:
		m.reply <- l.stop(m)
	case tapeMessage:
		if m.in != l.in && m.in != l.challenger {
			go m.gone()
			return
		}
		m.in.tape, m.in.gone = m.tape, m.gone
	case doRequest:
		m.reply <- l.act(m)
	}
}

// write takes one unit of a publisher.
func (l *live) write(m unitMessage) {
	if m.in != l.in && m.in != l.challenger {
		return // cut already
	}
	err := l.channel.checkUnit(m.unit)
	if err == nil {
		err = m.in.write(m.unit, m.arrived)
	}
	l.judgeUnit(m.in, err)
}

// emit takes a picture of a publisher that has been transcoded.
func (l *live) emit(m codedMessage) {
	if m.in == l.in || m.in == l.challenger {
		l.judgeUnit(m.in, m.in.coder.emit(m.picture))
	}
}

// judgeUnit goes on after a unit of a publisher: err is what was wrong with it.
func (l *live) judgeUnit(in *ingest, err error) {
	breach, tooMuch := errors.AsType[Breach](err)
	unfit, notTaken := errors.AsType[inputError](err)
	tooSlow, notCarried := errors.AsType[capacityError](err)
	switch {
	case err == nil:
	case in == l.challenger:
		l.dropChallenger(err)
		return
	case tooMuch:
		l.breach(breach)
		return
	case notCarried:
		l.fail(tooSlow)
		return
	case notTaken:
		l.log.Warn("publisher cut", "remote", in.remote, "code", unfit.code, "error", err)
		in.cut(err)
		l.code = unfit.code
		l.end(err.Error())
		return
	default:
		// It goes with what it sent; what viewers have so far stays.
		l.log.Warn("publisher cut", "remote", in.remote, "error", err)
		in.cut(err)
		l.detach(err.Error(), false)
		return
	}
	n := l.received()
	l.counts.videoBytes.Store(n.video)
	l.counts.audioBytes.Store(n.audio)
	l.counts.droppedSound.Store(l.in.feed.droppedSound)
	if l.state == stateConnected && l.ready() {
		l.play()
	}
}

// received counts what has come from all publishers of the stream.
func (l *live) received() received {
	if l.in == nil {
		return l.meter.gone
	}
	return l.meter.gone.plus(l.in.received())
}

// breach ends a stream that is more than its channel takes.
func (l *live) breach(b Breach) {
	l.log.Warn("publisher cut", "remote", l.in.remote, "error", b)
	l.observe(Event{Kind: b.Limit, Breach: &b})
	l.in.cut(b)
	l.end(b.Error())
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
	case l.in != nil && in.priority == 0:
		return ErrAlreadyLive
	case l.in != nil:
		return l.challenge(in)
	case l.state == stateGap && in.identity != l.identity:
		l.end("another publisher took over")
		return errEnded
	case l.state == stateGap:
		l.expiry.Stop()
		l.counts.reconnects.Add(1)
		l.meter.reset(time.Now(), l.muxer.Load().EndTime(), l.meter.gone)
		l.to(statePlaying, "the publisher is back")
	}
	l.accept(in)
	l.in, l.identity, l.source = in, in.identity, in.publisher.Source
	return nil
}

// accept prepares for what a publisher will send.
func (l *live) accept(in *ingest) {
	in.came = time.Now()
	in.feed = feed{outlet: in}
	in.input, in.coder = &in.feed, newTranscoder(in, l.log)
	if in.coder != nil {
		in.input = in.coder
	}
	l.log.Info("publisher connected", "remote", in.remote, "source", in.publisher.Source, "priority", in.priority)
}

// play makes the stream known: its first part is there.
func (l *live) play() {
	l.playable.Store(true)
	l.to(statePlaying, "the first part is playable")
	l.log.Info("stream is playable", "after", time.Since(l.started).Round(time.Millisecond))
	l.meter.reset(time.Now(), l.muxer.Load().EndTime(), l.received())
	l.show(Healthy)
	l.observe(Event{Kind: StreamStart})
}

// detach handles the end of the publisher.
func (l *live) detach(reason string, goodbye bool) {
	l.log.Info("publisher gone", "goodbye", goodbye, "reason", reason)
	if l.challenger != nil {
		l.succeed(reason)
		return
	}
	if goodbye || l.state == stateConnected {
		l.end(reason)
		return
	}
	l.meter.gone = l.received()
	if err := l.in.feed.interrupt(); err != nil {
		l.log.Error("cannot close the last segment", "error", err)
	}
	l.in.finish()
	l.in = nil
	l.to(stateGap, reason)
	l.judge(Starving)
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
	}
	l.end(r.reason)
	return nil
}

// end finishes the stream; its playlist stays for a while.
func (l *live) end(reason string) {
	wasPlayable := l.state != stateConnected
	l.meter.gone = l.received()
	if l.in != nil {
		l.in.finish()
		l.in = nil
	}
	if l.challenger != nil {
		l.challenger.cut(errEnded)
		l.challenger.finish()
		l.challenger = nil
	}
	if err := l.breakAll(true); err != nil {
		l.log.Error("cannot close the last segment", "error", err)
	}
	l.to(stateEnded, reason)
	if wasPlayable {
		l.observe(Event{Kind: StreamEnd, Reason: reason})
	}
	l.observe(Event{Kind: SessionEnded, Reason: reason, Code: l.code})
	l.expiry.Reset(linger)
}

// abandon ends the stream with the server. Players find its continuation after a restart: no end of list.
func (l *live) abandon() {
	for _, in := range []*ingest{l.in, l.challenger} {
		if in != nil {
			in.cut(errShutdown)
			if in.coder != nil {
				in.coder.close()
			}
		}
	}
	l.in, l.challenger = nil, nil
	if list := l.renditions.Load(); list != nil {
		for _, r := range *list {
			r.muxer.Abandon()
		}
	}
	if l.state == stateEnded {
		return
	}
	wasPlayable := l.state != stateConnected
	l.to(stateEnded, errShutdown.Error())
	if wasPlayable {
		l.observe(Event{Kind: StreamEnd, Reason: errShutdown.Error()})
	}
	l.observe(Event{Kind: SessionEnded, Reason: errShutdown.Error()})
}

// show publishes a snapshot.
func (l *live) show(h Health) {
	s := Stream{
		ChannelARN: l.channel.ARN, ID: l.id, StartTime: l.started, Health: h, Source: l.source,
	}
	if old := l.shown.Load(); old != nil {
		s.Video, s.Tracks, s.Renditions, s.Audio = old.Video, old.Tracks, old.Renditions, old.Audio
	}
	if l.in != nil {
		if v := l.in.videoInfo(l.meter.videoRate); len(v) > 0 {
			s.Video, s.Tracks, s.Audio = &v[0], v, l.in.feed.audioInfo(l.meter.audioRate)
			s.Renditions = v
			if l.in.coder != nil {
				s.Renditions = l.in.feed.videoInfo(0)
			}
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

// observe tells of an event, and fills in what all of them have.
func (l *live) observe(e Event) {
	if o := l.server.Observer; o != nil {
		e.Time, e.Stream, e.ChannelName = time.Now(), l.stream(), l.channel.Name
		o.Observe(e)
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
