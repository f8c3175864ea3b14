package synth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// outlet is one outgoing RTP stream. One goroutine at a time may write; reports may be made from another.
type outlet struct {
	track *webrtc.TrackLocalStaticRTP
	sent  *atomic.Uint64 // of the publisher
	ssrc  uint32
	clock clock

	sequence uint16 // of the next packet; the writer's

	mu      sync.Mutex // guards the counts
	packets uint32
	octets  uint32
}

// clock maps the wall clock to RTP timestamps.
type clock struct {
	rate int64 // per second
	base uint32
}

// at returns the timestamp of the moment t.
func (c clock) at(t time.Time) uint32 {
	ticks := t.Unix()*c.rate + int64(t.Nanosecond())*c.rate/int64(time.Second)
	return c.base + uint32(ticks)
}

func (s *session) newOutlet(codec webrtc.RTPCodecCapability) (*outlet, error) {
	kind := webrtc.NewRTPCodecType(codec.MimeType[:5]).String()
	track, err := webrtc.NewTrackLocalStaticRTP(codec, kind, "synth")
	if err != nil {
		return nil, fmt.Errorf("make the %s track: %w", kind, err)
	}
	transceiver, err := s.peer.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return nil, fmt.Errorf("add the %s track: %w", kind, err)
	}
	sender := transceiver.Sender()
	go s.readFeedback(sender) // ends when the peer connection is closed
	return &outlet{
		track: track, sent: &s.publisher.counts.packets, ssrc: uint32(sender.GetParameters().Encodings[0].SSRC),
		clock: clock{int64(codec.ClockRate), rand.Uint32()}, sequence: uint16(rand.Uint32()),
	}, nil
}

// write sends one packet.
func (o *outlet) write(timestamp uint32, marker bool, payload []byte) error {
	packet := &rtp.Packet{
		Header:  rtp.Header{Version: 2, Marker: marker, SequenceNumber: o.sequence, Timestamp: timestamp},
		Payload: payload,
	}
	o.sequence++
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

// ntp is the NTP timestamp of RFC 5905: seconds since 1900 in 32.32 bits.
func ntp(t time.Time) uint64 {
	const from1900 = 2208988800
	return uint64(t.Unix()+from1900)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// sendReports sends a sender report for each stream, soon after the start and then every second.
func (s *session) sendReports(ctx context.Context) error {
	const soon, regular = 100 * time.Millisecond, time.Second
	for n := 0; ; n++ {
		wait := regular
		if n < 5 { // lip sync should not have to wait
			wait = soon
		}
		if err := sleepUntil(ctx, time.Now().Add(wait)); err != nil {
			return err
		}
		if s.publisher.currentFaults().Silent {
			continue
		}
		now := time.Now()
		for _, o := range []*outlet{s.video, s.audio} {
			if o == nil {
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

// sleepUntil returns at t, or with ctx's error when that ends first.
func sleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
