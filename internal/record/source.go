package record

import "context"

// Source is who feeds a recording. One goroutine owns it. None of its methods waits for the disk: when that is
// behind, frames are dropped up to a key frame.
type Source struct {
	recording *Recording
	tracks    Tracks
	skipping  bool
	late      bool // it is not the recording's source yet
	end       int64
}

// Attach makes a new source of the recording in place of the one that it may have.
func (r *Recording) Attach(ctx context.Context) (*Source, error) {
	s := &Source{recording: r}
	select {
	case r.inbox <- message{what: attached{s}}:
		return s, nil
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
func (r *Recording) Source() *Source { return &Source{recording: r, late: true} }

// enter becomes the recording's source and reports whether there was room to say so.
func (s *Source) enter() bool {
	select {
	case s.recording.inbox <- message{what: attached{s}}:
		s.late = false
	default:
	}
	return !s.late
}

// send puts media into the inbox and reports whether there was room.
func (s *Source) send(what any, size int64) bool {
	r := s.recording
	if r.queued.Load()+size > inboxBytes {
		return false
	}
	r.queued.Add(size)
	select {
	case r.inbox <- message{s, what, size}:
		return true
	default:
		r.queued.Add(-size)
		return false
	}
}

// SetTracks says what the frames that follow are made of. Other tracks than before are a break; call it before a key
// frame.
func (s *Source) SetTracks(t Tracks) {
	s.tracks = t
	if !s.skipping && (s.late && !s.enter() || !s.send(tracksMsg{t}, 0)) {
		s.skipping = true
	}
}

// WriteVideo takes the next frame in decoding order. Its NALUs must not change any more.
func (s *Source) WriteVideo(f VideoFrame) {
	s.end = max(s.end, f.DTS+f.Duration)
	size := int64(0)
	for _, n := range f.NALUs {
		size += int64(len(n))
	}
	if s.skipping && !(f.Key && s.resume()) || !s.send(videoMsg{f}, size) {
		s.drop()
	}
}

// WriteAudio takes the next access unit of sound. Its data must not change any more.
func (s *Source) WriteAudio(f AudioFrame) {
	if s.skipping && (s.tracks.video() || !s.resume()) || !s.send(audioMsg{f}, int64(len(f.Data))) {
		s.drop()
	}
}

// resume goes on after frames were dropped, once half of the inbox is free.
func (s *Source) resume() bool {
	if len(s.recording.inbox) > inboxSize/2 || s.recording.queued.Load() > inboxBytes/2 {
		return false
	}
	if s.late && !s.enter() {
		return false
	}
	s.skipping = !s.send(breakMsg{reason: "the disk was too slow"}, 0) || !s.send(tracksMsg{s.tracks}, 0)
	return !s.skipping
}

func (s *Source) drop() {
	if !s.skipping {
		s.recording.log.Warn("the disk is too slow: dropping to the next key frame")
	}
	s.skipping = true
	s.recording.dropped.Add(1)
}

// Break says that what follows does not go on where the last frame ended.
func (s *Source) Break() {
	if !s.skipping && !s.send(breakMsg{reason: "the source broke off"}, 0) {
		s.skipping = true
	}
}

// Close says that the source is gone. The recording waits for another one.
func (s *Source) Close() {
	if s.late {
		return
	}
	select {
	case s.recording.inbox <- message{source: s, what: breakMsg{"the source is gone", true}}:
	case <-s.recording.over:
	case <-s.recording.recorder.ctx.Done():
	}
}

// EndTime is where the newest frame ends, in ticks of the source.
func (s *Source) EndTime() int64 { return s.end }
