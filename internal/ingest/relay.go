package ingest

import (
	"time"

	"github.com/footlight-live/footlight/internal/stage"
)

const (
	// failing is how long the shown encoder may bring no picture before the other one is shown.
	failing = time.Second
	// relayGap is the least time between the last picture of one encoder and the first of the other.
	relayGap = 10 * time.Millisecond
)

// relay is the participant of redundant ingest that others see: it shows one of the two encoders, and changes to the other
// one at a key frame when the shown one fails. The methods of a nil relay do nothing: there is no redundancy.
type relay struct {
	live     *live
	grant    stage.Grant
	protocol string

	feed  *stage.Feed // nil before the first encoder has started
	shown *stream     // nil while the one that was has failed
	seen  time.Time   // when it last brought a picture

	begun [stage.MaxLayers]bool // by layer: a key frame of the shown encoder came

	shift                time.Duration // what is added to the shown encoder's times, so that they go on behind the other's
	lastVideo, lastAudio time.Duration
}

// start has the participant join and publish with the first encoder, which has so many tracks.
func (r *relay) start(tracks int) {
	if r == nil || r.feed != nil {
		return
	}
	feed, err := r.live.server.Stages.OpenFeed(r.live.server.ctx, r.grant, stage.FeedOptions{Protocol: r.protocol, Origin: r.live.began})
	if err != nil {
		r.live.log.Error("the participant of redundant ingest cannot join", "error", err)
		r.live.stop(err.Error())
		return
	}
	r.feed = feed
	feed.Layers(tracks)
	feed.Start()
}

func (r *relay) ended() <-chan struct{} {
	if r == nil || r.feed == nil {
		return nil
	}
	return r.feed.Done()
}

// video shows a picture of a layer if it is the shown encoder's, or makes its encoder the shown one.
func (r *relay) video(s *stream, layer int, at time.Duration, key bool, payloads [][]byte) {
	if r == nil || r.feed == nil {
		return
	}
	if r.shown == nil && key && s.started {
		r.shown, r.begun = s, [stage.MaxLayers]bool{}
		r.shift = max(0, r.lastVideo+relayGap-at)
		r.live.log.Info("redundant ingest shows an encoder", "participant", s.participant())
	}
	if r.shown != s {
		return
	}
	r.seen = time.Now()
	if r.begun[layer] = r.begun[layer] || key; r.begun[layer] {
		r.lastVideo = max(r.lastVideo, at+r.shift)
		r.feed.Video(layer, at+r.shift, payloads)
	}
}

// audio plays 20 ms of sound if it is the shown encoder's. What would overlap the other one's is left out.
func (r *relay) audio(s *stream, at time.Duration, opus []byte) {
	if r == nil || r.feed == nil || r.shown != s {
		return
	}
	if at += r.shift; at > r.lastAudio {
		r.lastAudio = at
		r.feed.Audio(at, opus)
	}
}

// lost takes note that an encoder is gone: whoever brings the next key frame is shown.
func (r *relay) lost(s *stream) {
	if r != nil && r.shown == s {
		r.shown = nil
	}
}

// check gives up on the shown encoder when it brings no pictures and there is another one.
func (r *relay) check(now time.Time) {
	if r == nil || r.shown == nil || now.Sub(r.seen) < failing {
		return
	}
	for _, s := range r.live.streams {
		if s != nil && s != r.shown && s.started && s.in != nil {
			r.shown = nil
			return
		}
	}
}

func (r *relay) close(reason string) {
	if r != nil && r.feed != nil {
		r.feed.Close(reason)
		r.feed = nil
	}
}
