package hls

// closePart makes a part of everything that came before end. Nothing makes no part.
func (m *Muxer) closePart(end int64) error {
	if end <= m.partStart {
		if len(m.video) == 0 {
			return nil
		}
		end = m.partStart + 1 // timestamps that jitter more than a part is long
	}
	c := content{
		tracks: m.tracks, number: m.nextPart, start: m.partStart, end: end,
		discontinuity: m.open.discontinuity && len(m.open.parts) == 0,
		video:         m.video, audio: m.takeAudio(end),
	}
	if len(c.video) == 0 && len(c.audio) == 0 {
		return nil
	}
	c.tags = m.takeTags(c.start)
	data, err := m.packager.part(c)
	if err != nil {
		return err
	}
	for _, s := range c.video {
		if !s.arrived.IsZero() {
			m.arrived = append(m.arrived, s.arrived)
		}
	}
	m.open.parts = append(m.open.parts, part{
		id: m.nextPart, duration: end - m.partStart, independent: len(c.video) > 0 && c.video[0].key, data: data,
	})
	m.open.duration += end - m.partStart
	clear(m.video) // so that what the frames hold can go
	m.video = m.video[:0]
	m.nextPart++
	m.partStart = end
	return nil
}

// takeAudio removes the pending sound before end.
func (m *Muxer) takeAudio(end int64) []AudioFrame {
	n := 0
	for n < len(m.audio) && m.tracks.ticks(m.audio[n].DTS) < end {
		n++
	}
	taken := m.audio[:n]
	m.audio = m.audio[n:]
	return taken
}
