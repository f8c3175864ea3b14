package hls

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/channel/hls/ts"
)

// breakClass is the CLASS of the date ranges that mark ad breaks.
const breakClass = "live.footlight.ad-break"

// adBreak is a stretch of the stream that is meant to be replaced by advertising. It never changes.
type adBreak struct {
	id            string
	number        uint32 // splice_event_id
	start, length int64  // ticks
}

// LiveEdge is where the newest frame ends that a playlist may already hold, in ticks.
func (m *Muxer) LiveEdge() int64 { return max(m.lastEnd, m.partStart) }

// MarkBreak begins an ad break at a time, and returns that moment on the wall clock. The playlist tells of it from now on,
// until it has left the window. Times are in ticks.
func (m *Muxer) MarkBreak(id string, start, length int64) time.Time {
	m.nextBreak++
	b := adBreak{id: id, number: m.nextBreak, start: start, length: length}
	m.adBreaks = append(m.adBreaks, b)
	m.publish()
	return m.cfg.Wall.Add(ticks(b.start))
}

// InBreak tells whether the newest ad break is not over yet.
func (m *Muxer) InBreak() bool {
	n := len(m.adBreaks)
	return n > 0 && m.adBreaks[n-1].start+m.adBreaks[n-1].length > m.lastEnd
}

// forgetBreaks drops the ad breaks that end before a time.
func (m *Muxer) forgetBreaks(before int64) {
	for len(m.adBreaks) > 0 && m.adBreaks[0].start+m.adBreaks[0].length < before {
		m.adBreaks = m.adBreaks[1:]
	}
}

// renderBreak writes an ad break as EXT-X-DATERANGE (rfc8216bis §4.4.5.1). What it said once stays; the end is added
// when the stream has got there.
func renderBreak(b *strings.Builder, a adBreak, wall time.Time, now int64) {
	const format = "2006-01-02T15:04:05.000Z"
	fmt.Fprintf(b, "#EXT-X-DATERANGE:ID=%q,CLASS=%q,START-DATE=%q,PLANNED-DURATION=%s,SCTE35-OUT=0x%X",
		a.id, breakClass, wall.Add(ticks(a.start)).UTC().Format(format), seconds(a.length), spliceInsert(a, true))
	if end := a.start + a.length; now >= end {
		fmt.Fprintf(b, ",END-DATE=%q,DURATION=%s,SCTE35-IN=0x%X",
			wall.Add(ticks(end)).UTC().Format(format), seconds(a.length), spliceInsert(a, false))
	}
	b.WriteByte('\n')
}

// spliceInsert is a splice_info_section with an immediate splice_insert (SCTE 35 §9.6, §9.7.3): out of the programme
// with the break's length, or back into it.
func spliceInsert(a adBreak, out bool) []byte {
	command := binary.BigEndian.AppendUint32(nil, a.number)
	command = append(command, 0x7f) // not cancelled
	if out {
		command = append(command, 0xff)                  // out of network, whole programme, with a duration, immediate
		length := uint64(a.length) & (1<<33 - 1)         // in ticks of 90 kHz
		command = append(command, 0xfe|byte(length>>32)) // returns by itself
		command = binary.BigEndian.AppendUint32(command, uint32(length))
	} else {
		command = append(command, 0x5f) // into the network, whole programme, immediate
	}
	command = append(command, 0, 1, 0, 0) // unique_program_id 1, no avails

	length := 11 + len(command) + 2 + 4 // after section_length: head, command, descriptor_loop_length, CRC
	b := []byte{0xfc, 0x30 | byte(length>>8), byte(length)}
	b = append(b, 0, 0, 0, 0, 0, 0) // protocol_version, not encrypted, pts_adjustment
	b = append(b, 0)                // cw_index
	b = append(b, 0xff, 0xf0|byte(len(command)>>8), byte(len(command)), 5)
	b = append(b, command...)
	b = append(b, 0, 0) // no descriptors
	return binary.BigEndian.AppendUint32(b, ts.CRC(b))
}
