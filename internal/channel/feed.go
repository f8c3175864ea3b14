package channel

import (
	"errors"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/channel/unit"
)

const (
	// probeFrames are looked at before a stream starts, to find its frame rate. A first part of 200 ms needs
	// six frames at 30 fps anyway, so this costs one frame of delay, once.
	probeFrames = 7
	// probeTime is enough at low frame rates.
	probeTime = 400 * time.Millisecond
	// probeSound is how long sound may come after the first picture, unless the encoder said that there is none.
	probeSound = 500 * time.Millisecond
	// probeLimit bounds what is held back while timestamps stand still.
	probeLimit = 256

	// A timestamp that leaps further than this is a new timeline, not a gap.
	leapForward, leapBack = 10 * time.Second, time.Second
	// soundApart is how far sound may be from the picture before it is dropped.
	soundApart = 5 * time.Second
)

var errNoVideo = errors.New("no H.264 parameters before the first frame")

// feed turns what one publisher sends into frames on the stream's media time.
// The live channel's goroutine owns it.
type feed struct {
	// open returns the stream's muxer, or refuses these tracks. Frame is the length of one in ticks, began is when the
	// first one came.
	open func(t hls.Tracks, frame int64, began time.Time) (Sink, error)

	muxer Sink // nil until the first frame is on its way

	meta    unit.Metadata
	hasMeta bool
	sets    parameterSets
	audio   *mpeg4audio.AudioSpecificConfig
	tracks  hls.Tracks // what the muxer was told
	changed bool       // sets or audio differ from tracks

	started bool
	probe   []held    // back until the start; the first is a key frame
	millis  []int64   // DTS of its video frames
	began   time.Time // when its first frame came

	placed       bool  // the origin is known
	originMillis int64 // the encoder's time ...
	originTicks  int64 // ... of this media time
	video        cadence
	sound        audioCadence
	lastDTS      time.Duration

	received     received
	droppedSound uint64
}

// held is a unit that waits for the start.
type held struct {
	unit    unit.Unit
	arrived time.Time
}

// write takes one unit that came at the given time.
func (f *feed) write(u unit.Unit, now time.Time) error {
	switch u := u.(type) {
	case unit.Metadata:
		f.meta, f.hasMeta = u, true
	case unit.VideoParams:
		f.setParameters(parameterSets{sps: u.SPS, pps: u.PPS})
	case unit.AudioParams:
		if f.audio == nil || *f.audio != u.Config {
			f.audio, f.changed = &u.Config, true
		}
	case unit.VideoFrame:
		f.received.frames++
		for _, n := range u.NALUs {
			f.received.video += uint64(len(n))
		}
		return f.frame(u, now)
	case unit.AudioFrame:
		f.received.audio += uint64(len(u.AU))
		if f.started {
			return f.writeSound(u)
		}
		if len(f.probe) > 0 {
			f.probe = append(f.probe, held{u, now})
			return f.startWhenReady()
		}
	}
	return nil
}

func (f *feed) setParameters(p parameterSets) {
	if !f.sets.equal(p) {
		f.sets, f.changed = p, true
	}
}

// frame holds a video frame back until the start, and writes it afterwards.
func (f *feed) frame(u unit.VideoFrame, now time.Time) error {
	au := sortNALUs(u.NALUs)
	if len(au.inband.sps) > 0 && len(au.inband.pps) > 0 && (u.Key || au.random) {
		f.setParameters(au.inband)
	}
	if len(au.nalus) == 0 {
		return nil
	}
	key := u.Key || au.random
	u.Key = key
	u.NALUs = au.nalus

	if step := u.DTS - f.lastDTS; (f.started || len(f.probe) > 0) && (step > leapForward || step < -leapBack) {
		if err := f.interrupt(); err != nil {
			return err
		}
		f.placed = false
	}
	if f.started && key && f.changed {
		f.stop()
	}
	f.lastDTS = u.DTS
	if f.started {
		return f.writeVideo(u, now)
	}
	if len(f.probe) == 0 {
		if !key {
			return nil
		}
		if len(f.sets.sps) == 0 {
			return errNoVideo
		}
		f.began = now
	}
	f.probe = append(f.probe, held{u, now})
	f.millis = append(f.millis, u.DTS.Milliseconds())
	return f.startWhenReady()
}

// interrupt breaks the stream; it starts again at the next key frame.
func (f *feed) interrupt() error {
	f.stop()
	if f.muxer == nil {
		return nil
	}
	return f.muxer.Break()
}

func (f *feed) stop() {
	f.started, f.probe, f.millis = false, nil, nil
}

// startWhenReady starts the stream once enough is known of it, and writes what was held back.
func (f *feed) startWhenReady() error {
	n := len(f.millis)
	span := time.Duration(f.millis[n-1]-f.millis[0]) * time.Millisecond
	enough := n >= probeFrames || span >= probeTime
	sound := f.audio != nil || f.hasMeta && !f.meta.HasAudio || span >= probeSound
	if !(enough && sound) && len(f.probe) < probeLimit {
		return nil
	}
	f.video = cadence{hints: f.rateHints()}
	f.video.start(f.millis)
	f.sound = audioCadence{}
	tracks := hls.Tracks{SPS: f.sets.sps[0], PPS: f.sets.pps[0], Audio: f.audio}
	muxer, err := f.open(tracks, f.meanFrame(), f.began)
	if err != nil {
		return err
	}
	f.muxer, f.tracks = muxer, tracks
	if err := f.muxer.SetTracks(f.tracks); err != nil {
		return fmt.Errorf("set up the stream: %w", err)
	}
	f.changed = false
	if !f.placed {
		// A new timeline goes on where the wall clock is, as the pictures in it do.
		f.placed = true
		f.originMillis = f.millis[0]
		f.originTicks = max(f.muxer.EndTime(), int64(f.began.Sub(f.muxer.Wall()).Seconds()*hls.ClockRate))
	}
	probe := f.probe
	f.stop()
	f.started = true
	for _, h := range probe {
		var err error
		switch u := h.unit.(type) {
		case unit.VideoFrame:
			err = f.writeVideo(u, h.arrived)
		case unit.AudioFrame:
			err = f.writeSound(u)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rateHints are the frame rates that the encoder claims: in onMetaData and in the SPS.
func (f *feed) rateHints() []rate {
	var hints []rate
	if f.meta.FrameRate > 0 {
		hints = append(hints, rateOf(f.meta.FrameRate))
	}
	var sps h264.SPS
	if sps.Unmarshal(f.sets.sps[0]) == nil && sps.VUI != nil && sps.VUI.TimingInfo != nil {
		if fps := sps.FPS(); fps > 0 && fps < 1000 {
			hints = append(hints, rateOf(fps))
		}
	}
	return hints
}

// meanFrame is the length of a frame in ticks as the probe shows it.
func (f *feed) meanFrame() int64 {
	if f.video.rate.known() {
		return f.video.rate.frame()
	}
	n := int64(len(f.millis))
	if n < 2 || f.millis[n-1] <= f.millis[0] {
		return 0
	}
	return (f.millis[n-1] - f.millis[0]) * ticksPerMilli / (n - 1)
}

func (f *feed) writeVideo(u unit.VideoFrame, arrived time.Time) error {
	millis := u.DTS.Milliseconds()
	at := f.video.next(millis, u.PTS.Milliseconds(), f.originTicks+(millis-f.originMillis)*ticksPerMilli)
	nalus := u.NALUs
	if extra := f.sets.extra(); u.Key && len(extra) > 0 {
		nalus = append(extra, nalus...)
	}
	return f.muxer.WriteVideo(hls.VideoFrame{
		DTS: at.dts, PTS: at.pts, Duration: at.duration, Key: u.Key, NALUs: nalus, Arrived: arrived,
	})
}

func (f *feed) writeSound(u unit.AudioFrame) error {
	if f.tracks.Audio == nil || *f.tracks.Audio != *f.audio {
		return nil // until the key frame that brings the new parameters into force
	}
	if apart := u.PTS - f.lastDTS; apart > soundApart || apart < -soundApart {
		f.droppedSound++
		return nil
	}
	hz := int64(f.tracks.Audio.SampleRate)
	said := f.originTicks*hz/hls.ClockRate + (u.PTS.Milliseconds()-f.originMillis)*hz/1000
	if said < 0 {
		return nil
	}
	at, ok := f.sound.at(said)
	if !ok {
		f.droppedSound++
		return nil
	}
	return f.muxer.WriteAudio(hls.AudioFrame{DTS: at, AU: u.AU})
}

// frameRate is what was measured, in frames per second.
func (f *feed) frameRate() float64 {
	if r := f.video.rate; r.known() {
		return float64(r.num) / float64(r.den)
	}
	return hls.ClockRate / float64(f.video.frame())
}
