package composer

import (
	"math"
	"runtime"

	"github.com/footlight-live/footlight/internal/av"
)

// encodingFor chooses the encoder and its settings for the pictures of a format.
//
// Measured against x264 veryfast zerolatency at equal bitrate (bench/compose/encoders.md, which
// `go run ./bench/compose -encoders` makes): OpenH264 at medium complexity takes about 0.59 of its time on a
// grid in motion for 0.003 less SSIM, and about 0.5 on a screen share with text for 0.0006 less, with a rate
// that stays nearer to its target. x264's superfast takes as much on a grid, more on text, and loses more. What
// OpenH264 gives up: on a grid about 0.5 dB, and no adaptive quantisation, so that flat areas next to much
// motion get fewer bits.
//
// Its low complexity saves another tenth for 0.003 more: it is for canvases above 1080p30.
func encodingFor(f format) av.H264Config {
	cfg := av.H264Config{Width: f.width, Height: f.height, FrameRate: f.frameRate, BitRate: f.bitRate,
		KeyInterval: f.keyInterval(), Encoder: av.OpenH264, Preset: "medium", Profile: "main", OmitHeaders: true, Threads: 1}
	if min(f.width, f.height) < smallestOpenH264 {
		cfg.Encoder, cfg.Preset = av.X264, "veryfast"
	}
	// One core encodes 1280x720 at 60: more than that takes slices on several cores.
	pixels := float64(f.width*f.height) * f.frameRate
	if pixels > 1280*720*61 {
		cfg.Threads = min(4, runtime.GOMAXPROCS(0))
	}
	if pixels > 1920*1080*31 && cfg.Encoder == av.OpenH264 {
		cfg.Preset = "low"
	}
	return cfg
}

// smallestOpenH264 is the least side, in pixels, that OpenH264 encodes: one macroblock.
const smallestOpenH264 = 16

// keyInterval is the number of pictures from one key frame to the next.
func (f format) keyInterval() int {
	return max(1, int(math.Round(f.frameRate*keyEvery.Seconds())))
}
