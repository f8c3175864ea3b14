package hls

// maxTags bounds the tags that wait for a part: while the picture is away there is none.
const maxTags = 100

// tag is an ID3 tag on its way into a part.
type tag struct {
	at   int64 // ticks; at first the end of the newest frame when it came
	data []byte
}

// WriteTag puts an ID3 tag into the stream, at the end of the newest frame: what viewers see next. While nothing is
// published it waits for the next part; of more than 100 that wait, the oldest are lost.
func (m *Muxer) WriteTag(data []byte) {
	m.tags = append(m.tags, tag{at: m.lastEnd, data: data})
	m.tags = m.tags[max(0, len(m.tags)-maxTags):]
}

// takeTags removes what waits, for the part that begins at start.
func (m *Muxer) takeTags(start int64) []tag {
	taken := m.tags
	m.tags = nil
	for i := range taken {
		taken[i].at = max(taken[i].at, start)
	}
	return taken
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
