package av

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/bits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// NAL unit types of ITU-T H.264 table 7-1.
const (
	nalSlice = 1
	nalIDR   = 5
	nalSPS   = 7
)

// sequence follows frame_num from picture to picture (ITU-T H.264 section 7.4.3) to notice lost reference
// pictures, which libavcodec silently replaces by copies. Its zero value knows nothing and objects to
// nothing; so does one whose stream allows gaps (temporal layers) or has interlaced pictures.
type sequence struct {
	usable   bool   // an SPS was read that lets us tell
	bits     int    // length of frame_num
	started  bool   // last is valid
	last     uint64 // frame_num of the last picture
	lastRefs bool   // others may refer to the last picture
}

// follows reads an access unit and tells whether it can follow the one before.
func (s *sequence) follows(annexB []byte) bool {
	for nalu := range units(annexB) {
		switch kind := nalu[0] & 0x1f; kind {
		case nalSPS:
			s.readSPS(nalu)
		case nalSlice, nalIDR:
			return s.slice(nalu, kind == nalIDR)
		}
	}
	return true
}

func (s *sequence) readSPS(nalu []byte) {
	var sps h264.SPS
	if sps.Unmarshal(nalu) != nil || sps.Log2MaxFrameNumMinus4 > 12 {
		s.usable = false
		return
	}
	s.usable = sps.FrameMbsOnlyFlag && !sps.GapsInFrameNumValueAllowedFlag && !sps.SeparateColourPlaneFlag
	s.bits = int(sps.Log2MaxFrameNumMinus4) + 4
}

// slice reads the first slice header of a picture. Headers that do not parse are left to the decoder.
func (s *sequence) slice(nalu []byte, idr bool) bool {
	if !s.usable {
		s.started = false
		return true
	}
	// 32 bytes hold the four fields in front, whatever emulation prevention adds.
	header := h264.EmulationPreventionRemove(nalu[:min(len(nalu), 32)])
	pos := 8
	firstMB, err := bits.ReadGolombUnsigned(header, &pos)
	if err != nil || firstMB != 0 {
		return true
	}
	for range 2 { // slice_type, pic_parameter_set_id
		if _, err := bits.ReadGolombUnsigned(header, &pos); err != nil {
			return true
		}
	}
	num, err := bits.ReadBits(header, &pos, s.bits)
	if err != nil {
		return true
	}
	next := s.last
	if s.lastRefs {
		next = (s.last + 1) & (1<<s.bits - 1)
	}
	// After a picture nobody refers to, which counts one up itself, comes one of the same number.
	ok := !s.started || idr || num == next
	s.started, s.last, s.lastRefs = true, num, nalu[0]>>5&3 != 0
	return ok
}

// units iterates over the non-empty NAL units of an Annex B byte stream.
func units(annexB []byte) func(yield func([]byte) bool) {
	start := []byte{0, 0, 1}
	return func(yield func([]byte) bool) {
		at := bytes.Index(annexB, start)
		for at >= 0 {
			annexB = annexB[at+3:]
			unit := annexB
			if at = bytes.Index(annexB, start); at >= 0 {
				unit = annexB[:at]
			}
			if len(unit) > 0 && !yield(unit) {
				return
			}
		}
	}
}
