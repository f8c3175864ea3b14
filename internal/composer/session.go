package composer

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/composer/clock"
)

// session is one connection to a participant. Its tracks have a goroutine each that decodes, and two that
// read.
type session struct {
	*input
	hangUp   context.CancelCauseFunc
	sync     *clock.Sync
	pictures pictures
	hasVideo atomic.Bool // the answer promises that track
	hasAudio atomic.Bool

	mu        sync.Mutex
	closed    bool
	video     bool // its track has come
	audio     bool
	lastAudio time.Duration
	everAudio bool
}

func (s *session) tookVideo() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.video
}

// take starts the goroutines of a track. Called by the connection, once per track.
func (s *session) take(ctx context.Context, wg *sync.WaitGroup, pc *webrtc.PeerConnection, t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
	kind := clock.Audio
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	switch {
	case strings.EqualFold(t.Codec().MimeType, webrtc.MimeTypeH264) && !s.video:
		s.video, kind = true, clock.Video
	case strings.EqualFold(t.Codec().MimeType, webrtc.MimeTypeOpus) && !s.audio:
		s.audio = true
	default:
		s.log.Warn("track is of no use", "participant", s.id, "codec", t.Codec().MimeType)
		return
	}
	packets := make(chan rtpPacket, packetQueue)
	wg.Go(func() { s.read(ctx, kind, t, packets) })
	wg.Go(func() { s.reports(ctx, kind, r) })
	if kind == clock.Video {
		pli := []rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(t.SSRC())}}
		wg.Go(func() {
			v := &videoTrack{session: s, packets: packets, requestKey: func() {
				// Asking is repeated as long as a key frame is missing.
				_ = pc.WriteRTCP(pli)
			}}
			v.run(ctx)
		})
		return
	}
	wg.Go(func() { s.runAudio(ctx, packets) })
}

// packetQueue is how many packets may wait for a decoder, about two seconds of 720p.
const packetQueue = 512

// rtpPacket is a packet with its time of arrival.
type rtpPacket struct {
	seq     uint16
	ts      int64 // RTP time, see clock.Sync.Arrive
	marker  bool
	payload []byte
	arrival time.Duration
}

// read takes packets off the connection. When the decoder is behind it drops them: that counts as loss.
func (s *session) read(ctx context.Context, k clock.Kind, t *webrtc.TrackRemote, out chan<- rtpPacket) {
	defer close(out)
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return // the connection is closed
		}
		s.received.Add(1)
		now := s.clock.Now()
		select {
		case out <- rtpPacket{seq: p.SequenceNumber, ts: s.sync.Arrive(k, p.Timestamp, now), marker: p.Marker, payload: p.Payload, arrival: now}:
		case <-ctx.Done():
			return
		default:
			s.lost.Add(1)
		}
	}
}

// reports gives the sender's reports to the clock. Reading is also what drives the connection's own reports.
func (s *session) reports(ctx context.Context, k clock.Kind, r *webrtc.RTPReceiver) {
	for ctx.Err() == nil {
		ps, _, err := r.ReadRTCP()
		if err != nil {
			return // the connection is closed
		}
		for _, p := range ps {
			if sr, ok := p.(*rtcp.SenderReport); ok {
				s.sync.Report(k, sr.NTPTime, sr.RTPTime)
			}
		}
	}
}
