package composer

import (
	"math"
	"runtime"

	"github.com/footlight-live/footlight/internal/av"
)

// encodingFor chooses the encoder and its settings for the pictures of a format.
//
// Measured against x264 veryfast zerolatency at equal bitrate (bench/compose/encoders.md, which
// `go run ./bench/compose -encoders` makes): OpenH264 at medium complexity takes about 0.65 of its time on grids in
// motion and on a screen share with text, for 0.0025 and 0.0003 less SSIM. x264's superfast takes 0.6 and 0.7, for
// 0.0035 less on grids. What decides is the rate: a scrolling page peaks at 2.6 Mb/s of 2.5 with OpenH264 and at
// 4.4 with x264, which players on thin lines wait for; its pictures also take less memory.
//
// What OpenH264 gives up: 0.5 dB on grids, and it recovers later from cuts of the whole picture (0.0056 less SSIM
// with one every second, where superfast loses 0.0008); it has no adaptive quantisation, so flat areas next to much
// motion get fewer bits.
//
// Its low complexity saves a sixth of the instructions for 0.003 more, on grids that are full of reduced pictures just
// beyond what we allow an encoder to lose (0.005). It is for canvases above 1080p30; for those that mostly show pictures as
// they came or enlarged, where it loses next to nothing; and for machines that are busy (see video.Effort).
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
