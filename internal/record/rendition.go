package record

import (
	"fmt"
	"slices"
	"time"
)

// picture is what the source of a recording sends in one size, on its way to a rendition. The recording's run owns it.
type picture struct {
	recording *Recording
	track     int
	tracks    Tracks
	frameRate float64 // zero: not known yet
	segmenter segmenter
	to        *rendition // nil until it has a segment in this run
}

// rendition is one folder of the media. The recording's run owns it.
type rendition struct {
	number int
	file   *growing // the segment that is open
	good   int64    // media time up to which it is on disk
}

// picture finds that of a track, which may be new.
func (r *Recording) picture(track int) *picture {
	for _, p := range r.pictures {
		if p.track == track {
			return p
		}
	}
	p := &picture{recording: r, track: track, frameRate: r.spec.FrameRate}
	p.segmenter = segmenter{out: p, grid: &r.grid}
	r.pictures = append(r.pictures, p)
	return p
}

// largest is the picture that thumbnails are made of; nil while there is none.
func (r *Recording) largest() (largest *picture) {
	most := 0
	for _, p := range r.pictures {
		if w, h := p.tracks.size(); w*h > most {
			largest, most = p, w*h
		}
	}
	return largest
}

// lose takes a picture out, whose rendition stays as it is.
func (r *Recording) lose(track int) {
	i := slices.IndexFunc(r.pictures, func(p *picture) bool { return p.track == track })
	if i < 0 {
		return
	}
	p := r.pictures[i]
	r.pictures = slices.Delete(r.pictures, i, i+1)
	r.mu.Lock()
	if r.grid.lead != nil {
		r.await()
		r.nudge()
	}
	r.mu.Unlock()
	if p.segmenter.running {
		r.log.Warn("a rendition is gone", "track", track)
		r.attempt(func() error { return r.grid.leave(&p.segmenter) })
	}
}

// brk breaks off all renditions.
func (r *Recording) brk() {
	r.attempt(r.grid.brk)
	for _, p := range r.pictures {
		p.segmenter.rest()
		p.to = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.awaited = 0
	r.nudge()
}

// await counts the pictures that will have a rendition and have none yet. It is called with the lock held.
func (r *Recording) await() {
	r.awaited = 0
	for _, p := range r.pictures {
		if p.to == nil {
			r.awaited++
		}
	}
}

// choose finds the rendition that a picture goes to: the one of its size, or a new one. A picture that is alone, or comes
// when there are enough renditions, goes to the first that is free, and its size changes there.
func (r *Recording) choose(p *picture) *rendition {
	free := func(x *rendition) bool {
		return !slices.ContainsFunc(r.pictures, func(o *picture) bool { return o.to == x })
	}
	w, h := p.tracks.size()
	var first *rendition
	for _, x := range r.renditions {
		if !free(x) {
			continue
		}
		if i := r.history.newestInit(x.number); i.Width == w && i.Height == h {
			return x
		}
		if first == nil {
			first = x
		}
	}
	if first != nil && (len(r.pictures) == 1 || len(r.renditions) == maxRenditions) {
		return first
	}
	x := &rendition{number: len(r.renditions)}
	r.renditions = append(r.renditions, x)
	return x
}

// openSegment implements segmentWriter.
func (p *picture) openSegment(c cut, joins bool) error {
	r := p.recording
	if r.recorder.budget.pressure() == Full {
		return errFull
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if joins {
		p.to = nil
		p.to = r.choose(p)
		r.await()
		if err := r.newInit(p); err != nil {
			return err
		}
	}
	x := p.to
	x.good = c.at
	o := openEntry{Number: c.number, Init: len(r.history.renditions[x.number].inits) - 1, Start: c.at, Broken: c.broken, Key: c.key}
	if c.broken {
		if c.wall.IsZero() {
			c.wall = time.Now()
		}
		o.Wall = c.wall.UTC().Truncate(time.Millisecond)
	}
	file, err := r.spool.grow(fileName(x.number, segmentName(o.Number)))
	if err != nil {
		return fmt.Errorf("begin segment: %w", err)
	}
	if err := r.note(entry{Rendition: x.number, Open: &o}); err != nil {
		_ = file.finish() // it is not in the journal, so there is no such segment
		return err
	}
	x.file = file
	if r.state != Active && r.state != Uploading {
		r.to(Active, "media comes")
	}
	return nil
}

// newInit writes the initialisation section of a picture's tracks. It is called with the lock held.
func (r *Recording) newInit(p *picture) error {
	t := p.segmenter.tracks
	data, err := t.initialization()
	if err != nil {
		return err
	}
	k, number := p.to.number, 0
	if k < len(r.history.renditions) {
		number = len(r.history.renditions[k].inits)
	}
	i := initEntry{Number: number, Codecs: t.codecs(), AudioRate: t.audioRate()}
	if i.Width, i.Height = t.size(); i.Height > 0 {
		i.FrameRate = p.frameRate
		if p == r.largest() {
			r.width, r.height = i.Width, i.Height
		}
	}
	if err := r.spool.put(fileName(k, initName(i.Number)), data); err != nil {
		return fmt.Errorf("write initialisation section: %w", err)
	}
	return r.note(entry{Rendition: k, Init: &i})
}

// writePart implements segmentWriter. The disk is waited for without the lock.
func (p *picture) writePart(data []byte, end int64) error {
	if p.recording.recorder.budget.pressure() == Full {
		return errFull
	}
	if err := p.to.file.append(data); err != nil {
		return fmt.Errorf("write part: %w", err)
	}
	p.to.good = end
	return nil
}

// closeSegment implements segmentWriter.
func (p *picture) closeSegment(end int64) error { return p.recording.closeSegment(p.to, end) }

// dropSegment implements segmentWriter.
func (p *picture) dropSegment() error { return p.recording.dropSegment(p.to) }

func (r *Recording) closeSegment(x *rendition, end int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	open := r.history.renditions[x.number].open
	if open == nil {
		return nil
	}
	size := int64(0)
	if x.file != nil {
		size = x.file.size
		if err := x.file.finish(); err != nil {
			return fmt.Errorf("close segment: %w", err)
		}
	}
	if size > 0 && end <= open.Start {
		end = open.Start + 1
	}
	if err := r.note(entry{Rendition: x.number, Close: &closeEntry{End: end, Size: size}}); err != nil {
		return err
	}
	x.file = nil
	return nil
}

func (r *Recording) dropSegment(x *rendition) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	open := r.history.renditions[x.number].open
	if open == nil {
		return nil
	}
	if x.file != nil {
		if err := x.file.discard(); err != nil {
			return fmt.Errorf("drop segment: %w", err)
		}
		x.file = nil
	}
	return r.note(entry{Rendition: x.number, Close: &closeEntry{End: open.Start}})
}

// settle closes the segments that were left open by an error. What comes next follows on them.
func (r *Recording) settle() error {
	reach := map[int]int64{}
	for _, x := range r.renditions {
		if x.number < len(r.history.renditions) && r.history.renditions[x.number].open != nil {
			reach[x.number] = max(x.good, r.history.renditions[x.number].open.Start)
		}
	}
	ends := r.history.closing(reach)
	for _, x := range r.renditions {
		if _, open := reach[x.number]; !open {
			continue
		}
		var err error
		if end, whole := ends[x.number]; whole {
			err = r.closeSegment(x, end)
		} else {
			err = r.dropSegment(x)
		}
		if err != nil {
			return err
		}
	}
	r.grid.end = max(r.grid.end, r.history.mediaEnd())
	return nil
}
