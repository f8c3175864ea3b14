package hls

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
)

// closePart makes a part of everything that came before end. Nothing makes no part.
func (m *Muxer) closePart(end int64) error {
	if end <= m.partStart {
		if len(m.video) == 0 {
			return nil
		}
		end = m.partStart + 1 // timestamps that jitter more than a part is long
	}
	p := fmp4.Part{SequenceNumber: uint32(m.nextPart)}
	independent := false
	if n := len(m.video); n > 0 {
		track := &fmp4.PartTrack{ID: videoTrackID, BaseTime: uint64(m.video[0].dts)}
		for i, s := range m.video {
			next := end
			if i+1 < n {
				next = m.video[i+1].dts
			}
			track.Samples = append(track.Samples, &fmp4.Sample{
				Duration: uint32(max(1, next-s.dts)), PTSOffset: int32(s.pts - s.dts),
				IsNonSyncSample: !s.key, Payload: s.payload,
			})
			if !s.arrived.IsZero() {
				m.arrived = append(m.arrived, s.arrived)
			}
		}
		independent = m.video[0].key
		p.Tracks = append(p.Tracks, track)
		m.video = m.video[:0]
	}
	if track := m.takeAudio(end); track != nil {
		p.Tracks = append(p.Tracks, track)
	}
	if len(p.Tracks) == 0 {
		return nil
	}
	var buf seekablebuffer.Buffer
	if err := p.Marshal(&buf); err != nil {
		return fmt.Errorf("render part: %w", err)
	}
	m.open.parts = append(m.open.parts, part{
		id: m.nextPart, duration: end - m.partStart, independent: independent,
		data: append(m.takeEvents(m.partStart), buf.Bytes()...),
	})
	m.open.duration += end - m.partStart
	m.nextPart++
	m.partStart = end
	return nil
}

// takeAudio removes the pending sound before end. Sound from before the segment's break has no place.
func (m *Muxer) takeAudio(end int64) *fmp4.PartTrack {
	if m.tracks.Audio == nil {
		return nil
	}
	n := 0
	for n < len(m.audio) && m.audioTicks(m.audio[n].DTS) < end {
		n++
	}
	take := m.audio[:n]
	m.audio = m.audio[n:]
	if len(take) == 0 {
		return nil
	}
	track := &fmp4.PartTrack{ID: audioTrackID, BaseTime: uint64(take[0].DTS)}
	for i, f := range take {
		length := int64(samplesPerAU)
		if i+1 < len(take) {
			length = max(1, take[i+1].DTS-f.DTS)
		}
		track.Samples = append(track.Samples, &fmp4.Sample{Duration: uint32(length), Payload: f.AU})
	}
	return track
}
