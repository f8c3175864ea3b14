package hls

import (
	"slices"
	"time"
)

// servedAfter is how many segments that left the playlist are still served: a playlist's length
// (rfc8216bis §6.2.2) is the ideal, but players this late are lost anyway.
const servedAfter = 5

// closeSegment completes the open segment, keeping one copy of its bytes, and slides the window.
func (m *Muxer) closeSegment() {
	s := *m.open
	m.open = nil
	if len(s.parts) == 0 {
		// Nobody has seen it: its number and its break go to the next one.
		m.sequence--
		m.broken = m.broken || s.discontinuity
		return
	}
	size := 0
	for _, p := range s.parts {
		size += len(p.data)
	}
	s.data = make([]byte, 0, size)
	parts := make([]part, len(s.parts))
	for i, p := range s.parts {
		from := len(s.data)
		s.data = append(s.data, p.data...)
		p.data = s.data[from:len(s.data):len(s.data)]
		parts[i] = p
	}
	s.parts = parts
	m.segments = append(m.segments, s)
	listed := int64(0)
	for _, s := range m.segments[m.listed:] {
		listed += s.duration
	}
	for listed-m.segments[m.listed].duration >= int64(m.cfg.Window)*targetSeconds*ClockRate {
		listed -= m.segments[m.listed].duration
		if m.segments[m.listed].discontinuity {
			m.breaks++
		}
		m.listed++
	}
	if surplus := m.listed - servedAfter; surplus > 0 {
		// A copy: views hold the old array.
		m.segments = append([]segment(nil), m.segments[surplus:]...)
		m.listed = servedAfter
	}
}

// publish shows the current state to everyone and wakes those who wait.
func (m *Muxer) publish() {
	v := &view{
		prefix: m.cfg.Prefix, format: m.packager.format(), whole: m.cfg.WholeSegments, wall: m.cfg.Wall,
		target: targetSeconds * ClockRate, partTarget: m.cfg.PartTarget,
		sequence: m.sequence, breaks: m.breaks, nextPart: m.nextPart, inits: m.inits,
		older: m.segments[:m.listed:m.listed],
	}
	v.segments = append(v.segments, m.segments[m.listed:]...)
	if m.open != nil && len(m.open.parts) > 0 && !m.cfg.WholeSegments {
		open := *m.open
		open.parts = open.parts[:len(open.parts):len(open.parts)]
		v.segments = append(v.segments, open)
	}
	if len(v.segments) > 0 {
		v.sequence = v.segments[0].sequence
		m.forgetBreaks(v.segments[0].start)
	}
	v.adBreaks, v.end = slices.Clone(m.adBreaks), m.lastEnd
	v.peak, v.mean = bitRates(v.segments)
	m.replace(v)
	m.delays.add(time.Now(), m.arrived)
	m.arrived = m.arrived[:0]
}

func (m *Muxer) replace(v *view) {
	v.changed, v.reports = make(chan struct{}), m.reports()
	v.full, v.delta = renderMedia(v, false), renderMedia(v, true)
	close(m.current.Swap(v).changed)
}

// bitRates returns the peak and the mean bits per second over whole segments; a stream that has none yet is
// judged by its parts.
func bitRates(segments []segment) (peak, mean int) {
	var bits, length int64
	for _, s := range segments {
		size := int64(len(s.data))
		if !s.complete() {
			for _, p := range s.parts {
				size += int64(len(p.data))
			}
		}
		if s.duration < ClockRate/2 && length > 0 || s.duration == 0 {
			continue
		}
		peak = max(peak, int(size*8*ClockRate/s.duration))
		bits += size * 8
		length += s.duration
	}
	if length > 0 {
		mean = int(bits * ClockRate / length)
	}
	return peak, mean
}
