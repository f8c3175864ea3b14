package composer

import (
	"math"
	"runtime"

	"github.com/footlight-live/footlight/internal/av"
)

// encodingFor chooses the encoder and its settings for the pictures of a format.
func encodingFor(f format) av.H264Config {
	cfg := av.H264Config{Width: f.width, Height: f.height, FrameRate: f.frameRate, BitRate: f.bitRate,
		KeyInterval: f.keyInterval(), Profile: "main", OmitHeaders: true, Threads: 1}
	// One core encodes about 1280x720 at 60 with the default preset: more than that takes slices on several
	// cores, and 1080p at more than 30 the next faster preset.
	pixels := float64(f.width*f.height) * f.frameRate
	if pixels > 1280*720*45 {
		cfg.Threads = min(4, runtime.GOMAXPROCS(0))
	}
	if pixels > 1920*1080*31 {
		cfg.Preset = "superfast"
	}
	return cfg
}

// keyInterval is the number of pictures from one key frame to the next.
func (f format) keyInterval() int {
	return max(1, int(math.Round(f.frameRate*keyEvery.Seconds())))
}
