package channel

import (
	"cmp"
	"fmt"
	"time"

	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/unit"
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
)

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
