package record

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

// ClockRate is the unit of media time and of video: ticks per second. Sound counts in samples.
const ClockRate = 90000

const (
	videoTrackID = 1
	audioTrackID = 2
)

// opusRate is the clock of Opus, whatever was recorded (RFC 7845 section 4).
const opusRate = 48000

// Tracks are the parameters of a source's media.
type Tracks struct {
	SPS, PPS []byte                          // H.264; nil: no video
	AAC      *mpeg4audio.AudioSpecificConfig // nil: no AAC
	Opus     int                             // channels; 0: no Opus
}

func (t Tracks) equal(o Tracks) bool {
	if !bytes.Equal(t.SPS, o.SPS) || !bytes.Equal(t.PPS, o.PPS) || (t.AAC == nil) != (o.AAC == nil) || t.Opus != o.Opus {
		return false
	}
	return t.AAC == nil || *t.AAC == *o.AAC
}

func (t Tracks) video() bool { return len(t.SPS) > 0 }

// audioRate is the number of samples per second; 0 without sound.
func (t Tracks) audioRate() int64 {
	switch {
	case t.AAC != nil:
		return int64(t.AAC.SampleRate)
	case t.Opus > 0:
		return opusRate
	}
	return 0
}

// size is the picture's in pixels, after cropping; 0, 0 when there is none.
func (t Tracks) size() (width, height int) {
	var sps h264.SPS
	if !t.video() || sps.Unmarshal(t.SPS) != nil {
		return 0, 0
	}
	return sps.Width(), sps.Height()
}

// codecs is the value of the CODECS attribute (RFC 6381).
func (t Tracks) codecs() string {
	var all []string
	if len(t.SPS) >= 4 {
		all = append(all, fmt.Sprintf("avc1.%02X%02X%02X", t.SPS[1], t.SPS[2], t.SPS[3]))
	}
	switch {
	case t.AAC != nil && t.AAC.ExtensionType != 0:
		all = append(all, fmt.Sprintf("mp4a.40.%d", t.AAC.ExtensionType))
	case t.AAC != nil:
		all = append(all, fmt.Sprintf("mp4a.40.%d", t.AAC.Type))
	case t.Opus > 0:
		all = append(all, "opus")
	}
	return strings.Join(all, ",")
}

// initialization renders the EXT-X-MAP section.
func (t Tracks) initialization() ([]byte, error) {
	var init fmp4.Init
	if t.video() {
		init.Tracks = append(init.Tracks, &fmp4.InitTrack{ID: videoTrackID, TimeScale: ClockRate, Codec: &codecs.H264{SPS: t.SPS, PPS: t.PPS}})
	}
	if rate := t.audioRate(); rate > 0 {
		track := &fmp4.InitTrack{ID: audioTrackID, TimeScale: uint32(rate)}
		if t.AAC != nil {
			track.Codec = &codecs.MPEG4Audio{Config: *t.AAC}
		} else {
			track.Codec = &codecs.Opus{ChannelCount: t.Opus}
		}
		init.Tracks = append(init.Tracks, track)
	}
	var buf seekablebuffer.Buffer
	if err := init.Marshal(&buf); err != nil {
		return nil, fmt.Errorf("render initialisation section: %w", err)
	}
	return buf.Bytes(), nil
}
