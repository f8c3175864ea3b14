package composer

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/composer/audio"
	"github.com/footlight-live/footlight/internal/composer/clock"
	"github.com/footlight-live/footlight/internal/composer/wire"
)

// trackState is what the composer sees of a track; the names go over the wire.
type trackState string

const (
	waiting trackState = "waiting" // nothing decoded yet
	live    trackState = "live"
	stalled trackState = "stalled" // nothing for stalledAfter
	none    trackState = "none"    // the participant sends no such track
)

// input is the media of one publishing participant, over as many connections as it takes. Its goroutine is
// run; canvases look at pictures, the sound loop at the timeline, both from their own goroutines.
type input struct {
	id       string
	whep     *whep
	clock    *clock.Clock
	log      *slog.Logger
	timeline *audio.Timeline
	born     time.Duration

	session atomic.Pointer[session] // the connection of now; nil between two
	decoded atomic.Uint64
	lost    atomic.Uint64
}

// run subscribes, and again when the connection fails, until ctx ends.
func (in *input) run(ctx context.Context) {
	pause := backoff{first: 100 * time.Millisecond, most: maxSubscribe}
	for ctx.Err() == nil {
		began := in.clock.Now()
		err := in.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if in.clock.Now()-began > 10*time.Second {
			pause.reset()
		}
		in.log.Warn("subscription ended", "participant", in.id, "reason", err)
		pause.wait(ctx)
	}
}

// connect subscribes and lets the tracks run until the connection fails or ctx ends.
func (in *input) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	s := &session{input: in, sync: clock.NewSync()}
	s.pictures.due = func(ts int64) time.Duration { return s.sync.Due(clock.Video, ts) }
	defer func() {
		in.session.Store(nil)
		cancel(nil)
		s.mu.Lock()
		s.closed = true // no track starts from here on
		s.mu.Unlock()
		wg.Wait()
		s.pictures.clear()
	}()
	answer, end, err := in.whep.subscribe(ctx, &wg, func(pc *webrtc.PeerConnection) {
		pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
			if state == webrtc.PeerConnectionStateFailed || state == webrtc.PeerConnectionStateClosed {
				cancel(errConnection(state))
			}
		})
		pc.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) { s.take(ctx, &wg, pc, t, r) })
	})
	if err != nil {
		return err
	}
	defer end()
	s.hasVideo.Store(offersVideo(answer))
	in.session.Store(s)
	<-ctx.Done()
	return context.Cause(ctx)
}

type errConnection webrtc.PeerConnectionState

func (e errConnection) Error() string {
	return "connection " + webrtc.PeerConnectionState(e).String()
}

// session is one connection to the participant.
type session struct {
	*input
	sync     *clock.Sync
	pictures pictures
	hasVideo atomic.Bool

	mu        sync.Mutex
	closed    bool
	video     bool // its track has come
	audio     bool
	size      [2]int // of the last picture
	lastVideo time.Duration
	lastAudio time.Duration
	everVideo bool
	everAudio bool
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

// status is what the layout and the heartbeat need to know.
type status struct {
	video, audio  trackState
	width, height int // of the video, 0 while unknown
}

// status of the input at composer time now.
func (in *input) status(now time.Duration) status {
	s := in.session.Load()
	if s == nil {
		return status{video: waiting, audio: waiting}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := status{video: waiting, audio: waiting, width: s.size[0], height: s.size[1]}
	switch {
	case !s.hasVideo.Load() && !s.video:
		st.video = none
	case s.everVideo && now-s.lastVideo > stalledAfter:
		st.video = stalled
	case s.everVideo:
		st.video = live
	}
	switch {
	case s.everAudio && now-s.lastAudio > stalledAfter:
		st.audio = stalled
	case s.everAudio:
		st.audio = live
	}
	return st
}

// report describes the input for the heartbeat.
func (in *input) report(now time.Duration) wire.Input {
	st := in.status(now)
	return wire.Input{ID: in.id, Video: string(st.video), Audio: string(st.audio), Width: st.width, Height: st.height,
		Decoded: in.decoded.Load(), Lost: in.lost.Load()}
}
