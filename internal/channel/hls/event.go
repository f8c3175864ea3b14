package hls

import (
	"encoding/binary"
)

// id3Scheme says that an emsg box holds an ID3 tag ("Carriage of ID3 Timed Metadata in CMAF", AOM, §2).
const id3Scheme = "https://aomedia.org/emsg/ID3"

// maxEvents bounds the events that wait for a part: while the picture is away there is none.
const maxEvents = 100

// event is an ID3 tag on its way into a part.
type event struct {
	at  int64 // ticks; of the newest frame when it came
	tag []byte
}

// WriteTag puts an ID3 tag into the stream, at the end of the newest frame: what viewers see next. While nothing is
// published it waits for the next part; of more than 100 that wait, the oldest are lost.
func (m *Muxer) WriteTag(tag []byte) {
	m.events = append(m.events, event{at: m.lastEnd, tag: tag})
	m.events = m.events[max(0, len(m.events)-maxEvents):]
}

// takeEvents renders what waits, for the head of the part that begins at start.
func (m *Muxer) takeEvents(start int64) []byte {
	var b []byte
	for _, e := range m.events {
		b = appendEvent(b, uint32(m.nextEvent), max(e.at, start), e.tag)
		m.nextEvent++
	}
	m.events = nil
	return b
}

// appendEvent appends an emsg box of version 1 (ISO/IEC 23009-1 §5.10.3.3), whose time is on the tracks' timeline.
// Its duration is unknown: the tag holds until the next one.
func appendEvent(b []byte, id uint32, at int64, tag []byte) []byte {
	size := 8 + 4 + 4 + 8 + 4 + 4 + len(id3Scheme) + 1 + 1 + len(tag)
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, "emsg"...)
	b = binary.BigEndian.AppendUint32(b, 1<<24) // version 1, no flags
	b = binary.BigEndian.AppendUint32(b, ClockRate)
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, 0xffffffff)
	b = binary.BigEndian.AppendUint32(b, id)
	b = append(b, id3Scheme+"\x00"+"\x00"...) // scheme and an empty value
	return append(b, tag...)
}

// TextTag is an ID3v2.4 tag of one TXXX frame without a description, the form in which IVS's timed metadata is
// carried here (spec/lowlatency.md §5). Text is UTF-8.
func TextTag(text string) []byte {
	const frameHead = 10
	body := len(text) + 2 // the encoding and the end of the description
	b := make([]byte, 0, 10+frameHead+body)
	b = append(b, "ID3\x04\x00\x00"...)
	b = appendSynchsafe(b, frameHead+body)
	b = append(b, "TXXX"...)
	b = appendSynchsafe(b, body)
	b = append(b, 0, 0) // flags
	b = append(b, 3, 0) // UTF-8
	return append(b, text...)
}

// appendSynchsafe appends a size of up to 28 bits, seven to a byte (ID3v2.4 §6.2).
func appendSynchsafe(b []byte, n int) []byte {
	return append(b, byte(n>>21)&0x7f, byte(n>>14)&0x7f, byte(n>>7)&0x7f, byte(n)&0x7f)
}
