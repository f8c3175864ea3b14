package hls

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// ClockRate is the unit of media time: ticks per second.
const ClockRate = 90000

// samplesPerAU is the length of an AAC access unit in samples.
const samplesPerAU = 1024

// Tracks are the parameters of a stream's media.
type Tracks struct {
	SPS, PPS []byte
	Audio    *mpeg4audio.AudioSpecificConfig // nil: no sound
}

// Equal tells whether a stream can go on from one to the other without a break.
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

// ticks converts a time in samples of the sound.
func (t Tracks) ticks(samples int64) int64 { return samples * ClockRate / int64(t.Audio.SampleRate) }
