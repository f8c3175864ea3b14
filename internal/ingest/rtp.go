package ingest

import (
	"bytes"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/footlight-live/footlight/internal/stage"
)

// Packet types of RFC 6184 section 5.4.
const (
	stapA = 24
	fuA   = 28
)

// picture is one access unit on its way into RTP: parameter sets first where a decoder can start, then what is to be
// decoded.
type picture struct {
	nalus [][]byte
	idr   bool
}

// parameterSets are those that the key frames need which follow.
type parameterSets struct{ sps, pps [][]byte }

// take sorts an access unit: parameter sets in it are kept, delimiters and filler left out. A key frame is headed by all
// parameter sets.
func (s *parameterSets) take(nalus [][]byte) picture {
	var p picture
	var sps, pps [][]byte
	for _, n := range nalus {
		switch h264.NALUType(n[0] & 0x1F) {
		case h264.NALUTypeSPS:
			sps = append(sps, n)
		case h264.NALUTypePPS:
			pps = append(pps, n)
		case h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeFillerData, h264.NALUTypeEndOfSequence, h264.NALUTypeEndOfStream:
		case h264.NALUTypeIDR:
			p.idr = true
			p.nalus = append(p.nalus, n)
		default:
			p.nalus = append(p.nalus, n)
		}
	}
	if sps != nil {
		s.sps = sps
	}
	if pps != nil {
		s.pps = pps
	}
	if p.idr {
		p.nalus = slices.Concat(s.sps, s.pps, p.nalus)
	}
	return p
}

// payloads are the RTP payloads of a picture (RFC 6184, packetization mode 1): what is small at its beginning together in
// one packet, so that a receiver gets parameter sets and key frame or neither, the rest alone or in fragments.
func (p picture) payloads() [][]byte {
	var out [][]byte
	nalus := p.nalus
	if n := small(nalus); n > 1 {
		b := []byte{stapA}
		for _, nalu := range nalus[:n] {
			b[0] = b[0]&^0x60 | max(b[0]&0x60, nalu[0]&0x60)
			b = append(b, byte(len(nalu)>>8), byte(len(nalu)))
			b = append(b, nalu...)
		}
		out, nalus = append(out, b), nalus[n:]
	}
	for _, nalu := range nalus {
		if len(nalu) <= stage.MaxPayload {
			out = append(out, nalu)
			continue
		}
		out = append(out, fragments(nalu)...)
	}
	return out
}

// small counts the parameter sets at the beginning that fit into one packet.
func small(nalus [][]byte) (n int) {
	size := 1
	for _, nalu := range nalus {
		typ := h264.NALUType(nalu[0] & 0x1F)
		if size += 2 + len(nalu); size > stage.MaxPayload || typ != h264.NALUTypeSPS && typ != h264.NALUTypePPS {
			break
		}
		n++
	}
	return n
}

func fragments(nalu []byte) (out [][]byte) {
	indicator, typ, rest := nalu[0]&0xE0|fuA, nalu[0]&0x1F, nalu[1:]
	const most = stage.MaxPayload - 2
	// Fragments of about the same size, so that no tiny one remains.
	count := (len(rest) + most - 1) / most
	for i := range count {
		part := rest[i*len(rest)/count : (i+1)*len(rest)/count]
		head := typ
		if i == 0 {
			head |= 0x80
		}
		if i == count-1 {
			head |= 0x40
		}
		out = append(out, bytes.Join([][]byte{{indicator, head}, part}, nil))
	}
	return out
}

// bidirectional tells whether the access unit is a B-picture: by the type of its first slice (ITU-T H.264 table 7-6).
func (p picture) bidirectional() bool {
	for _, n := range p.nalus {
		typ := h264.NALUType(n[0] & 0x1F)
		// A first slice begins with first_mb_in_slice = 0, which is a single bit.
		if (typ == h264.NALUTypeNonIDR || typ == h264.NALUTypeIDR) && len(n) > 2 && n[1]&0x80 != 0 {
			bits := uint16(n[1])<<9 | uint16(n[2])<<1
			zeros := 0
			for ; zeros < 5 && bits&0x8000 == 0; zeros++ {
				bits <<= 1
			}
			if zeros == 5 {
				return false // no slice type at all
			}
			sliceType := bits>>(15-zeros) - 1
			return sliceType%5 == 1
		}
	}
	return false
}
