package ingest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/transcode"
)

// track is one size of an encoder's picture, over one connection: the only one, or one of multitrack RTMP.
type track struct {
	number int // the encoder's
	sets   parameterSets
	begun  bool          // a key frame came
	key    time.Duration // time of the newest
}

// stream is what one encoder sends, across its reconnections: one participant. The goroutine of its live ingest owns it.
type stream struct {
	live  *live
	feed  *stage.Feed
	audio *transcode.Transcoder
	gone  chan struct{} // closed when nothing of it is wanted any more

	in       *connection // nil while the encoder is away
	opened   time.Time
	heard    time.Time // when media last came
	vanished time.Time // when the encoder went away

	clock  clock
	pace   pace
	tracks []*track                       // in the order in which they came: each is the layer of its place
	shown  [stage.MaxLayers]time.Duration // by layer: time of the newest picture

	picture, heardSound bool // a key frame, and sound, came over this connection
	started             bool // others see it publish
	sparse              bool // the log has that key frames are far apart
}

func newStream(l *live, feed *stage.Feed) *stream {
	s := &stream{live: l, feed: feed, gone: make(chan struct{}), opened: time.Now()}
	s.audio = &transcode.Transcoder{
		Program: l.server.Composer, Log: l.log.With("participant", s.participant()),
		Packet: func(at time.Duration, opus []byte) {
			select {
			case l.inbox <- packetMessage{s, at, opus}:
			case <-s.gone:
			}
		},
	}
	s.audio.Start()
	return s
}

func (s *stream) participant() string { return s.feed.ParticipantID() }

// ended is closed when the feed has ended; a nil stream never does.
func (s *stream) ended() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.feed.Done()
}

// connect begins with an encoder's connection, the first or another one.
func (s *stream) connect(in *connection) {
	s.in, s.heard = in, time.Now()
	s.clock.restart()
	s.pace = pace{}
	s.tracks = nil
	s.picture, s.heardSound = false, false
	s.opened = s.heard
}

// vanish begins the time in which the encoder may come back.
func (s *stream) vanish(now time.Time) { s.in, s.vanished = nil, now }

// close ends what is left of a stream whose feed has ended.
func (s *stream) close() {
	if s.in != nil {
		<-s.feed.Done()
		s.in.cut(errors.New(s.feed.Reason()))
		s.in = nil
	}
	close(s.gone)
	s.audio.Close()
}

// sparseKeys is how far apart key frames may be without a word in the log.
const sparseKeys = 4 * time.Second

// take handles what the encoder sent. An error is what a stage does not take.
func (s *stream) take(u rtmp.Unit, arrived time.Time) *stage.Error {
	now := arrived.Sub(s.live.began)
	switch u := u.(type) {
	case rtmp.VideoParams:
		layer, ok := s.layer(u.Track)
		if !ok {
			return nil
		}
		if e := checkVideo(s.live.server.Stages, u.SPS); e != nil {
			return e
		}
		s.tracks[layer].sets = parameterSets{sps: u.SPS, pps: u.PPS}
	case rtmp.VideoFrame:
		layer, ok := s.layer(u.Track)
		if !ok {
			return nil
		}
		s.heard = arrived
		return s.video(layer, u, now)
	case rtmp.AudioParams:
		if e := checkAudio(u); e != nil {
			return e
		}
		config, err := u.Config.Marshal()
		if err != nil {
			return fail(stage.InvalidAudioCodec, "the AAC parameters cannot be used: %v", err)
		}
		s.audio.Config(config)
	case rtmp.AudioFrame:
		s.heard = arrived
		if len(u.AU) == 0 || len(u.AU) > transcode.MaxSound {
			return nil // no access unit of two channels is so long
		}
		s.audio.Unit(s.clock.at(u.PTS, now), u.AU)
		s.heardSound = true
		s.start()
	}
	return nil
}

// layer is which of the stage's layers a track is. ok is false for those beyond as many as a stage takes, which are left out.
func (s *stream) layer(number int) (layer int, ok bool) {
	layer = slices.IndexFunc(s.tracks, func(t *track) bool { return t.number == number })
	if layer < 0 {
		layer = len(s.tracks)
		s.tracks = append(s.tracks, &track{number: number})
		s.feed.Layers(len(s.tracks))
		if layer == stage.MaxLayers {
			s.live.log.Warn("the encoder sends more sizes of the picture than a stage takes: the first ones are taken",
				"participant", s.participant(), "taken", stage.MaxLayers)
		}
	}
	return layer, layer < stage.MaxLayers
}

// video takes a picture of a layer.
func (s *stream) video(layer int, f rtmp.VideoFrame, now time.Duration) *stage.Error {
	t := s.tracks[layer]
	at := s.clock.at(f.DTS, now)
	if s.pace.tooFast(at, now) {
		return fail(stage.InvalidInput, "the encoder sends faster than real time (ffmpeg: -re before -i)")
	}
	p := t.sets.take(f.NALUs)
	if p.bidirectional() {
		return fail(stage.BFramePresent, "the video has B-frames, which cannot be shown in real time: switch them off (OBS: B-frames 0; ffmpeg: -bf 0)")
	}
	if p.idr {
		if e := checkVideo(s.live.server.Stages, t.sets.sps); e != nil {
			return e
		}
	}
	if !t.begun && !p.idr || len(p.nalus) == 0 {
		return nil // nobody can start here
	}
	t.begun, s.picture = true, true
	if p.idr {
		t.key = at
	} else if at-t.key > sparseKeys && !s.sparse {
		s.sparse = true
		s.live.log.Warn("key frames are far apart: who subscribes waits for the next one; set the encoder's key-frame interval to 1 s", "participant", s.participant())
	}
	at = max(at+f.PTS-f.DTS, s.shown[layer]+time.Millisecond)
	s.shown[layer] = at
	payloads := p.payloads()
	s.feed.Video(layer, at, payloads)
	s.start()
	s.live.relay.video(s, layer, at, p.idr, payloads)
	return nil
}

// sound takes 20 ms of Opus.
func (s *stream) sound(at time.Duration, opus []byte) {
	s.feed.Audio(at, opus)
	s.live.relay.audio(s, at, opus)
}

// start has others see the participant publish once both sound and picture are there.
func (s *stream) start() {
	if !s.started && s.picture && s.heardSound {
		s.started = true
		s.feed.Start()
		s.live.relay.start(len(s.tracks))
	}
}

// check looks at what depends on time: e ends the stream with a publish error, gone because nobody came back.
func (s *stream) check(now time.Time) (e *stage.Error, gone bool) {
	server := s.live.server
	switch {
	case s.in == nil:
		return nil, now.Sub(s.vanished) >= server.Grace
	case now.Sub(s.heard) >= server.Silence:
		s.in.cut(fmt.Errorf("no media for %v", server.Silence))
		s.vanish(now)
	case now.Sub(s.live.began) >= server.Stages.Duration():
		return fail(stage.StreamDurationExceeded, "a participant publishes for at most %v", server.Stages.Duration()), false
	case now.Sub(s.opened) < server.Complete:
	case !s.picture:
		return fail(stage.InvalidInput, "no H.264 key frame came within %v: a stage takes sound and picture together", server.Complete), false
	case !s.heardSound:
		return fail(stage.InvalidInput, "no AAC came within %v: a stage takes sound and picture together", server.Complete), false
	}
	return nil, false
}
