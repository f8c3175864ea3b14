package control

import (
	"math"

	"github.com/footlight-live/footlight/internal/channel"
)

const (
	ladderAudio      = 160 // kbit/s
	ladderKeySeconds = 2   // between key frames
)

// rungs are the sizes, by the shorter side, that encoders are asked for, with kbit/s at up to 30 and up to 60 frames per
// second: those of IVS's own ladder (spec/lowlatency.md §1), and above it ours.
var rungs = []struct{ lines, slow, fast int }{
	{1080, 4500, 6000}, {720, 2400, 3400}, {480, 1400, 1400}, {360, 630, 630}, {160, 230, 230},
}

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

// ladderOf chooses sizes of a picture, the largest first: none larger than it is or than the channel takes, and as many as
// fit the bit rate, in kbit/s, and the number of tracks; 0: whatever fits.
func ladderOf(c canvas, limit channel.Resolution, bitRate, tracks int) []rung {
	if most := channel.MultitrackBitRate / 1000; bitRate <= 0 || bitRate > most {
		bitRate = most
	}
	if tracks <= 0 || tracks > channel.MaxPictures {
		tracks = channel.MaxPictures
	}
	short := min(c.Width, c.Height)
	var all []rung
	for _, r := range rungs {
		scale := float64(r.lines) / float64(short)
		x := rung{width: even(float64(c.Width) * scale), height: even(float64(c.Height) * scale), rate: c.FrameRate, bitRate: r.slow}
		if r.lines > short || !limit.TakesMultitrack(x.width, x.height) {
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
