package channel

import (
	"math"

	"github.com/footlight-live/footlight/internal/channel/hls"
)

// ticksPerMilli converts RTMP's milliseconds to ticks of hls.ClockRate.
const ticksPerMilli = hls.ClockRate / 1000

// rate is a constant frame rate of num/den frames per second. The zero value means not constant.
type rate struct{ num, den int64 }

// commonRates are tried in this order when the encoder does not say its rate.
var commonRates = []rate{
	{30, 1}, {25, 1}, {60, 1}, {24, 1}, {50, 1}, {15, 1}, {20, 1}, {10, 1}, {12, 1}, {5, 1}, {48, 1},
	{30000, 1001}, {60000, 1001}, {24000, 1001}, {8, 1}, {18, 1}, {90, 1}, {100, 1}, {120, 1}, {1, 1}, {2, 1},
}

// rateOf finds the common rate that a number of frames per second stands for.
func rateOf(fps float64) rate {
	for _, r := range commonRates {
		if math.Abs(fps-float64(r.num)/float64(r.den)) < 0.004 {
			return r
		}
	}
	if fps >= 1 && fps <= 240 {
		return rate{int64(math.Round(fps * 1000)), 1000}
	}
	return rate{}
}

func (r rate) known() bool { return r.num > 0 }

// millis is the exact time of frame n after frame 0.
func (r rate) millis(n int64) float64 { return float64(n*1000*r.den) / float64(r.num) }

// ticks is the time of frame n after frame 0, rounded.
func (r rate) ticks(n int64) int64 { return (n*hls.ClockRate*r.den + r.num/2) / r.num }

// frame is the length of a frame in ticks, rounded up.
func (r rate) frame() int64 { return (hls.ClockRate*r.den + r.num - 1) / r.num }

// nearest is the number of the frame that is nearest to a time after frame 0, and how far the time is from it.
func (r rate) nearest(millis float64) (n int64, off float64) {
	n = int64(math.Round(millis * float64(r.num) / float64(r.den) / 1000))
	return n, millis - r.millis(n)
}

const (
	// roundingMillis is how far two rounded timestamps can lie from an exact distance: half a millisecond
	// each where they were rounded, one where they were cut off; and some room.
	roundingMillis = 1.5
	// cadenceWindow is how many timestamps decide about the rate again after a misfit.
	cadenceWindow = 32
)

// fits tells whether all timestamps (in milliseconds, in decoding order) lie on the rate, without a missing frame.
func (r rate) fits(millis []int64) bool {
	lowest, highest := 0.0, 0.0
	for i, t := range millis {
		off := float64(t-millis[0]) - r.millis(int64(i))
		lowest, highest = min(lowest, off), max(highest, off)
	}
	return highest-lowest <= 2 // one millisecond of rounding to either side
}

// guessRate finds the constant rate behind timestamps; hints come first.
func guessRate(millis []int64, hints ...rate) rate {
	if len(millis) < 2 {
		return rate{}
	}
	for _, list := range [][]rate{hints, commonRates} {
		for _, r := range list {
			if r.known() && r.fits(millis) {
				return r
			}
		}
	}
	return rate{}
}

// cadence gives the frames of one video track exact times again: RTMP rounds them to milliseconds, and a player
// that is fed 33, 33, 34 ms has neither a constant part length nor a steady picture.
// Where timestamps are not regular it follows them as they are. Times only grow.
type cadence struct {
	hints  []rate
	rate   rate
	millis []int64 // the newest timestamps, at most cadenceWindow
	misfit bool    // since the last decision about the rate
	seen   int

	anchorMillis int64 // frame 0 of the current run
	anchorTicks  int64
	last         int64 // ticks of the newest frame
	started      bool
}

// start looks at the first timestamps of a stream and decides about the rate.
func (c *cadence) start(millis []int64) { c.rate = guessRate(millis, c.hints...) }

// constantRate is the rate that frames keep, or not known.
func (c *cadence) constantRate() rate { return c.rate }

// frame is the length of a frame in ticks: that of the rate, else the mean of what was seen.
func (c *cadence) frame() int64 {
	if c.rate.known() {
		return c.rate.frame()
	}
	if n := int64(len(c.millis)); n > 1 {
		if d := (c.millis[n-1] - c.millis[0]) * ticksPerMilli / (n - 1); d > 0 {
			return d
		}
	}
	return rate{30, 1}.frame()
}

// exact is a frame's place in ticks.
type exact struct {
	dts, pts int64
	duration int64 // as expected: until the next frame
}

// next maps a frame's DTS and PTS, in milliseconds, to ticks. Direct is the DTS in ticks as the milliseconds have it.
func (c *cadence) next(dts, pts, direct int64) exact {
	c.millis = append(c.millis, dts)
	if len(c.millis) > cadenceWindow {
		c.millis = c.millis[1:]
	}
	if c.seen++; c.seen%cadenceWindow == 0 && c.misfit {
		c.rate, c.misfit = guessRate(c.millis, c.hints...), false
		c.anchorMillis, c.anchorTicks = dts, direct
	}
	t, duration, ok := c.onRate(dts)
	if !ok {
		t, duration = direct, c.frame()
		c.misfit = c.started
		c.anchorMillis, c.anchorTicks = dts, direct
	}
	if c.started && t <= c.last {
		// Timestamps that stand still or go back: squeeze in, rather than die (and the order stays the encoder's).
		t = c.last + max(1, c.frame()/8)
	}
	c.last, c.started = t, true
	return exact{dts: t, pts: t + max(0, c.offset(pts-dts)), duration: duration}
}

// onRate returns the exact time and length of a frame whose timestamp lies on the rate.
func (c *cadence) onRate(dts int64) (at, duration int64, ok bool) {
	if !c.rate.known() || !c.started {
		return 0, 0, false
	}
	run := float64(dts - c.anchorMillis)
	n, off := c.rate.nearest(run)
	if math.Abs(off) <= roundingMillis {
		return c.anchorTicks + c.rate.ticks(n), c.rate.ticks(n+1) - c.rate.ticks(n), true
	}
	// A long run that drifts away was judged wrongly: 59.94 looks like 60 for a second.
	for _, r := range commonRates {
		if ratio := r.millis(1) / c.rate.millis(1); n > cadenceWindow && math.Abs(ratio-1) < 0.002 && r != c.rate {
			if n, off := r.nearest(run); math.Abs(off) <= roundingMillis {
				c.rate = r
				return c.anchorTicks + r.ticks(n), r.ticks(n+1) - r.ticks(n), true
			}
		}
	}
	return 0, 0, false
}

// offset maps the distance from DTS to PTS to ticks.
func (c *cadence) offset(millis int64) int64 {
	if c.rate.known() {
		if n, off := c.rate.nearest(float64(millis)); math.Abs(off) <= roundingMillis {
			return c.rate.ticks(n)
		}
	}
	return millis * ticksPerMilli
}

// audioCadence does the same for sound: access units follow one another exactly, until the timestamps say that
// some are missing or too many.
type audioCadence struct {
	next    int64 // samples
	started bool
}

const (
	samplesPerAU = 1024
	// audioTolerance is how far timestamps may wander from the count of samples before they win, in access
	// units: 43 ms at 48 kHz, where lip sync begins to be seen.
	audioTolerance = 2
)

// at takes the time that a timestamp says, in samples, and returns the one to use. False: drop the access unit,
// there is no room for it.
func (c *audioCadence) at(said int64) (int64, bool) {
	off := said - c.next
	switch {
	case !c.started || off > audioTolerance*samplesPerAU:
		c.next, c.started = said, true
	case off < -audioTolerance*samplesPerAU:
		return 0, false
	}
	t := c.next
	c.next += samplesPerAU
	return t, true
}
