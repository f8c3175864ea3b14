package stage

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

// publisher is the session of a participant that publishes. It has a track for video and one for audio
// from the start, so that subscribers can come before the first packet, or while a track is muted.
type publisher struct {
	session
	video, audio *track
	protocol     string  // of the participant
	origin       *Origin // of a replica, whose tracks are the original's; else nil

	// These are the stage's goroutine's.
	connected bool
	seated    bool // it has one of the server's seats
	resumes   bool // it took over from a session of the participant's that was connected
	audience  int  // its subscribers that are connected, but hidden ones

	ended atomic.Pointer[string] // why, once it has
}

func (s *Server) newPublisher(st *stage, g Grant, agent string, o *offer) (*publisher, error) {
	o.limit = s.maxBitRate()
	pc, err := s.newPeer(o, nil)
	if err != nil {
		return nil, err
	}
	p := &publisher{session: s.newSession(st, g, agent, o, pc), protocol: protocolWHIP}
	rids := o.rids
	if rids == nil {
		rids = []string{""}
	}
	var layers []*source
	for _, rid := range rids {
		l := newSource(true, &s.counters, pc.WriteRTCP)
		l.rid, l.nack = rid, o.video.nack
		p.spawn(func() { l.keys.run(p.ctx) })
		layers = append(layers, l)
	}
	p.video = newTrack(layers...)
	sound := newSource(false, &s.counters, pc.WriteRTCP)
	sound.nack = o.audio != nil && o.audio.nack
	p.audio = newTrack(sound)
	if len(layers) > 1 {
		p.spawn(func() { p.video.run(p.ctx) })
	}
	p.spawn(func() { p.measure(p.ctx) })
	pc.OnTrack(p.receive)
	p.watch(
		func() { p.stage.tell(p.ctx, publisherConnected{p}) },
		func(reason string) { p.stage.tell(p.ctx, publisherEnded{p, reason}) },
	)
	return p, nil
}

// receive reads one track until the connection ends. The WebRTC stack calls it on a goroutine of its own.
func (p *publisher) receive(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	src := p.audio.layers()[0]
	if track.Kind() == webrtc.RTPCodecTypeVideo {
		if src = p.video.layer(track.RID()); src == nil {
			p.log.Info("publisher has a layer that was not offered; it is ignored", "rid", track.RID())
			return
		}
	}
	// Where the offer does not name the streams' SSRCs, retransmissions come as a track of their own.
	rtx := strings.EqualFold(track.Codec().MimeType, webrtc.MimeTypeRTX)
	if !rtx {
		if !src.bind(uint32(track.SSRC())) {
			p.log.Info("publisher has a second track of a kind; it is ignored", "kind", track.Kind())
			return
		}
		p.spawn(func() { p.readReports(receiver, src, uint32(track.SSRC())) })
	}
	var failures int
	for {
		pkt := newPacket()
		n, _, err := track.Read(pkt.buf[:])
		if err == nil {
			err = pkt.parse(n)
		}
		if err == nil && (!rtx || pkt.restore()) {
			src.receive(pkt, time.Now())
			failures = 0
		}
		pkt.release()
		if err == nil {
			continue
		}
		// A packet that cannot be read costs only itself, but an error that stays must not spin.
		failures++
		if p.ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || failures > 1000 {
			return
		}
		p.server.counters.packetsMalformed.Add(1)
	}
}

// readReports takes the publisher's sender reports of one track.
func (p *publisher) readReports(receiver *webrtc.RTPReceiver, src *source, ssrc uint32) {
	read := receiver.ReadRTCP
	if src.rid != "" {
		read = func() ([]rtcp.Packet, interceptor.Attributes, error) { return receiver.ReadSimulcastRTCP(src.rid) }
	}
	for {
		pkts, _, err := read()
		if err != nil {
			if p.ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
				return
			}
			continue
		}
		for _, pkt := range pkts {
			if r, ok := pkt.(*rtcp.SenderReport); ok && r.SSRC == ssrc {
				src.setReport(r)
			}
		}
	}
}

// close ends the session; nothing is forwarded after it.
func (p *publisher) close() {
	p.session.close()
	if p.video != nil && p.origin == nil {
		p.video.close()
		p.audio.close()
	}
}

// publishOffer parses an offer and checks what a publisher must have.
func publishOffer(body []byte) (*offer, *Error) {
	o, err := parseOffer(body)
	switch {
	case err != nil:
		return nil, err
	case o.video == nil:
		return nil, refuse(InvalidVideoCodec, "the offer has no video section with H.264; offer H.264 even to publish audio only")
	case o.hasAudio && o.audio == nil:
		return nil, refuse(InvalidAudioCodec, "the offer has an audio section without Opus (48 kHz, 2 channels)")
	}
	o.takeLayers()
	return o, nil
}

// publish is the whole of a WHIP POST: it checks the offer, joins the stage and returns the session with its answer.
func (s *Server) publish(ctx context.Context, g Grant, agent string, body []byte) (*publisher, string, error) {
	if !g.Publish {
		refusal := refuse(InsufficientCapability, "the token does not allow to publish")
		s.reportRefusal(ctx, g, PublishError, "", refusal)
		return nil, "", refusal
	}
	o, refusal := publishOffer(body)
	if refusal != nil {
		s.reportRefusal(ctx, g, PublishError, "", refusal)
		return nil, "", refusal
	}
	var p *publisher
	err := s.join(g, func(st *stage) error {
		var err error
		if p, err = s.newPublisher(st, g, agent, o); err != nil {
			return err
		}
		if err := ask(ctx, st, func(reply chan<- error) request { return addPublisher{p, reply} }); err != nil {
			p.close()
			return err
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	answer, err := p.answer(ctx)
	if err != nil {
		p.stage.tell(s.ctx, publisherEnded{p, "the offer could not be answered"})
		return nil, "", err
	}
	return p, answer, nil
}
