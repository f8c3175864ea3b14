package stage

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// subscriber is the session of a participant that receives one publisher.
type subscriber struct {
	session
	publisher *publisher
	outlets   []*outlet
	bandwidth *bandwidth    // nil where there is nothing to choose by it
	shows     atomic.Uint64 // the size that the subscriber shows pictures in: width in the upper half

	connected bool // of the stage's goroutine
	seated    bool // it has one of the server's seats; of that goroutine too
	order     int  // among all subscriptions of the stage; of its goroutine too
}

// outlet is the local track of one media section: it learns from the WebRTC stack how packets are to be
// addressed, and then has a sink.
type outlet struct {
	subscriber *subscriber
	track      *track
	kind       webrtc.RTPCodecType
	sink       *sink // nil until bound
}

func (s *Server) newSubscriber(p *publisher, g Grant, agent string, o *offer) (*subscriber, error) {
	u := &subscriber{publisher: p}
	// Composers say which sizes they show, and are near: what they ask for they get.
	if len(p.video.layers()) > 1 && !g.Hidden && o.video != nil && slices.Contains(o.video.feedback, webrtc.TypeRTCPFBTransportCC) {
		u.bandwidth = newBandwidth(time.Now())
	}
	pc, err := s.newPeer(o, u)
	if err != nil {
		return nil, err
	}
	u.session = s.newSession(p.stage, g, agent, o, pc)
	add := func(kind webrtc.RTPCodecType, from *track) error {
		t := &outlet{subscriber: u, track: from, kind: kind}
		u.outlets = append(u.outlets, t)
		_, err := pc.AddTransceiverFromTrack(t, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		return err
	}
	if o.video != nil {
		err = add(webrtc.RTPCodecTypeVideo, p.video)
	}
	if o.audio != nil && err == nil {
		err = add(webrtc.RTPCodecTypeAudio, p.audio)
	}
	if err != nil {
		u.close()
		return nil, err
	}
	u.watch(
		func() {
			u.start()
			u.stage.tell(u.ctx, subscriberConnected{u})
		},
		func(reason string) { u.stage.tell(u.ctx, subscriberEnded{u, reason}) },
	)
	return u, nil
}

// start lets media flow; the connection is up.
func (u *subscriber) start() {
	// Where the address changes later, packets are sent by another shard than the lane's own, but in order.
	lane := u.server.lanes[u.server.network.index(u.remote())]
	for _, t := range u.outlets {
		k := t.sink
		if k == nil {
			continue // its section was rejected
		}
		k.attach(lane)
		u.finally(k.detach)
	}
}

// show takes the size in pixels at which the subscriber shows the video. It gets the simulcast layer that is nearest to
// it; the zero size means that it wants the largest.
func (u *subscriber) show(s size) {
	u.shows.Store(uint64(s.width)<<32 | uint64(s.height))
	u.publisher.video.changed()
}

// Bind makes the sink: the negotiation is over and the codec known. The WebRTC stack calls it.
func (t *outlet) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	mime := webrtc.MimeTypeOpus
	if t.kind == webrtc.RTPCodecTypeVideo {
		mime = webrtc.MimeTypeH264
	}
	for _, codec := range c.CodecParameters() {
		if !strings.EqualFold(codec.MimeType, mime) {
			continue
		}
		k := newSink(t.track, c.WriteStream(), t.subscriber.pc.WriteRTCP, t.subscriber.log)
		k.ssrc, k.payloadType = uint32(c.SSRC()), uint8(codec.PayloadType)
		k.shows = &t.subscriber.shows
		if v := t.subscriber.offer.video; k.video && v.rtx != 0 && c.SSRCRetransmission() != 0 {
			k.rtxSSRC, k.rtxType = uint32(c.SSRCRetransmission()), v.rtx
		}
		for _, ext := range c.HeaderExtensions() {
			if k.video && ext.URI == sdp.TransportCCURI && t.subscriber.bandwidth != nil {
				k.bandwidth, k.extension = t.subscriber.bandwidth, uint8(ext.ID)
				k.probes = func(rate float64) { t.subscriber.spawn(func() { k.probe(t.subscriber.ctx, rate) }) }
			}
		}
		t.sink = k
		return codec, nil
	}
	return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
}

// Unbind has nothing to do: the session's end detaches the sink.
func (t *outlet) Unbind(webrtc.TrackLocalContext) error { return nil }

// ID is the track's name in the answer.
func (t *outlet) ID() string { return t.kind.String() }

// RID is empty: a subscriber gets one stream, whatever layers it is made of.
func (t *outlet) RID() string { return "" }

// StreamID is the publisher's participant id, the same for both tracks: browsers synchronise
// the tracks of one stream.
func (t *outlet) StreamID() string { return t.subscriber.publisher.grant.ParticipantID }

// Kind is audio or video.
func (t *outlet) Kind() webrtc.RTPCodecType { return t.kind }

// subscribe is the whole of a POST to /whip/subscribe/{id}: it checks the offer, finds the publisher and
// returns the session with its answer.
func (s *Server) subscribe(ctx context.Context, g Grant, participantID, agent string, body []byte) (*subscriber, string, error) {
	if !g.Subscribe {
		refusal := refuse(InsufficientCapability, "the token does not allow to subscribe")
		s.reportRefusal(ctx, g, SubscribeError, participantID, refusal)
		return nil, "", refusal
	}
	o, refusal := subscribeOffer(body)
	if refusal != nil {
		s.reportRefusal(ctx, g, SubscribeError, participantID, refusal)
		return nil, "", refusal
	}
	notFound := refuse(PublisherNotFound, "participant %q is not publishing on this stage", participantID)
	st := s.lookup(g.StageID)
	if st == nil {
		return nil, "", notFound
	}
	found := make(chan *publisher, 1)
	if err := st.post(ctx, findPublisher{participantID, found}); err != nil {
		return nil, "", notFound
	}
	p := <-found
	if p == nil {
		s.reportRefusal(ctx, g, SubscribeError, participantID, notFound)
		return nil, "", notFound
	}
	u, err := s.newSubscriber(p, g, agent, o)
	if err != nil {
		return nil, "", err
	}
	if err := ask(ctx, st, func(reply chan<- error) request { return addSubscriber{u, reply} }); err != nil {
		u.close()
		if errors.Is(err, errStageEnded) {
			err = notFound
		}
		return nil, "", err
	}
	answer, err := u.answer(ctx)
	if err != nil {
		u.stage.tell(s.ctx, subscriberEnded{u, "the offer could not be answered"})
		return nil, "", err
	}
	return u, answer, nil
}

// subscribeOffer parses an offer and checks what a subscriber must have.
func subscribeOffer(body []byte) (*offer, *Error) {
	o, err := parseOffer(body)
	switch {
	case err != nil:
		return nil, err
	case !o.hasVideo && !o.hasAudio:
		return nil, refuse(InvalidInput, "the offer has no audio and no video section")
	case o.hasVideo && o.video == nil:
		return nil, refuse(InvalidVideoCodec, "the offer has a video section without H.264")
	case o.hasAudio && o.audio == nil:
		return nil, refuse(InvalidAudioCodec, "the offer has an audio section without Opus (48 kHz, 2 channels)")
	}
	return o, nil
}
