package channel

import (
	"errors"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/unit"
)

// leftAlone is how long the leading picture may be away while no other one has its place.
const leftAlone = 5 * time.Second

// Why a picture loses its rendition.
var (
	errTooFarApart   = errors.New("the picture is too far behind or ahead of the others")
	errNewParameters = errors.New("the picture has other parameters than before")
)

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
	case p.outran(f.lead):
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
		if p.sink != nil && f.lead.outran(p) {
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

// change makes a picture the leading one, since the one that was has fallen behind. Where none can lead, the stream starts
// anew with those that there are.
func (f *feed) change(p *picture) error {
	old := f.lead
	others := slices.DeleteFunc(f.open(), func(o *picture) bool { return o == old || o == p })
	if p.sink == nil || !f.outlet.lead(p, others) {
		f.lose(p, errTooFarApart)
		if p.lastDTS-old.lastDTS > leftAlone {
			return f.interrupt()
		}
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
