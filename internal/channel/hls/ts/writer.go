// Package ts writes MPEG-TS (ISO/IEC 13818-1, ITU-T H.222.0) of one program.
//
// Guarantees:
//   - Whatever is appended is a whole number of packets, so that what was appended at different times can be put together.
//   - Continuity counters go on over all that one Writer appends.
//   - Nothing is allocated but room in the destination.
//
// mediacommon's writer is not used: it has no way to say that the metadata of a program is ID3, and allocates for every packet.
package ts

import "encoding/binary"

const (
	// ClockRate is the unit of PTS, DTS and PCR: ticks per second.
	ClockRate = 90000
	// PacketSize is in bytes.
	PacketSize = 188

	payloadSize = PacketSize - 4
	// clockMask leaves the 33 bits that a time has here: it begins anew after 26 hours.
	clockMask = 1<<33 - 1

	flagDiscontinuity = 0x80
	flagRandomAccess  = 0x40
	flagPCR           = 0x10
)

// Kind is a stream_type (table 2-34).
type Kind byte

// The kinds of streams that can be written.
const (
	ADTS     Kind = 0x0f // AAC
	Metadata Kind = 0x15 // ID3 tags in PES packets
	H264     Kind = 0x1b
)

// id is the stream_id of the PES packets of a kind (table 2-22). That of metadata is private_stream_1, as "Timed Metadata
// for HTTP Live Streaming" (Apple) demands.
func (k Kind) id() byte {
	switch k {
	case H264:
		return 0xe0
	case ADTS:
		return 0xc0
	}
	return 0xbd
}

// Stream is one elementary stream of a program.
type Stream struct {
	PID  uint16
	Kind Kind

	counter byte // of the next packet with a payload
}

// Unit is what one PES packet holds: an access unit, or several of sound.
type Unit struct {
	PTS, DTS int64 // ticks, of any size: only the lowest 33 bits are written
	Random   bool  // decoding can begin here
	Data     []byte

	// Clock is written before the unit where it is not nil.
	Clock *Clock
}

// Clock is a program clock reference.
type Clock struct {
	Time  int64 // ticks
	Break bool  // it does not go on from the one before
}

// Writer appends the packets of one program. The zero value is ready for SetProgram.
type Writer struct {
	tables        [2 * PacketSize]byte // PAT and PMT
	pat, pmt      byte                 // counters
	version       byte
	hasProgram    bool
	clockedStream *Stream
}

// SetProgram says what the next tables tell of. The first stream is the one with the clock.
func (w *Writer) SetProgram(streams []*Stream) {
	if w.hasProgram {
		w.version = (w.version + 1) & 0x1f
	}
	w.hasProgram, w.clockedStream = true, streams[0]
	section(w.tables[:PacketSize], patPID, association(w.version))
	section(w.tables[PacketSize:], pmtPID, programMap(w.version, streams))
}

// AppendTables appends a PAT and a PMT.
func (w *Writer) AppendTables(b []byte) []byte {
	w.tables[3] = 0x10 | w.pat
	w.tables[PacketSize+3] = 0x10 | w.pmt
	w.pat, w.pmt = (w.pat+1)&0xf, (w.pmt+1)&0xf
	return append(b, w.tables[:]...)
}

// AppendClock appends a packet that holds the clock and nothing else.
func (w *Writer) AppendClock(b []byte, c Clock) []byte {
	s := w.clockedStream
	// Without a payload the counter stays that of the packet before (§2.4.3.3).
	b = append(b, 0x47, byte(s.PID>>8), byte(s.PID), 0x20|(s.counter-1)&0xf, payloadSize-1)
	b = appendClock(append(b, clockFlags(c)), c.Time)
	return appendStuffing(b, payloadSize-1-7)
}

// AppendUnit appends a PES packet.
func (w *Writer) AppendUnit(b []byte, s *Stream, u Unit) []byte {
	var headBuf [19]byte
	head := pesHead(headBuf[:0], s.Kind, u)
	var fieldBuf [7]byte // flags and clock
	field := fieldBuf[:0]
	if u.Random || u.Clock != nil {
		field = append(field, 0)
		if u.Clock != nil {
			field[0] = clockFlags(*u.Clock)
			field = appendClock(field, u.Clock.Time)
		}
		if u.Random {
			field[0] |= flagRandomAccess
		}
	}
	start := byte(0x40)
	for data := u.Data; start != 0 || len(data) > 0; start = 0 {
		room := payloadSize
		if len(field) > 0 {
			room -= 1 + len(field)
		}
		n := min(room, len(head)+len(data))
		stuffing := room - n
		control := byte(0x10)
		if len(field) > 0 || stuffing > 0 {
			control = 0x30
		}
		b = append(b, 0x47, start|byte(s.PID>>8), byte(s.PID), control|s.counter)
		s.counter = (s.counter + 1) & 0xf
		switch {
		case len(field) > 0:
			b = append(append(b, byte(len(field)+stuffing)), field...)
		case stuffing > 0:
			stuffing-- // for the length
			b = append(b, byte(stuffing))
			if stuffing > 0 {
				stuffing--
				b = append(b, 0) // flags
			}
		}
		b = appendStuffing(b, stuffing)
		b = append(b, head...)
		n -= len(head)
		b = append(b, data[:n]...)
		data, head, field = data[n:], nil, nil
	}
	return b
}

// pesHead appends the head of a PES packet (§2.4.3.6). A length that does not fit is left out, which is for pictures only.
func pesHead(b []byte, k Kind, u Unit) []byte {
	flags, optional := byte(0x80), 5 // PTS
	if u.DTS != u.PTS {
		flags, optional = 0xc0, 10
	}
	length := 3 + optional + len(u.Data)
	if length > 0xffff {
		length = 0
	}
	b = append(b, 0, 0, 1, k.id(), byte(length>>8), byte(length))
	b = append(b, 0x84, flags, byte(optional)) // the payload begins with an access unit
	if u.DTS == u.PTS {
		return appendTime(b, 0x20, u.PTS)
	}
	return appendTime(appendTime(b, 0x30, u.PTS), 0x10, u.DTS)
}

// appendTime appends a PTS or a DTS (table 2-21) behind its four bits of prefix.
func appendTime(b []byte, prefix byte, t int64) []byte {
	t &= clockMask
	return append(b, prefix|byte(t>>29)&0xe|1, byte(t>>22), byte(t>>14)|1, byte(t>>7), byte(t<<1)|1)
}

func clockFlags(c Clock) byte {
	if c.Break {
		return flagPCR | flagDiscontinuity
	}
	return flagPCR
}

// appendClock appends a program_clock_reference without extension (§2.4.3.5).
func appendClock(b []byte, t int64) []byte {
	t &= clockMask
	b = binary.BigEndian.AppendUint32(b, uint32(t>>1))
	return append(b, byte(t<<7)|0x7e, 0)
}

func appendStuffing(b []byte, n int) []byte {
	for range n {
		b = append(b, 0xff)
	}
	return b
}
