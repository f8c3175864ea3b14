package stage

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/pion/rtcp"
)

// Feed is a publisher that is no WebRTC client: something in the server publishes by it, such as RTMP ingest. To
// everybody else on the stage it is a publisher as any other. It cannot be asked for a key frame: who subscribes
// starts with the group of pictures that is under way if that is kept, else with the next key frame.
//
// It may bring its picture in up to MaxLayers sizes, which are simulcast layers: from 0, which is there from the beginning. The
// number is a layer's rid.
//
// Layers and Video may be called from one goroutine, Audio from one, the other methods from any.
type Feed struct {
	publisher *publisher
	origin    time.Time
	video     []*feedTrack // by layer
	audio     *feedTrack
}

// FeedOptions are what a WebRTC client's request tells of itself.
type FeedOptions struct {
	Protocol string // of the participant: RTMP, RTMPS
	Agent    string // the program that sends, as a User-Agent
	// Origin is the wall clock's time at zero of the clock by which media are dated; zero: the opening.
	Origin time.Time
}

// reportInterval is the time between two sender reports of a feed's track.
const reportInterval = time.Second

// OpenFeed lets a participant join a stage to publish; the grant must allow it. Others see it publish after Start. It
// returns an *Error when it is refused. An Observer must not call it.
func (s *Server) OpenFeed(ctx context.Context, g Grant, o FeedOptions) (*Feed, error) {
	var f *Feed
	err := s.join(g, func(st *stage) error {
		f = s.newFeed(st, g, o)
		err := ask(ctx, st, func(reply chan<- error) request { return openFeed{f.publisher, reply} })
		if err != nil {
			f.publisher.close()
		}
		return err
	})
	return f, err
}

func (s *Server) newFeed(st *stage, g Grant, o FeedOptions) *Feed {
	p := &publisher{session: s.newSession(st, g, o.Agent, nil, nil), protocol: o.Protocol}
	if o.Origin.IsZero() {
		o.Origin = time.Now()
	}
	f := &Feed{publisher: p, origin: o.Origin}
	f.audio = f.newTrack(newSource(false, &s.counters, toNobody), audioClock)
	p.video, p.audio = newTrack(f.newLayer()), newTrack(f.audio.source)
	p.spawn(func() { p.video.run(p.ctx) })
	p.spawn(func() { p.measure(p.ctx) })
	return f
}

// toNobody takes RTCP for a feed: nothing goes back to where its media come from.
func toNobody([]rtcp.Packet) error { return nil }

func (f *Feed) newLayer() *source {
	src := newSource(true, &f.publisher.server.counters, toNobody)
	src.rid, src.fed = strconv.Itoa(len(f.video)), true
	f.video = append(f.video, f.newTrack(src, videoClock))
	return src
}

// Layers has the feed offer the first n layers at least: others know then that their pictures may come. There are no more than
// MaxLayers.
func (f *Feed) Layers(n int) {
	for len(f.video) < min(n, MaxLayers) {
		f.publisher.video.add(f.newLayer())
	}
}

// openFeed lets a feed's participant join.
type openFeed struct {
	publisher *publisher
	reply     chan<- error
}

func (r openFeed) apply(st *stage) {
	err := st.addPublisher(r.publisher)
	if err == nil {
		st.join(st.participants[r.publisher.grant.ParticipantID], r.publisher.agent, r.publisher.protocol)
	}
	r.reply <- err
}

// Start has the participant publish from now on, as others see it.
func (f *Feed) Start() { f.publisher.stage.tell(f.publisher.ctx, publisherConnected{f.publisher}) }

// Close ends the feed. When it returns the observer has been told.
func (f *Feed) Close(reason string) { f.end(publisherEnded{f.publisher, reason}) }

// Fail ends the feed with a publish error. When it returns the observer has been told.
func (f *Feed) Fail(e *Error) { f.end(publisherExceeded{f.publisher, e}) }

func (f *Feed) end(r request) {
	p := f.publisher
	// It fails only when the stage has ended, and the feed with it.
	_ = ask(p.server.ctx, p.stage, func(reply chan<- error) request { return endFeed{r, reply} })
}

// endFeed applies a request and says when that has been done.
type endFeed struct {
	request
	reply chan<- error
}

func (r endFeed) apply(st *stage) {
	r.request.apply(st)
	r.reply <- nil
}

// Report tells of a publish error that does not end the feed: of somebody else who wants to publish as this participant.
func (f *Feed) Report(e *Error) {
	p := f.publisher
	p.stage.tell(p.ctx, refused{Event{Kind: PublishError, Grant: p.grant, Protocol: p.protocol, ErrorCode: e.Code, Reason: e.Message}})
}

// ParticipantID is whom the feed publishes as.
func (f *Feed) ParticipantID() string { return f.publisher.grant.ParticipantID }

// Done is closed when the feed has ended, whoever wanted it.
func (f *Feed) Done() <-chan struct{} { return f.publisher.ctx.Done() }

// Reason is why the feed has ended; call it after Done only.
func (f *Feed) Reason() string {
	if reason := f.publisher.ended.Load(); reason != nil {
		return *reason
	}
	return "the server is shutting down"
}

// Video publishes one picture of a layer below MaxLayers: its RTP payloads (RFC 6184, packetization mode 1) of at most MaxPayload
// bytes. at is its presentation time on a clock of the caller's that all layers and audio share.
func (f *Feed) Video(layer int, at time.Duration, payloads [][]byte) {
	f.Layers(layer + 1)
	for i, p := range payloads {
		f.video[layer].write(at, p, i == len(payloads)-1)
	}
}

// Audio publishes one packet of Opus; see Video.
func (f *Feed) Audio(at time.Duration, payload []byte) { f.audio.write(at, payload, false) }

const (
	// MaxPayload is the most bytes that a packet of a Feed holds: with all headers it passes through every network that
	// WebRTC is used in.
	MaxPayload = 1200
	// audioClock is Opus' clock rate (RFC 7587 section 4.1).
	audioClock = 48000
)

// feedTrack numbers and times the packets of one kind, and tells subscribers the time by which they align the two.
type feedTrack struct {
	source   *source
	rate     int64 // of the RTP clock, ticks in a second
	origin   time.Time
	sequence uint16
	base     uint32 // timestamp at the origin of the caller's clock
	reported time.Time
}

func (f *Feed) newTrack(src *source, rate int64) *feedTrack {
	src.bind(rand.Uint32() | 1) // zero is none
	return &feedTrack{source: src, rate: rate, origin: f.origin, sequence: uint16(rand.Uint32()), base: rand.Uint32()}
}

// ticks is the RTP timestamp of a moment of the caller's clock.
func (t *feedTrack) ticks(at time.Duration) uint32 {
	seconds, rest := at/time.Second, at%time.Second
	return t.base + uint32(int64(seconds)*t.rate+(int64(rest)*t.rate+int64(time.Second)/2)/int64(time.Second))
}

func (t *feedTrack) write(at time.Duration, payload []byte, marker bool) {
	now := time.Now()
	p := newPacket()
	defer p.release()
	p.sequence, p.time, p.marker, p.padding, p.key, p.parameters = t.sequence, t.ticks(at), marker, 0, false, false
	p.payload = p.buf[:copy(p.buf[:], payload)]
	t.sequence++
	t.source.receive(p, now)
	if now.Sub(t.reported) >= reportInterval {
		t.reported = now
		t.source.setReport(&rtcp.SenderReport{SSRC: t.source.ssrc.Load(), NTPTime: ntpTime(t.origin.Add(at)), RTPTime: p.time})
	}
}

// ntpTime is a wall clock's time as NTP writes it (RFC 3550 section 4).
func ntpTime(at time.Time) uint64 {
	const epoch = 2208988800 // seconds from 1900 to 1970
	return uint64(at.Unix()+epoch)<<32 | uint64(at.Nanosecond())<<32/1e9
}

// ReportPublishError tells of somebody who could not publish as a participant, if the stage is live.
func (s *Server) ReportPublishError(ctx context.Context, g Grant, protocol string, e *Error) {
	if st := s.lookup(g.StageID); st != nil {
		st.tell(ctx, refused{Event{Kind: PublishError, Grant: g, Protocol: protocol, ErrorCode: e.Code, Reason: e.Message}})
	}
}
