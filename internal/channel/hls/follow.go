package hls

import (
	"errors"
	"slices"
)

// ErrOutOfStep means that a rendition cannot have the same segments as the one that it follows: it has no key frame
// where that one began a segment with one, or nothing at all in a segment.
var ErrOutOfStep = errors.New("the rendition is out of step")

// Follow makes the muxer end its segments where lead does, with the same sequence numbers; nil: it decides itself again.
// The one of them that has lead's clock, and gets a frame only when lead has had those of its time.
//
// A muxer that has nothing yet begins at the next key frame with which lead begins a segment too. One that goes on after
// a Break fails with ErrOutOfStep when it has missed a segment.
func (m *Muxer) Follow(lead *Muxer) { m.lead = lead }

// Joined tells whether the muxer has a segment.
func (m *Muxer) Joined() bool { return m.open != nil || m.nextPart > 0 }

// InStep tells whether the muxer's next segment would have the number that lead's next one has.
func (m *Muxer) InStep(lead *Muxer) bool { return m.sequence == lead.sequence }

// Resume makes a new muxer begin where old would go on, after a discontinuity.
func (m *Muxer) Resume(old *Muxer) {
	m.sequence, m.breaks = old.sequence, old.breakNumber(old.sequence)+1
	m.adBreaks, m.nextBreak, m.lastEnd = slices.Clone(old.adBreaks), old.nextBreak, old.lastEnd
}

// begin opens the first segment, or the first one after a break, and reports whether the frame can do that.
func (m *Muxer) begin(f VideoFrame) (bool, error) {
	if !f.Key {
		return false, nil
	}
	m.reorder = f.PTS - f.DTS
	if m.lead == nil {
		m.openSegment(f)
		return true, nil
	}
	s := m.lead.beginningAt(f.PTS, f.Duration/2)
	switch {
	case s == nil:
		return false, nil
	case m.nextPart == 0:
		m.sequence, m.breaks = s.sequence, m.lead.breakNumber(s.sequence)
		m.adBreaks, m.nextBreak = slices.Clone(m.lead.adBreaks), m.lead.nextBreak
	case m.sequence != s.sequence:
		return false, ErrOutOfStep
	default:
		m.broken = s.discontinuity
	}
	m.openSegment(f)
	return true, nil
}

// followTo ends the segments that the lead has ended by the time of f.
func (m *Muxer) followTo(f VideoFrame) error {
	for {
		next := m.lead.segment(m.open.sequence + 1)
		if next == nil {
			return nil
		}
		// The same picture comes earlier or later in decoding order where its encoder reorders more or less.
		at := next.start + m.lead.reorder - m.reorder
		switch off := f.DTS - at; {
		case off < -f.Duration/2:
			return nil
		case off <= f.Duration/2:
			at = f.DTS
		}
		if err := m.passGrid(at); err != nil {
			return err
		}
		if err := m.closePart(at); err != nil {
			return err
		}
		if len(m.open.parts) == 0 {
			return ErrOutOfStep
		}
		m.closeSegment()
		m.openSegment(VideoFrame{DTS: max(at, m.partStart), Duration: f.Duration})
		m.publish()
	}
}

// checkStep takes the first frame of a segment.
func (m *Muxer) checkStep(f VideoFrame) error {
	if s := m.lead.segment(m.open.sequence); s != nil && s.key && !f.Key {
		return ErrOutOfStep
	}
	return nil
}

// segment finds one of the newest segments that has something in it; nil: there is none of that number.
func (m *Muxer) segment(sequence int64) *segment {
	if s := m.open; s != nil && s.sequence == sequence && (len(s.parts) > 0 || len(m.video) > 0) {
		return s
	}
	for i := len(m.segments) - 1; i >= 0 && m.segments[i].sequence >= sequence; i-- {
		if m.segments[i].sequence == sequence {
			return &m.segments[i]
		}
	}
	return nil
}

// beginningAt finds the segment that begins with a key frame of that PTS.
func (m *Muxer) beginningAt(pts, tolerance int64) *segment {
	matches := func(s *segment) bool {
		off := s.start + m.reorder - pts
		return s.key && -tolerance <= off && off <= tolerance
	}
	if m.open != nil && matches(m.open) {
		return m.open
	}
	for i := len(m.segments) - 1; i >= m.listed; i-- {
		if s := &m.segments[i]; matches(s) {
			return s
		}
	}
	return nil
}

// breakNumber is the discontinuity sequence number of a listed segment.
func (m *Muxer) breakNumber(sequence int64) int64 {
	n := m.breaks
	for _, s := range m.segments[m.listed:] {
		if s.discontinuity && s.sequence <= sequence {
			n++
		}
	}
	if m.open != nil && m.open.discontinuity && m.open.sequence <= sequence {
		n++
	}
	return n
}

// Sibling is another rendition of the stream, for EXT-X-RENDITION-REPORT.
type Sibling struct {
	URI   string // of its playlist, as seen from this one's
	Muxer *Muxer
}

// SetSiblings says which renditions the playlist reports from now on.
func (m *Muxer) SetSiblings(s []Sibling) { m.siblings = s }

// report is what a playlist says of another one (rfc8216bis §4.4.5.4).
type report struct {
	uri      string
	sequence int64
	part     int
}

func (m *Muxer) reports() []report {
	var reports []report
	for _, s := range m.siblings {
		if v := s.Muxer.current.Load(); len(v.segments) > 0 {
			sequence, parts := v.last()
			reports = append(reports, report{s.URI, sequence, parts - 1})
		}
	}
	return reports
}
