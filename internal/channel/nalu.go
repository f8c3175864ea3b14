package channel

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/footlight-live/footlight/internal/channel/hls"
)

// parameterSets are the H.264 parameter sets in force. Only the first of each kind fits the sample description;
// the others travel in front of every key frame.
type parameterSets struct {
	sps, pps [][]byte
}

func (p parameterSets) equal(o parameterSets) bool {
	return equalSets(p.sps, o.sps) && equalSets(p.pps, o.pps)
}

func equalSets(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// size is that of the picture, in pixels. There must be an SPS.
func (p parameterSets) size() (width, height int) { return hls.Tracks{SPS: p.sps[0]}.Size() }

// extra returns the sets that the sample description has no room for.
func (p parameterSets) extra() [][]byte {
	var out [][]byte
	if len(p.sps) > 1 {
		out = append(out, p.sps[1:]...)
	}
	if len(p.pps) > 1 {
		out = append(out, p.pps[1:]...)
	}
	return out
}

// accessUnit is what is left of a frame once everything is taken out that does not belong into a sample.
type accessUnit struct {
	nalus  [][]byte      // slices and SEI
	random bool          // holds an IDR picture
	inband parameterSets // parameter sets that came with it
}

// sortNALUs takes parameter sets, delimiters and filler out of a frame.
func sortNALUs(nalus [][]byte) accessUnit {
	var au accessUnit
	for _, n := range nalus {
		switch h264.NALUType(n[0] & 0x1F) {
		case h264.NALUTypeSPS:
			au.inband.sps = append(au.inband.sps, n)
		case h264.NALUTypePPS:
			au.inband.pps = append(au.inband.pps, n)
		case h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeFillerData, h264.NALUTypeEndOfSequence, h264.NALUTypeEndOfStream:
		case h264.NALUTypeIDR:
			au.random = true
			au.nalus = append(au.nalus, n)
		default:
			au.nalus = append(au.nalus, n)
		}
	}
	return au
}
