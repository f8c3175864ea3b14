package stage

// NAL unit types and aggregation of RFC 6184 section 5.2 and ITU-T H.264 table 7-1.
const (
	nalSlice = 1 // of a picture that is no IDR
	nalIDR   = 5
	nalSPS   = 7
	nalSTAPA = 24
	nalFUA   = 28
)

// startsKeyFrame finds what a decoder that has nothing yet can start with in an RTP payload of packetization mode
// 0 or 1: a sequence parameter set, nil if there is none, and the first slice of an IDR picture. Encoders that send SPS
// and PPS in packets of their own start at the SPS.
func startsKeyFrame(payload []byte) (sps []byte, idr bool) {
	if len(payload) < 2 {
		return nil, false
	}
	switch typ := payload[0] & 0x1f; typ {
	case nalSPS:
		return payload, false
	case nalIDR:
		return nil, firstSlice(payload[1])
	case nalFUA:
		return nil, payload[1]&0x80 != 0 && payload[1]&0x1f == nalIDR && len(payload) > 2 && firstSlice(payload[2])
	case nalSTAPA:
		for rest := payload[1:]; len(rest) > 2; {
			size := int(rest[0])<<8 | int(rest[1])
			rest = rest[2:]
			if size == 0 || size > len(rest) {
				break
			}
			switch rest[0] & 0x1f {
			case nalSPS:
				sps = rest[:size]
			case nalIDR:
				return sps, size > 1 && firstSlice(rest[1])
			}
			rest = rest[size:]
		}
	}
	return sps, false
}

// startsB reports whether an RTP payload of packetization mode 0 or 1 begins or contains a B slice (ITU-T H.264 sections
// 7.3.3 and 7.4.3). Pictures with such slices are decoded in another order than they are shown in.
func startsB(payload []byte) bool {
	if len(payload) < 2 {
		return false
	}
	switch payload[0] & 0x1f {
	case nalSlice:
		return sliceB(payload[1:])
	case nalFUA:
		return payload[1]&0x80 != 0 && payload[1]&0x1f == nalSlice && sliceB(payload[2:])
	case nalSTAPA:
		for rest := payload[1:]; len(rest) > 2; {
			size := int(rest[0])<<8 | int(rest[1])
			rest = rest[2:]
			if size == 0 || size > len(rest) {
				return false
			}
			if rest[0]&0x1f == nalSlice && sliceB(rest[1:size]) {
				return true
			}
			rest = rest[size:]
		}
	}
	return false
}

// sliceB reads the type of a slice from its header, which begins with first_mb_in_slice and slice_type.
func sliceB(header []byte) bool {
	b := bits{data: header[:min(len(header), 16)]}
	b.ue()
	typ := b.ue()
	return !b.short && (typ == 1 || typ == 6)
}

// firstSlice reports whether a slice header begins with first_mb_in_slice = 0, which ue(v) codes as a 1 bit.
func firstSlice(header byte) bool { return header&0x80 != 0 }
