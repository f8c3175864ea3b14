package synth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// outlet is one outgoing RTP stream: a track, or a simulcast layer of one. One goroutine at a time may write;
// reports may be made from another.
type outlet struct {
	track *webrtc.TrackLocalStaticRTP
	sent  *atomic.Uint64 // of the publisher
	ssrc  uint32
	clock clock
	rid   string // of the simulcast layer, "" without simulcast

	keyWanted atomic.Bool // a receiver asked for a key frame
	stamp     func(*rtp.Header) error

	sequence uint16 // of the next packet; the writer's

	mu      sync.Mutex // guards the counts
	packets uint32
	octets  uint32
}

// clock maps the publisher's clock to RTP timestamps.
type clock struct {
	rate int64 // per second
	base uint32
}

// at returns the timestamp of the moment t.
func (c clock) at(t time.Time) uint32 {
	ticks := t.Unix()*c.rate + int64(t.Nanosecond())*c.rate/int64(time.Second)
	return c.base + uint32(ticks)
}

// newOutlets adds a track to the connection, with an outlet for each of its simulcast layers. No rids is one outlet.
func (s *session) newOutlets(codec webrtc.RTPCodecCapability, rids []string) ([]*outlet, error) {
	kind := webrtc.NewRTPCodecType(codec.MimeType[:5]).String()
	if rids == nil {
		rids = []string{""}
	}
	var transceiver *webrtc.RTPTransceiver
	var outlets []*outlet
	for i, rid := range rids {
		var options []func(*webrtc.TrackLocalStaticRTP)
		if rid != "" {
			options = append(options, webrtc.WithRTPStreamID(rid))
		}
		track, err := webrtc.NewTrackLocalStaticRTP(codec, kind, "synth", options...)
		if err != nil {
			return nil, fmt.Errorf("make the %s track: %w", kind, err)
		}
		if i == 0 {
			transceiver, err = s.peer.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		} else {
			err = transceiver.Sender().AddEncoding(track)
		}
		if err != nil {
			return nil, fmt.Errorf("add the %s track: %w", kind, err)
		}
		o := &outlet{
			track: track, sent: &s.publisher.counts.packets, rid: rid,
			clock: clock{int64(codec.ClockRate), rand.Uint32()}, sequence: uint16(rand.Uint32()),
			stamp: func(*rtp.Header) error { return nil },
		}
		if rid != "" {
			o.stamp = stamper(transceiver, rid)
		}
		outlets = append(outlets, o)
	}
	sender := transceiver.Sender()
	for i, o := range outlets {
		o.ssrc = uint32(sender.GetParameters().Encodings[i].SSRC)
		go s.readFeedback(sender, o) // ends when the peer connection is closed
	}
	return outlets, nil
}

// stamper returns what writes the section's and the layer's names into each packet (RFC 8852), by which the stage
// knows a layer whose SSRC no SDP names.
func stamper(transceiver *webrtc.RTPTransceiver, rid string) func(*rtp.Header) error {
	var midID, ridID uint8
	return func(header *rtp.Header) error {
		if ridID == 0 {
			for _, extension := range transceiver.Sender().GetParameters().HeaderExtensions {
				switch extension.URI {
				case sdp.SDESMidURI:
					midID = uint8(extension.ID)
				case sdp.SDESRTPStreamIDURI:
					ridID = uint8(extension.ID)
				}
			}
			if midID == 0 || ridID == 0 {
				return fmt.Errorf("name layer %q: the stage takes no simulcast", rid)
			}
		}
		if err := header.SetExtension(midID, []byte(transceiver.Mid())); err != nil {
			return err
		}
		return header.SetExtension(ridID, []byte(rid))
	}
}

// write sends one packet.
func (o *outlet) write(timestamp uint32, marker bool, payload []byte) error {
	packet := &rtp.Packet{
		Header:  rtp.Header{Version: 2, Marker: marker, SequenceNumber: o.sequence, Timestamp: timestamp},
		Payload: payload,
	}
	o.sequence++
	if err := o.stamp(&packet.Header); err != nil {
		return err
	}
	if err := o.track.WriteRTP(packet); err != nil {
		return err
	}
	o.sent.Add(1)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.packets++
	o.octets += uint32(len(payload))
	return nil
}

// report says which timestamp belongs to now; nil before the first packet.
func (o *outlet) report(now time.Time) rtcp.Packet {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.packets == 0 {
		return nil
	}
	return &rtcp.SenderReport{
		SSRC: o.ssrc, NTPTime: ntp(now), RTPTime: o.clock.at(now), PacketCount: o.packets, OctetCount: o.octets,
	}
}

// readFeedback reads what receivers say about an outlet until the connection is closed.
func (s *session) readFeedback(sender *webrtc.RTPSender, o *outlet) {
	read := sender.ReadRTCP
	if o.rid != "" {
		read = func() ([]rtcp.Packet, interceptor.Attributes, error) { return sender.ReadSimulcastRTCP(o.rid) }
	}
	for {
		packets, _, err := read()
		if err != nil {
			return
		}
		for _, packet := range packets {
			switch packet.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				s.publisher.counts.keyRequests.Add(1)
				o.keyWanted.Store(true)
			}
		}
	}
}

// sendReports sends a sender report for each stream, soon after the start and then every second.
func (s *session) sendReports(ctx context.Context) error {
	const soon, regular = 100 * time.Millisecond, time.Second
	p := s.publisher
	for n := 0; ; n++ {
		wait := regular
		if n < 5 { // lip sync should not have to wait
			wait = soon
		}
		if err := p.sleepUntil(ctx, p.now().Add(wait)); err != nil {
			return err
		}
		faults := p.currentFaults()
		if faults.Silent || faults.NoReports {
			continue
		}
		now := p.now()
		for _, o := range s.outlets() {
			if faults.pauses(o.rid) && o.rid != "" {
				continue
			}
			if report := o.report(now); report != nil {
				if err := s.peer.WriteRTCP([]rtcp.Packet{report}); err != nil {
					return err
				}
			}
		}
	}
}
