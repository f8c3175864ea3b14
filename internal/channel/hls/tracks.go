package hls

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// ClockRate is the unit of media time: ticks per second of the video track.
const ClockRate = 90000

// samplesPerAU is the length of an AAC access unit in samples.
const samplesPerAU = 1024

const (
	videoTrackID = 1
	audioTrackID = 2
)

// Tracks are the parameters of a stream's media: what an EXT-X-MAP holds.
type Tracks struct {
	SPS, PPS []byte
	Audio    *mpeg4audio.AudioSpecificConfig // nil: no sound
}

// Equal tells whether one initialisation section serves both.
func (t Tracks) Equal(o Tracks) bool {
	if !bytes.Equal(t.SPS, o.SPS) || !bytes.Equal(t.PPS, o.PPS) || (t.Audio == nil) != (o.Audio == nil) {
		return false
	}
	return t.Audio == nil || *t.Audio == *o.Audio
}

// VideoCodec is the RFC 6381 name, for example avc1.42C028.
func (t Tracks) VideoCodec() string {
	if len(t.SPS) < 4 {
		return ""
	}
	return fmt.Sprintf("avc1.%02X%02X%02X", t.SPS[1], t.SPS[2], t.SPS[3])
}

// AudioCodec is the RFC 6381 name, for example mp4a.40.2, or "" without sound.
func (t Tracks) AudioCodec() string {
	switch {
	case t.Audio == nil:
		return ""
	case t.Audio.ExtensionType != 0:
		return fmt.Sprintf("mp4a.40.%d", t.Audio.ExtensionType)
	}
	return fmt.Sprintf("mp4a.40.%d", t.Audio.Type)
}

// Codecs is the value of the CODECS attribute.
func (t Tracks) Codecs() string {
	return strings.TrimSuffix(t.VideoCodec()+","+t.AudioCodec(), ",")
}

// Size is the picture's size in pixels after cropping, or 0, 0 when the SPS cannot be read.
func (t Tracks) Size() (width, height int) {
	var sps h264.SPS
	if sps.Unmarshal(t.SPS) != nil {
		return 0, 0
	}
	return sps.Width(), sps.Height()
}

// initialization renders the EXT-X-MAP section.
func (t Tracks) initialization() ([]byte, error) {
	init := fmp4.Init{Tracks: []*fmp4.InitTrack{{
		ID: videoTrackID, TimeScale: ClockRate, Codec: &codecs.H264{SPS: t.SPS, PPS: t.PPS},
	}}}
	if t.Audio != nil {
		init.Tracks = append(init.Tracks, &fmp4.InitTrack{
			ID: audioTrackID, TimeScale: uint32(t.Audio.SampleRate), Codec: &codecs.MPEG4Audio{Config: *t.Audio},
		})
	}
	var buf seekablebuffer.Buffer
	if err := init.Marshal(&buf); err != nil {
		return nil, fmt.Errorf("render initialisation section: %w", err)
	}
	return buf.Bytes(), nil
}
