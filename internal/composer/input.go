package composer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/audio"
	"github.com/footlight-live/footlight/internal/composer/clock"
	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/wire"
)

// trackState is what the composer sees of a track; the names go over the wire.
type trackState string

const (
	waiting  trackState = "waiting" // nothing decoded yet, and that is no wonder
	live     trackState = "live"
	muted    trackState = "muted"    // the participant says so, whatever it sends
	stalled  trackState = "stalled"  // nothing for stalledAfter
	none     trackState = "none"     // the participant sends no such track, or never anything on it
	tooLarge trackState = "tooLarge" // more than 1080p, which counts as audio only, as on IVS
)

// neverSends is how long after its arrival a participant's first picture or sound is waited for; after that
// there is no such track.
const neverSends = 3 * time.Second

// input is the media of one publishing participant, over as many connections as it takes. Its goroutine is
// run; canvases look at pictures, the sound loop at the timeline, both from their own goroutines.
type input struct {
	id       string
	whep     *whep
	clock    *clock.Clock
	meters   *meters
	log      *slog.Logger
	timeline *audio.Timeline
	born     time.Duration
	lateness time.Duration // see pictures

	session      atomic.Pointer[session] // the connection of now; nil between two
	before       atomic.Pointer[session] // the one before that had a picture, for its last one; or nil
	resuming     bool                    // as follow saw it last
	publishes    chan struct{}           // word that it publishes again
	size         layerSize
	videoStopped atomic.Bool
	audioMuted   atomic.Bool

	decoded, received, lost, keyRequests atomic.Uint64
}

// mute takes what the participant says of itself.
func (in *input) mute(m member) {
	in.timeline.Mute(m.AudioMuted)
	in.audioMuted.Store(m.AudioMuted)
	if in.videoStopped.Swap(m.VideoStopped) == m.VideoStopped {
		return
	}
	for _, s := range []*session{in.session.Load(), in.before.Load()} {
		if s != nil {
			s.pictures.shut(m.VideoStopped, in.clock.Now())
		}
	}
}

// resume takes whether the participant is between two connections to the stage. The one from here to the stage ends
// with the first, whether word of that comes or gets lost, and the next attempt waits for the second.
func (in *input) resume(resuming bool) {
	if resuming == in.resuming {
		return
	}
	in.resuming = resuming
	if !resuming {
		select {
		case in.publishes <- struct{}{}:
		default:
		}
	} else if s := in.session.Load(); s != nil {
		s.hangUp(errResumes)
	}
}

// run subscribes, and again when the connection fails, until ctx ends.
func (in *input) run(ctx context.Context) {
	pause := backoff{first: 100 * time.Millisecond, most: maxSubscribe}
	defer in.keep(nil)
	for ctx.Err() == nil {
		began := in.clock.Now()
		err := in.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if in.clock.Now()-began > 10*time.Second {
			pause.reset()
		}
		level := slog.LevelWarn
		if errors.Is(err, errResumes) || errors.Is(err, errConnection(webrtc.PeerConnectionStateClosed)) {
			level = slog.LevelInfo // the stage hung up, as it does when a participant leaves or comes anew
		}
		in.log.Log(ctx, level, "subscription ended", "participant", in.id, "reason", err)
		pause.wait(ctx, in.publishes)
	}
}

// connect subscribes and lets the tracks run until the connection fails or ctx ends.
func (in *input) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	s := &session{input: in, sync: clock.NewSync(), hangUp: cancel}
	s.pictures.due, s.pictures.lateness = func(ts int64) time.Duration { return s.sync.Due(clock.Video, ts) }, in.lateness
	defer func() {
		cancel(nil)
		s.mu.Lock()
		s.closed = true // no track starts from here on
		s.mu.Unlock()
		wg.Wait()
		in.keep(s)
		in.session.Store(nil)
	}()
	if before := in.before.Load(); before != nil {
		wg.Go(func() {
			if sleep(ctx, stalledAfter+clock.MaxDelay) { // nobody shows its pictures any more
				before.pictures.clear()
			}
		})
	}
	sub, err := in.whep.subscribe(ctx, &wg, func(pc *webrtc.PeerConnection) {
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
	defer sub.end()
	s.hasVideo.Store(sends(sub.answer, "video"))
	s.hasAudio.Store(sends(sub.answer, "audio"))
	in.session.Store(s)
	s.pictures.shut(in.videoStopped.Load(), in.clock.Now())
	in.size.follow(ctx, sub.resize)
	return context.Cause(ctx)
}

// keep lets the last picture of a session that has ended be shown as long as that of one that stalls. One without
// pictures takes nothing away from the one before; nil ends it all.
func (in *input) keep(ended *session) {
	if ended != nil && !ended.pictures.any() {
		return
	}
	if before := in.before.Swap(ended); before != nil {
		before.pictures.clear()
	}
}

// errResumes is why a session ends whose participant has got another connection to the stage.
var errResumes = errors.New("the participant connects anew")

type errConnection webrtc.PeerConnectionState

func (e errConnection) Error() string {
	return "connection " + webrtc.PeerConnectionState(e).String()
}

// view is what there is to see of a participant at one time.
type view struct {
	video   trackState
	shown   *shot    // with a reference of its own, for live only
	session *session // that the picture is from, else the one of now; nil when there is none
}

// size of the picture shown, 0 while there is none.
func (v *view) size() (width, height int) {
	if v.shown == nil {
		return 0, 0
	}
	return v.shown.Width, v.shown.Height
}

func (v *view) picture() *av.Picture {
	if v.shown == nil {
		return nil
	}
	return v.shown.Picture
}

// show takes the view at composer time t with the picture that take chooses, for which see pictures. The caller
// releases it.
func (in *input) show(t time.Duration, take func(*session) (shown *shot, seen bool)) view {
	s := in.session.Load()
	v := view{video: waiting, session: s}
	young := t-in.born < neverSends
	if in.videoStopped.Load() {
		v.video = muted
		return v
	}
	var shown *shot
	seen := false
	if s != nil {
		shown, seen = take(s)
	}
	if before := in.before.Load(); shown == nil && before != nil && before != s {
		// The connection is a new one that has no picture yet, or there is none.
		if shown, _ = take(before); shown != nil {
			v.session = before
		}
	}
	switch {
	case shown != nil && !fits(shown.Picture):
		shown.Release()
		v.video = tooLarge
	case shown != nil:
		v.video, v.shown = live, shown
	case seen || s == nil && !young:
		v.video = stalled
	case s != nil && (!young || !s.hasVideo.Load() && !s.tookVideo()):
		v.video = none
	}
	return v
}

func fits(pic *av.Picture) bool {
	p := layout.Participant{HasVideo: true, VideoWidth: pic.Width, VideoHeight: pic.Height}
	return p.ShowsVideo()
}

// heard is the state of the sound at composer time now.
func (in *input) heard(now time.Duration) trackState {
	s := in.session.Load()
	if in.audioMuted.Load() {
		return muted
	}
	if s == nil {
		return waiting
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.everAudio && now-s.lastAudio > stalledAfter:
		return stalled
	case s.everAudio:
		return live
	case now-in.born >= neverSends || !s.hasAudio.Load() && !s.audio:
		return none
	}
	return waiting
}

// report describes the input for the heartbeat.
func (in *input) report(now time.Duration) wire.Input {
	v := in.show(now, func(s *session) (*shot, bool) { return s.pictures.peek(now) })
	r := wire.Input{ID: in.id, Video: string(v.video), Audio: string(in.heard(now)), Decoded: in.decoded.Load(), Received: in.received.Load(),
		Lost: in.lost.Load(), KeyRequests: in.keyRequests.Load(), Level: in.timeline.Level(), Speaking: in.timeline.Speaking()}
	r.Width, r.Height = v.size()
	v.picture().Release()
	if v.session != nil {
		r.Jitter, r.Delay = milliseconds(v.session.sync.Jitter()), milliseconds(v.session.sync.Delay())
	}
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
