package channel

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/unit"
)

const (
	// A timestamp that leaps further than this is a new timeline, not a gap.
	leapForward, leapBack = 10 * time.Second, time.Second
	// soundApart is how far sound may be from the picture before it is dropped.
	soundApart = 5 * time.Second
)

var errNoVideo = errors.New("no H.264 parameters before the first frame")

// feed turns what one publisher sends into frames on the stream's media time: one picture, or several sizes of it that
// keep step with the leading one. The live channel's goroutine owns it.
type feed struct {
	outlet outlet

	meta     unit.Metadata
	hasMeta  bool
	audio    *mpeg4audio.AudioSpecificConfig
	newAudio bool // audio differs from what the sinks were told

	pictures []*picture // by track
	lead     *picture   // nil until the first key frame

	running bool // sinks have been open
	started bool
	probe   []held    // back until the start; the first is a key frame of the leading picture
	began   time.Time // when its first frame came

	placed       bool  // the origin is known
	originMillis int64 // the encoder's time ...
	originTicks  int64 // ... of this media time
	sound        audioCadence
	lastDTS      time.Duration
	keyDTS       time.Duration // of the newest key frame of the leading picture

	got          received
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
		p, err := f.picture(u.Track)
		if err != nil {
			return err
		}
		p.setParameters(parameterSets{sps: u.SPS, pps: u.PPS})
	case unit.AudioParams:
		if f.audio == nil || *f.audio != u.Config {
			f.audio, f.newAudio = &u.Config, true
		}
	case unit.VideoFrame:
		p, err := f.picture(u.Track)
		if err != nil {
			return err
		}
		if p == f.lead || f.lead == nil {
			f.got.frames++ // those of the others are the same again
		}
		for _, n := range u.NALUs {
			f.got.video += uint64(len(n))
			p.bytes += uint64(len(n))
		}
		return f.frame(p, u, now)
	case unit.AudioFrame:
		f.got.audio += uint64(len(u.AU))
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

// picture finds the picture of a track, which may be new.
func (f *feed) picture(track int) (*picture, error) {
	i, found := slices.BinarySearchFunc(f.pictures, track, func(p *picture, track int) int { return p.track - track })
	if !found {
		if len(f.pictures) == MaxPictures {
			return nil, inputError{codeTrackCount, fmt.Sprintf("a publisher brings %d video tracks at most", MaxPictures)}
		}
		f.pictures = slices.Insert(f.pictures, i, &picture{track: track})
	}
	return f.pictures[i], nil
}

// frame holds a video frame back until the start, and places it afterwards.
func (f *feed) frame(p *picture, u unit.VideoFrame, now time.Time) error {
	au := sortNALUs(u.NALUs)
	if len(au.inband.sps) > 0 && len(au.inband.pps) > 0 && (u.Key || au.random) {
		p.setParameters(au.inband)
	}
	if len(au.nalus) == 0 {
		return nil
	}
	u.Key = u.Key || au.random
	u.NALUs = au.nalus
	if u.Key && (p == f.lead || f.lead == nil) {
		f.keyDTS = u.DTS
	}
	if f.leaps(p, u.DTS) {
		if err := f.interrupt(); err != nil {
			return err
		}
		f.placed = false
	}
	if f.started && u.Key && p == f.lead && (p.changed || f.newAudio) {
		f.restart(held{u, now})
		return nil
	}
	p.beforeDTS, p.lastDTS, p.seen = p.lastDTS, u.DTS, true
	if f.started {
		return f.place(p, held{u, now})
	}
	if !p.begun {
		if !u.Key {
			return nil
		}
		if len(p.sets.sps) == 0 {
			return errNoVideo
		}
		p.begun = true
	}
	f.lastDTS = u.DTS
	if len(f.probe) == 0 {
		f.began, f.lead = now, p
	}
	f.probe = append(f.probe, held{u, now})
	p.millis = append(p.millis, u.DTS.Milliseconds())
	return f.startWhenReady()
}

// sinceKey is how long the leading picture has had no key frame.
func (f *feed) sinceKey() time.Duration {
	if !f.started {
		return 0
	}
	return f.lastDTS - f.keyDTS
}

// leaps tells whether a timestamp is far from the newest of its picture, and of all.
func (f *feed) leaps(p *picture, dts time.Duration) bool {
	leap := func(from time.Duration) bool { return dts-from > leapForward || dts-from < -leapBack }
	return (f.started || len(f.probe) > 0) && leap(f.lastDTS) && p.seen && leap(p.lastDTS)
}

// interrupt breaks the stream; it starts again at the next key frame.
func (f *feed) interrupt() error {
	f.stop()
	for _, p := range f.open() {
		if err := p.sink.Break(); err != nil && p == f.lead {
			return err
		}
	}
	return nil
}

// open are the pictures that have a sink, the leading one first.
func (f *feed) open() []*picture {
	var open []*picture
	for _, p := range f.pictures {
		switch {
		case p.sink == nil:
		case p == f.lead:
			open = slices.Insert(open, 0, p)
		default:
			open = append(open, p)
		}
	}
	return open
}

func (f *feed) stop() {
	f.started, f.probe = false, nil
	for _, p := range f.pictures {
		p.stop()
	}
}

// received counts what has come from the publisher.
func (f *feed) received() received { return f.got }

func (f *feed) writeVideo(p *picture, h held) error {
	u := h.unit.(unit.VideoFrame)
	millis := u.DTS.Milliseconds()
	at := p.cadence.next(millis, u.PTS.Milliseconds(), f.originTicks+(millis-f.originMillis)*ticksPerMilli)
	nalus := u.NALUs
	if extra := p.sets.extra(); u.Key && len(extra) > 0 {
		nalus = append(extra, nalus...)
	}
	return p.sink.WriteVideo(hls.VideoFrame{
		DTS: at.dts, PTS: at.pts, Duration: at.duration, Key: u.Key, NALUs: nalus, Arrived: h.arrived,
	})
}

func (f *feed) writeSound(u unit.AudioFrame) error {
	audio := f.lead.tracks.Audio
	if audio == nil || *audio != *f.audio {
		return nil // until the key frame that brings the new parameters into force
	}
	if apart := u.PTS - f.lastDTS; apart > soundApart || apart < -soundApart {
		f.droppedSound++
		return nil
	}
	hz := int64(audio.SampleRate)
	said := f.originTicks*hz/hls.ClockRate + (u.PTS.Milliseconds()-f.originMillis)*hz/1000
	if said < 0 {
		return nil
	}
	at, ok := f.sound.at(said)
	if !ok {
		f.droppedSound++
		return nil
	}
	for _, p := range f.open() {
		switch err := p.sink.WriteAudio(hls.AudioFrame{DTS: at, AU: u.AU}); {
		case err == nil:
		case p == f.lead:
			return err
		default:
			f.lose(p, err)
		}
	}
	return nil
}
