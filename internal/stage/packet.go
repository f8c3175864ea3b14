package stage

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
)

// maxPacket is the largest RTP packet taken, in bytes: an Ethernet frame's payload.
const maxPacket = 1500

// packet is one RTP packet of a publisher, shared by the history and all queues that hold it.
// It is written before it is shared and never after. Whoever holds it has a reference and releases it.
type packet struct {
	refs atomic.Int32

	index    int64  // sequence number extended beyond 16 bits, see source.receive
	sequence uint16 // the publisher's
	time     uint32 // the publisher's RTP timestamp
	marker   bool
	padding  uint8 // bytes of padding after the payload
	key      bool  // a decoder can start here
	// parameters says that the payload begins or contains a sequence parameter set, so that a decoder
	// can start here also after pictures of another size.
	parameters bool
	payload    []byte // within buf
	buf        [maxPacket]byte
}

var packets = sync.Pool{New: func() any { return new(packet) }}

// newPacket returns an empty packet that the caller holds.
func newPacket() *packet {
	p := packets.Get().(*packet)
	p.refs.Store(1)
	return p
}

func (p *packet) retain() { p.refs.Add(1) }

func (p *packet) release() {
	if p.refs.Add(-1) == 0 {
		packets.Put(p)
	}
}

var errMalformedRTP = errors.New("malformed RTP packet")

// parse reads the RTP header (RFC 3550 section 5.1) of the n bytes in buf and finds the payload.
func (p *packet) parse(n int) error {
	if n > len(p.buf) {
		return errMalformedRTP
	}
	b := p.buf[:n]
	if len(b) < 12 || b[0]>>6 != 2 {
		return errMalformedRTP
	}
	start := 12 + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 { // header extension: 16 bits of profile, 16 bits of length in words
		if len(b) < start+4 {
			return errMalformedRTP
		}
		start += 4 + 4*int(binary.BigEndian.Uint16(b[start+2:]))
	}
	if len(b) < start {
		return errMalformedRTP
	}
	end := len(b)
	p.padding = 0
	if b[0]&0x20 != 0 {
		p.padding = b[len(b)-1]
		end -= int(p.padding)
		if p.padding == 0 || end < start {
			return errMalformedRTP
		}
	}
	p.marker = b[1]&0x80 != 0
	p.sequence = binary.BigEndian.Uint16(b[2:])
	p.time = binary.BigEndian.Uint32(b[4:])
	p.payload = b[start:end]
	p.key, p.parameters = false, false
	return nil
}

// restore turns a parsed RTX packet (RFC 4588 section 4) into the original it carries.
// It reports false for the empty packets with which browsers probe the bandwidth.
func (p *packet) restore() bool {
	if len(p.payload) < 2 {
		return false
	}
	p.sequence = binary.BigEndian.Uint16(p.payload)
	p.payload = p.payload[2:]
	return true
}
