package srt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MPEG-TS as ISO/IEC 13818-1 has it: packets (§2.4.3.2), PES packets (§2.4.3.6), and the tables (§2.4.4).
//
// It is read here, and not with mediacommon's reader, since the library below that copies what it has of a PES packet again
// with each packet: an access unit of 1 MiB cost 3 GB of copying, and that is for anybody to send.
const (
	packetSize = 188
	syncByte   = 0x47
	nullPID    = 0x1fff

	// mostSection and mostPES bound what is gathered, in bytes. A key frame at 8.5 Mb/s is far smaller.
	mostSection = 3 + 1021
	mostPES     = 4 << 20
)

var errTooLarge = fmt.Errorf("an access unit of more than %d bytes", mostPES)

// packetReader cuts a byte stream into packets, and finds the next one after damage.
type packetReader struct {
	r    io.Reader
	buf  []byte
	from int // of what is unread in buf
}

// next returns a packet, which is valid until the next call.
func (p *packetReader) next() ([]byte, error) {
	for {
		for p.from < len(p.buf) && p.buf[p.from] != syncByte {
			p.from++
		}
		if len(p.buf)-p.from >= packetSize {
			packet := p.buf[p.from : p.from+packetSize]
			p.from += packetSize
			return packet, nil
		}
		p.buf = append(p.buf[:0], p.buf[p.from:]...)
		p.from = 0
		have := len(p.buf)
		p.buf = append(p.buf, make([]byte, 2048)...)
		n, err := p.r.Read(p.buf[have:])
		p.buf = p.buf[:have+n]
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// packet is what matters of the head of one.
type packet struct {
	pid     uint16
	start   bool // of a PES packet or a section
	counter int  // 4 bits
	jumps   bool // the counter, on purpose
	payload []byte
}

// parsePacket returns false for one that carries nothing.
func parsePacket(b []byte) (packet, bool) {
	p := packet{pid: binary.BigEndian.Uint16(b[1:]) & 0x1fff, start: b[1]&0x40 != 0, counter: int(b[3] & 0xf)}
	damaged, scrambled := b[1]&0x80 != 0, b[3]&0xc0 != 0
	from := 4
	if b[3]&0x20 != 0 { // adaptation field
		length := int(b[4])
		p.jumps = length > 0 && b[5]&0x80 != 0
		from += 1 + length
	}
	if damaged || scrambled || p.pid == nullPID || b[3]&0x10 == 0 || from >= packetSize {
		return packet{}, false
	}
	p.payload = b[from:]
	return p, true
}

// gatherer puts the payloads of one PID together again.
type gatherer struct {
	buf     []byte
	open    bool // the start has come
	counter int
	seen    bool
}

// add takes a packet, and reports false for one that is not to be used: a repetition, or after a loss.
func (g *gatherer) add(p packet) bool {
	if g.seen && !p.jumps {
		if p.counter == g.counter {
			return false
		}
		if p.counter != (g.counter+1)&0xf {
			g.drop()
		}
	}
	g.counter, g.seen = p.counter, true
	return true
}

func (g *gatherer) drop() { g.buf, g.open = nil, false }

// section returns a section's body, without head and checksum, once it is complete.
func (g *gatherer) section(p packet) []byte {
	if !g.add(p) {
		return nil
	}
	data := p.payload
	if p.start {
		skip := 1 + int(data[0])
		if skip >= len(data) {
			g.drop()
			return nil
		}
		g.buf, g.open, data = nil, true, data[skip:]
	}
	if !g.open {
		return nil
	}
	g.buf = append(g.buf, data...)
	if len(g.buf) < 3 {
		return nil
	}
	length := 3 + int(binary.BigEndian.Uint16(g.buf[1:])&0xfff)
	if length > mostSection || length < 8+4 {
		g.drop()
		return nil
	}
	if len(g.buf) < length {
		return nil
	}
	body := g.buf[8 : length-4]
	g.drop()
	return body
}

// pes returns the PES packets that are complete with this packet: one that had no length ends where the next one starts.
func (g *gatherer) pes(p packet) (done [][]byte, err error) {
	if !g.add(p) {
		return nil, nil
	}
	if p.start {
		if g.open && len(g.buf) >= 6 && binary.BigEndian.Uint16(g.buf[4:]) == 0 {
			done = append(done, g.buf)
		}
		g.buf, g.open = nil, true
	}
	if !g.open {
		return done, nil
	}
	if g.buf = append(g.buf, p.payload...); len(g.buf) > mostPES {
		return nil, errTooLarge
	}
	if len(g.buf) < 6 {
		return done, nil
	}
	if length := int(binary.BigEndian.Uint16(g.buf[4:])); length > 0 && len(g.buf) >= 6+length {
		done = append(done, g.buf[:6+length])
		g.drop()
	}
	return done, nil
}

var errPES = errors.New("no PES packet with a time")

// parsePES returns the times, in 1/90000 s and 33 bits, and the payload.
func parsePES(b []byte) (pts, dts int64, payload []byte, err error) {
	if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[6]&0xc0 != 0x80 || len(b) < 9+int(b[8]) {
		return 0, 0, nil, errPES
	}
	head, payload := b[9:9+int(b[8])], b[9+int(b[8]):]
	switch b[7] >> 6 {
	case 0b10:
		if len(head) < 5 {
			return 0, 0, nil, errPES
		}
		pts = timestamp(head)
		return pts, pts, payload, nil
	case 0b11:
		if len(head) < 10 {
			return 0, 0, nil, errPES
		}
		return timestamp(head), timestamp(head[5:]), payload, nil
	}
	return 0, 0, nil, errPES
}

func timestamp(b []byte) int64 {
	return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
}

// firstProgram reads a PAT's body: the PID of the first program's map.
func firstProgram(body []byte) (pid uint16, ok bool) {
	for ; len(body) >= 4; body = body[4:] {
		if binary.BigEndian.Uint16(body) != 0 { // 0 is the network's
			return binary.BigEndian.Uint16(body[2:]) & 0x1fff, true
		}
	}
	return 0, false
}

// elementary is a stream of a program.
type elementary struct {
	kind byte // stream_type
	pid  uint16
}

// programMap reads a PMT's body.
func programMap(body []byte) (list []elementary) {
	if len(body) < 4 {
		return nil
	}
	skip := 4 + int(binary.BigEndian.Uint16(body[2:])&0xfff)
	for len(body) >= skip+5 {
		body = body[skip:]
		list = append(list, elementary{kind: body[0], pid: binary.BigEndian.Uint16(body[1:]) & 0x1fff})
		skip = 5 + int(binary.BigEndian.Uint16(body[3:])&0xfff)
	}
	return list
}
