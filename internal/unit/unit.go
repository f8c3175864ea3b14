// Package unit is what publishers send, whatever protocol it came by.
package unit

import (
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// Unit is one thing that a publisher sent: Metadata, VideoParams, VideoFrame, AudioParams or AudioFrame.
// Units own their memory.
type Unit interface{ unit() }

// Metadata is what an encoder says about itself in onMetaData. Zero means not said.
type Metadata struct {
	Encoder      string
	VideoBitRate int     // bits per second
	AudioBitRate int     // bits per second
	FrameRate    float64 // frames per second
	HasAudio     bool    // an audio codec or bit rate is announced
}

// VideoParams is an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1): the parameter sets
// for the frames that follow.
type VideoParams struct {
	Track    int      // see VideoFrame
	SPS, PPS [][]byte // NAL units without start code or length; at least one of each
}

// VideoFrame is one H.264 access unit.
type VideoFrame struct {
	// Track is 0 for the first or only picture of a publisher. Others show the same in other sizes, from the
	// same clock, with key frames at the same times; the sound belongs to all of them.
	Track    int
	DTS, PTS time.Duration // since an origin of the encoder's choice; RTMP has whole milliseconds
	Key      bool          // the encoder calls it a key frame
	NALUs    [][]byte      // without start code or length; at least one
}

// AudioParams is an AAC AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).
type AudioParams struct {
	Config mpeg4audio.AudioSpecificConfig
}

// AudioFrame is one AAC access unit.
type AudioFrame struct {
	PTS time.Duration // on the clock of VideoFrame
	AU  []byte
}

func (Metadata) unit()    {}
func (VideoParams) unit() {}
func (VideoFrame) unit()  {}
func (AudioParams) unit() {}
func (AudioFrame) unit()  {}

// UnsupportedError says which codec a publisher used in place of H.264 and AAC.
type UnsupportedError struct {
	What  string
	Audio bool // it is the audio
}

func (e UnsupportedError) Error() string {
	return e.What + " is not supported: send H.264 video and AAC audio"
}
