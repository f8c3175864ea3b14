package control

import (
	"math"
	"slices"
)

const ladderAudio = 160 // kbit/s

// size is a size that encoders are asked for, by its shorter side, with kbit/s at up to 30 and up to 60 frames per second.
type size struct{ lines, slow, fast int }

// channelSizes are those of IVS's own ladder (spec/lowlatency.md §1), and above it ours. stageSizes halve, as the layers of
// browsers do (spec/realtime.md §3): whoever has little bandwidth needs the smallest, and there are three at most.
var (
	channelSizes = []size{{1080, 4500, 6000}, {720, 2400, 3400}, {480, 1400, 1400}, {360, 630, 630}, {160, 230, 230}}
	stageSizes   = []size{{720, 2400, 3400}, {360, 630, 630}, {180, 230, 230}}
)

// rung is one size of the picture.
type rung struct {
	width, height int
	rate          frameRate
	bitRate       int // kbit/s
}

func (c canvas) valid() bool {
	const most = 16384
	f := c.FrameRate
	return c.Width >= 160 && c.Height >= 160 && c.Width <= most && c.Height <= most &&
		f.Numerator > 0 && f.Denominator > 0 && f.Numerator <= 1_000_000 && f.Denominator <= 1_000_000
}

// ladder chooses sizes of a picture, the largest first: none larger than it is or than what is taken, and as many as fit the
// bit rate, in kbit/s, and the number of tracks that the encoder wishes; 0: whatever fits.
func (o offer) ladder(c canvas, bitRate, tracks int) []rung {
	if bitRate <= 0 || bitRate > o.bitRate {
		bitRate = o.bitRate
	}
	if tracks <= 0 || tracks > o.tracks {
		tracks = o.tracks
	}
	short := min(c.Width, c.Height)
	var all []rung
	for _, r := range o.sizes {
		scale := float64(r.lines) / float64(short)
		x := rung{width: even(float64(c.Width) * scale), height: even(float64(c.Height) * scale), rate: c.FrameRate, bitRate: r.slow}
		if r.lines > short || !o.limit.TakesMultitrack(x.width, x.height) {
			continue
		}
		switch fast := float64(c.FrameRate.Numerator)/float64(c.FrameRate.Denominator) > 31; {
		case fast && r.lines >= 720:
			x.bitRate = r.fast
		case fast: // half the rate, which encoders reach by leaving out every other picture
			x.rate.Denominator *= 2
		}
		all = append(all, x)
	}
	total := ladderAudio
	for _, x := range all {
		total += x.bitRate
	}
	for len(all) > 1 && total > bitRate { // the smallest are what viewers with little bandwidth need
		total -= all[0].bitRate
		all = all[1:]
	}
	return all[:min(len(all), tracks)]
}

func even(f float64) int { return int(math.Round(f/2)) * 2 }

// encoder says how to encode a rung: on the graphics card where the encoder has said that it can, else on the processor.
func (o offer) encoder(r rung, supported []string) encoderConfiguration {
	e := encoderConfiguration{Type: "obs_x264", Width: r.width, Height: r.height, FrameRate: r.rate, Settings: map[string]any{
		"rate_control": "CBR", "bitrate": r.bitRate, "keyint_sec": o.keySeconds, "profile": "main", "preset": "veryfast",
	}}
	if o.realTime {
		e.Settings["bf"], e.Settings["tune"] = 0, "zerolatency"
	}
	if nvenc := "obs_nvenc_h264_tex"; slices.Contains(supported, nvenc) {
		e.Type, e.Settings["preset"] = nvenc, "p4"
		delete(e.Settings, "tune") // another encoder's
	}
	return e
}
