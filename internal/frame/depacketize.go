package frame

import "encoding/binary"

// NAL unit types of H.264 (ITU-T H.264 table 7-1) and of its RTP payload (RFC 6184 section 5.2).
const (
	nalSlice = 1
	nalIDR   = 5
	nalSPS   = 7
	nalSTAPA = 24
	nalFUA   = 28
)

var startCode = []byte{0, 0, 0, 1}

// unit collects the NAL units of one access unit in Annex B form.
type unit struct {
	data   []byte
	inFU   bool // a fragmented NAL unit is open
	broken bool // a fragment did not fit, or the payload made no sense
	idr    bool
	sps    bool
	slices bool
}

// add appends one RTP payload (RFC 6184, packetization modes 0 and 1).
func (u *unit) add(payload []byte) {
	if len(payload) == 0 {
		return
	}
	switch t := payload[0] & 0x1f; {
	case t >= 1 && t < nalSTAPA:
		u.closeFU()
		u.nal(payload)
	case t == nalSTAPA:
		u.closeFU()
		for rest := payload[1:]; len(rest) > 0; {
			if len(rest) < 2 {
				u.broken = true
				return
			}
			n := int(binary.BigEndian.Uint16(rest))
			rest = rest[2:]
			if n == 0 || n > len(rest) {
				u.broken = true
				return
			}
			u.nal(rest[:n])
			rest = rest[n:]
		}
	case t == nalFUA:
		if len(payload) < 2 {
			u.broken = true
			return
		}
		start, end := payload[1]&0x80 != 0, payload[1]&0x40 != 0
		switch {
		case start:
			u.closeFU()
			u.nal([]byte{payload[0]&0xe0 | payload[1]&0x1f})
			u.inFU = true
		case !u.inFU:
			u.broken = true
			return
		}
		u.data = append(u.data, payload[2:]...)
		if end {
			u.inFU = false
		}
	default: // STAP-B, MTAP, FU-B: mode 2, which nobody negotiates
		u.broken = true
	}
}

// nal starts a NAL unit with what there is of it.
func (u *unit) nal(b []byte) {
	switch b[0] & 0x1f {
	case nalIDR:
		u.idr, u.slices = true, true
	case nalSlice, 2, 3, 4:
		u.slices = true
	case nalSPS:
		u.sps = true
	}
	u.data = append(append(u.data, startCode...), b...)
}

// closeFU notes that a fragmented NAL unit never ended.
func (u *unit) closeFU() {
	if u.inFU {
		u.inFU, u.broken = false, true
	}
}

// startsUnit tells whether a payload can only be the first of an access unit: it begins with parameter sets.
func startsUnit(payload []byte) bool {
	if len(payload) == 0 {
		return false
	}
	t := payload[0] & 0x1f
	if t == nalSTAPA && len(payload) > 3 {
		t = payload[3] & 0x1f
	}
	return t == nalSPS || t == 9 // access unit delimiter
}

// hasIDR tells whether a payload holds a key frame's slice or the beginning of one.
func hasIDR(payload []byte) bool {
	if len(payload) < 2 {
		return false
	}
	switch payload[0] & 0x1f {
	case nalIDR:
		return true
	case nalFUA:
		return payload[1]&0x9f == 0x80|nalIDR
	case nalSTAPA:
		for rest := payload[1:]; len(rest) > 2; {
			n := int(binary.BigEndian.Uint16(rest))
			if rest[2]&0x1f == nalIDR {
				return true
			}
			rest = rest[min(2+n, len(rest)):]
		}
	}
	return false
}
