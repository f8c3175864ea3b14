package channel

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

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

var (
	errNoVideo       = errors.New("no H.264 parameters before the first frame")
	errTooFarApart   = errors.New("the picture is too far behind or ahead of the others")
	errNewParameters = errors.New("the picture has other parameters than before")
)

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
			f.received.frames++ // those of the others are the same again
		}
		for _, n := range u.NALUs {
			f.received.video += uint64(len(n))
			p.bytes += uint64(len(n))
		}
		return f.frame(p, u, now)
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

// picture finds the picture of a track, which may be new.
func (f *feed) picture(track int) (*picture, error) {
	i, found := slices.BinarySearchFunc(f.pictures, track, func(p *picture, track int) int { return p.track - track })
	if !found {
		if len(f.pictures) == mostPictures {
			return nil, inputError{codeTrackCount, fmt.Sprintf("a publisher brings %d video tracks at most", mostPictures)}
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
	p.lastDTS, p.seen = u.DTS, true
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

// restart begins a probe with a key frame of the leading picture, which brings new parameters. What the others are
// ahead belongs to it.
func (f *feed) restart(key held) {
	p, ahead := f.lead, []held(nil)
	for _, o := range f.pictures {
		if o != p {
			ahead = append(ahead, o.held...)
		}
	}
	f.stop()
	for _, h := range append([]held{key}, ahead...) {
		u := h.unit.(unit.VideoFrame)
		o, err := f.picture(u.Track)
		if err != nil || !u.Key && !o.begun {
			continue // there is a picture for what was held
		}
		o.begun, o.seen, o.lastDTS = true, true, u.DTS
		o.millis = append(o.millis, u.DTS.Milliseconds())
		f.probe = append(f.probe, h)
	}
	f.began, f.lastDTS = key.arrived, p.lastDTS
}

// startWhenReady starts the stream once enough is known of it, and writes what was held back.
func (f *feed) startWhenReady() error {
	millis := f.lead.millis
	n := len(millis)
	span := time.Duration(millis[n-1]-millis[0]) * time.Millisecond
	enough := n >= probeFrames || span >= probeTime
	for _, p := range f.pictures {
		// A second picture comes with the first one, if it comes.
		enough = enough && (len(p.millis) > 1 || len(p.sets.sps) == 0 || span >= probeTime)
	}
	sound := f.audio != nil || f.hasMeta && !f.meta.HasAudio || span >= probeSound
	if !(enough && sound) && len(f.probe) < probeLimit*len(f.pictures) {
		return nil
	}
	if err := f.openSinks(); err != nil {
		return err
	}
	f.newAudio, f.sound = false, audioCadence{}
	if !f.placed {
		// A new timeline goes on where the wall clock is, as the pictures in it do.
		f.placed = true
		f.originMillis = millis[0]
		f.originTicks = int64(f.began.Sub(f.lead.sink.Wall()).Seconds() * hls.ClockRate)
		for _, p := range f.open() {
			f.originTicks = max(f.originTicks, p.sink.EndTime())
		}
	}
	probe := f.probe
	f.stop()
	f.started, f.running = true, true
	for _, h := range probe {
		var err error
		switch u := h.unit.(type) {
		case unit.VideoFrame:
			var p *picture
			if p, err = f.picture(u.Track); err == nil {
				err = f.place(p, h)
			}
		case unit.AudioFrame:
			err = f.writeSound(u)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// openSinks asks where the pictures of the probe go.
func (f *feed) openSinks() error {
	begun := []*picture{f.lead}
	for _, p := range f.pictures {
		if p != f.lead {
			p.sink = nil
			if p.begun {
				begun = append(begun, p)
			}
		}
	}
	for _, p := range begun {
		p.judge(f.meta)
	}
	if err := f.outlet.open(begun, f.began); err != nil {
		return err
	}
	anew := false // Other parameters than before, of any of them, are a break for all
	for _, p := range begun {
		if p.sink == nil {
			continue
		}
		t := f.tracksOf(p)
		anew = anew || f.running && len(begun) > 1 && !t.Equal(p.tracks)
		p.tracks, p.changed = t, false
	}
	for _, p := range f.open() {
		var err error
		if anew {
			err = p.sink.Break()
		}
		if err = cmp.Or(err, p.sink.SetTracks(p.tracks)); err != nil {
			return fmt.Errorf("set up the stream: %w", err)
		}
	}
	return nil
}

func (f *feed) tracksOf(p *picture) hls.Tracks {
	return hls.Tracks{SPS: p.sets.sps[0], PPS: p.sets.pps[0], Audio: f.audio}
}

// place writes a frame of the leading picture, and what the others have held up to it; of another one when the leading
// one has come as far.
func (f *feed) place(p *picture, h held) error {
	u := h.unit.(unit.VideoFrame)
	if p == f.lead {
		f.lastDTS, p.lastDTS, p.lastPTS = u.DTS, u.DTS, max(p.lastPTS, u.PTS)
		if err := f.writeVideo(p, h); err != nil {
			return err
		}
		return f.release()
	}
	switch {
	case !p.hold(h):
		f.lose(p, errTooFarApart)
	case u.DTS-f.lead.lastDTS > apart:
		return f.change(p)
	}
	return f.release()
}

// release writes what the leading picture has come as far as.
func (f *feed) release() error {
	for _, p := range f.pictures {
		if p == f.lead {
			continue
		}
		for {
			h, ok := p.ahead(f.lead)
			if !ok {
				break
			}
			if err := f.follow(p, h); err != nil {
				return err
			}
		}
		if p.sink != nil && f.lead.lastDTS-p.lastDTS > apart {
			f.lose(p, errTooFarApart)
		}
	}
	return nil
}

// follow writes a frame of a picture that does not lead. That it cannot keep step is its own affair.
func (f *feed) follow(p *picture, h held) error {
	u := h.unit.(unit.VideoFrame)
	if p.sink != nil && u.Key && p.changed {
		f.lose(p, errNewParameters)
	}
	if p.sink == nil {
		if ok, err := f.join(p, u); !ok {
			return err
		}
	}
	if err := f.writeVideo(p, h); err != nil {
		f.lose(p, err)
	}
	return nil
}

// join gives a picture a sink that had none, at a key frame, once its frame rate can be told.
func (f *feed) join(p *picture, u unit.VideoFrame) (bool, error) {
	if !u.Key || len(p.millis) < probeFrames || len(p.sets.sps) == 0 {
		p.millis = append(p.millis[max(0, len(p.millis)-cadenceWindow):], u.DTS.Milliseconds())
		return false, nil
	}
	p.millis = p.millis[len(p.millis)-probeFrames:]
	p.judge(f.meta)
	p.tracks, p.changed = f.tracksOf(p), false
	p.tracks.Audio = f.lead.tracks.Audio
	if err := f.outlet.join(p); err != nil || p.sink == nil {
		return false, err
	}
	if err := p.sink.SetTracks(p.tracks); err != nil {
		f.lose(p, err)
		return false, nil
	}
	return true, nil
}

// lose takes a picture's sink away. It may join again later.
func (f *feed) lose(p *picture, reason error) {
	p.held, p.size, p.millis = nil, 0, nil
	if p.sink != nil {
		p.sink = nil
		f.outlet.lose(p, reason)
	}
}

// change makes a picture the leading one, since the one that was has fallen behind.
func (f *feed) change(p *picture) error {
	old := f.lead
	others := slices.DeleteFunc(f.open(), func(o *picture) bool { return o == old || o == p })
	if p.sink == nil || !f.outlet.lead(p, others) {
		f.lose(p, errTooFarApart)
		return nil
	}
	ahead := p.held
	p.held, p.size = nil, 0
	f.lead = p
	f.lose(old, errTooFarApart)
	for _, h := range ahead {
		if err := f.place(p, h); err != nil {
			return err
		}
	}
	return nil
}

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
