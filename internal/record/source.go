package record

import (
	"context"
	"math"
)

// Source is one picture of who feeds a recording, with the sound. One goroutine owns it and the other pictures of the same.
// None of its methods waits for the disk: when that is behind, frames are dropped up to a key frame.
type Source struct {
	*feed
	track  int
	tracks *Tracks // nil: not known, or gone
	end    int64
}

// feed is what all pictures of a source have in common.
type feed struct {
	recording *Recording
	pictures  []*Source
	skipping  bool
	newestKey int64 // PTS of the latest key frame that was dropped since then
	late      bool  // it is not the recording's source yet
}

func newSource(f *feed, track int) *Source {
	s := &Source{feed: f, track: track}
	f.pictures = append(f.pictures, s)
	return s
}

// Attach makes a new source of the recording in place of the one that it may have.
func (r *Recording) Attach(ctx context.Context) (*Source, error) {
	f := &feed{recording: r}
	select {
	case r.inbox <- message{what: attached{f}}:
		return newSource(f, 0), nil
	case <-r.over:
		return nil, ErrOver
	case <-r.recorder.ctx.Done():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Source makes a source that takes the place of the one that the recording may have when its first tracks come, not
// before.
func (r *Recording) Source() *Source { return newSource(&feed{recording: r, late: true}, 0) }

// Picture is another size of the picture, with the same clock; 0 is the source itself.
func (s *Source) Picture(track int) *Source {
	for _, p := range s.pictures {
		if p.track == track {
			return p
		}
	}
	return newSource(s.feed, track)
}

// enter becomes the recording's source and reports whether there was room to say so.
func (f *feed) enter() bool {
	select {
	case f.recording.inbox <- message{what: attached{f}}:
		f.late = false
	default:
	}
	return !f.late
}

// send puts media into the inbox and reports whether there was room.
func (s *Source) send(what any, size int64) bool {
	r := s.recording
	if r.queued.Load()+size > inboxBytes {
		return false
	}
	r.queued.Add(size)
	select {
	case r.inbox <- message{s.feed, s.track, what, size}:
		return true
	default:
		r.queued.Add(-size)
		return false
	}
}

// SetTracks says what the frames that follow are made of. Other tracks than before are a break; call it before a key
// frame.
func (s *Source) SetTracks(t Tracks) {
	s.tracks = &t
	if !s.skipping && (s.late && !s.enter() || !s.send(tracksMsg{t}, 0)) {
		s.skip()
	}
}

// Lose says that no more comes of this picture, while the others go on.
func (s *Source) Lose() {
	s.tracks = nil
	if !s.skipping && !s.send(lostMsg{}, 0) {
		s.skip()
	}
}

// WriteVideo takes the next frame in decoding order. Its NALUs must not change any more.
func (s *Source) WriteVideo(f VideoFrame) {
	s.end = max(s.end, f.DTS+f.Duration)
	size := int64(0)
	for _, n := range f.NALUs {
		size += int64(len(n))
	}
	if s.skipping && !(f.Key && s.first(f) && s.resume()) || !s.send(videoMsg{f}, size) {
		s.drop()
	}
}

// WriteAudio takes the next access unit of sound. Its data must not change any more.
func (s *Source) WriteAudio(f AudioFrame) {
	if s.skipping && (s.tracks != nil && s.tracks.video() || !s.resume()) || !s.send(audioMsg{f}, int64(len(f.Data))) {
		s.drop()
	}
}

// first tells whether a key frame is the first one of its time: recording goes on with all pictures at once.
func (f *feed) first(v VideoFrame) bool {
	first := v.PTS > f.newestKey+v.Duration/2
	f.newestKey = max(f.newestKey, v.PTS)
	return first
}

// resume goes on after frames were dropped, once half of the inbox is free.
func (s *Source) resume() bool {
	if len(s.recording.inbox) > cap(s.recording.inbox)/2 || s.recording.queued.Load() > inboxBytes/2 {
		return false
	}
	if s.late && !s.enter() {
		return false
	}
	s.skipping = !s.send(breakMsg{reason: "the disk was too slow"}, 0)
	for _, p := range s.pictures {
		switch {
		case s.skipping:
		case p.tracks == nil:
			s.skipping = !p.send(lostMsg{}, 0)
		default:
			s.skipping = !p.send(tracksMsg{*p.tracks}, 0)
		}
	}
	return !s.skipping
}

// skip drops what comes from now on.
func (f *feed) skip() {
	if !f.skipping {
		f.skipping, f.newestKey = true, math.MinInt64/2
	}
}

func (s *Source) drop() {
	if !s.skipping {
		s.recording.log.Warn("the disk is too slow: dropping to the next key frame")
	}
	s.skip()
	s.recording.dropped.Add(1)
}

// Break says that what follows, of all pictures, does not go on where the last frame ended.
func (s *Source) Break() {
	if !s.skipping && !s.send(breakMsg{reason: "the source broke off"}, 0) {
		s.skip()
	}
}

// Close says that the source is gone, with all its pictures. The recording waits for another one.
func (s *Source) Close() {
	if s.late {
		return
	}
	select {
	case s.recording.inbox <- message{source: s.feed, what: breakMsg{"the source is gone", true}}:
	case <-s.recording.over:
	case <-s.recording.recorder.ctx.Done():
	}
}

// EndTime is where the newest frame ends, in ticks of the source.
func (s *Source) EndTime() int64 { return s.end }
