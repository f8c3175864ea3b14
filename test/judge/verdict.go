package judge

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/synth/signal"
)

// Forever is a time after every capture's end, for the methods that take from and to.
const Forever = time.Duration(math.MaxInt64)

// Presence is how much of the time a participant was seen in a tile.
type Presence struct {
	Tile        int
	Index       int
	Share       float64       // of the frames that were looked at, 0 to 1
	First, Last time.Duration // first and last frame with the participant
}

// Presence returns who was seen where in the frames with from <= PTS < to, ordered by tile, then index.
func (c *Capture) Presence(from, to time.Duration) []Presence {
	var all []Presence
	frames := c.between(from, to)
	for tile := range c.Tiles {
		seen := map[int]*Presence{}
		for _, frame := range frames {
			reading := frame.Tiles[tile]
			if !reading.OK {
				continue
			}
			if seen[reading.Index] == nil {
				seen[reading.Index] = &Presence{Tile: tile, Index: reading.Index, First: frame.PTS}
			}
			seen[reading.Index].Last = frame.PTS
			seen[reading.Index].Share++
		}
		for _, index := range slices.Sorted(maps.Keys(seen)) {
			seen[index].Share /= float64(len(frames))
			all = append(all, *seen[index])
		}
	}
	return all
}

// Share returns how much of the time the participant was seen in the tile, 0 to 1.
func (c *Capture) Share(tile, index int, from, to time.Duration) float64 {
	for _, p := range c.Presence(from, to) {
		if p.Tile == tile && p.Index == index {
			return p.Share
		}
	}
	return 0
}

func (c *Capture) between(from, to time.Duration) []Frame {
	var frames []Frame
	for _, frame := range c.Frames {
		if frame.PTS >= from && frame.PTS < to {
			frames = append(frames, frame)
		}
	}
	return frames
}

// Cadence is how evenly pictures came, by their PTS.
type Cadence struct {
	Frames     int
	Interval   time.Duration // between two frames where none is missing: a slow machine may leave out most, but not nine of ten
	Missing    int           // frames that would fill the gaps
	Duplicates int           // frames less than half an interval after the one before
	Gaps       []Gap         // more than one and a half intervals, or backwards
	Longest    time.Duration // between two frames
}

// Cadence judges the PTS of all frames.
func (c *Capture) Cadence() Cadence {
	cadence := Cadence{Frames: len(c.Frames)}
	var steps []time.Duration
	for i := 1; i < len(c.Frames); i++ {
		steps = append(steps, c.Frames[i].PTS-c.Frames[i-1].PTS)
	}
	if len(steps) == 0 {
		return cadence
	}
	cadence.Interval = quantile(steps, 0.1)
	for i, step := range steps {
		cadence.Longest = max(cadence.Longest, step)
		switch {
		case step < 0 || step > cadence.Interval*3/2:
			cadence.Gaps = append(cadence.Gaps, Gap{At: c.Frames[i].PTS, Length: step})
			if step > 0 {
				cadence.Missing += int(math.Round(float64(step)/float64(cadence.Interval))) - 1
			}
		case step < cadence.Interval/2:
			cadence.Duplicates++
		}
	}
	return cadence
}

// Motion is how evenly a participant's own pictures arrive in a tile, by the times in their strips.
type Motion struct {
	Frames  int           // with the participant in the tile
	Fresh   int           // that show a later picture than the frame before
	Back    int           // that show an earlier picture than the frame before
	Frozen  time.Duration // the longest time for which one picture stood still
	Skipped time.Duration // the longest step between two successive pictures of the participant
}

// Motion judges the participant's pictures in the tile in the frames with from <= PTS < to.
func (c *Capture) Motion(tile, index int, from, to time.Duration) Motion {
	var motion Motion
	var before, since time.Duration
	for _, frame := range c.between(from, to) {
		reading := frame.Tiles[tile]
		if !reading.OK || reading.Index != index {
			continue
		}
		now := time.Duration(reading.TimeMS) * time.Millisecond
		motion.Frames++
		switch {
		case motion.Frames == 1 || now > before:
			if motion.Frames > 1 {
				motion.Skipped = max(motion.Skipped, now-before)
			}
			motion.Fresh++
			since = frame.PTS
		case now < before:
			motion.Back++
			since = frame.PTS
		}
		motion.Frozen = max(motion.Frozen, frame.PTS-since)
		before = now
	}
	return motion
}

// Black is the share of the frames with from <= PTS < to that show nothing, 0 to 1; 1 when there are none.
func (c *Capture) Black(from, to time.Duration) float64 {
	frames := c.between(from, to)
	if len(frames) == 0 {
		return 1
	}
	dark := 0
	for _, frame := range frames {
		if frame.Mean < 8 && frame.Max < 40 {
			dark++
		}
	}
	return float64(dark) / float64(len(frames))
}

// Silent is the share of the sound with from <= PTS < to that is below -70 dBFS, 0 to 1; 1 when there is none.
func (c *Capture) Silent(from, to time.Duration) float64 {
	windows := c.heard(from, to)
	if len(windows) == 0 {
		return 1
	}
	silent := 0
	for _, window := range windows {
		if window.Level < -70 {
			silent++
		}
	}
	return float64(silent) / float64(len(windows))
}

func (c *Capture) heard(from, to time.Duration) []SoundWindow {
	var windows []SoundWindow
	for _, window := range c.Sound {
		if window.PTS >= from && window.PTS < to {
			windows = append(windows, window)
		}
	}
	return windows
}

// Tone is the median level of the participant's steady tone in the sound with from <= PTS < to, in dBFS.
// The synthetic participants send -30; -120 stands for nothing.
func (c *Capture) Tone(index int, from, to time.Duration) float64 {
	var levels []float64
	for _, window := range c.heard(from, to) {
		levels = append(levels, window.Tones[index%signal.Participants])
	}
	if len(levels) == 0 {
		return quietest
	}
	return quantile(levels, 0.5)
}

// Tones is the set of participants whose steady tone is in the sound with from <= PTS < to: above -48 dBFS,
// which leaves 18 dB for headroom and limiters, and not more than 18 dB below the loudest one.
func (c *Capture) Tones(from, to time.Duration) []int {
	loudest := float64(quietest)
	for index := range signal.Participants {
		loudest = max(loudest, c.Tone(index, from, to))
	}
	var in []int
	for index := range signal.Participants {
		if c.Tone(index, from, to) > max(-48, loudest-18) {
			in = append(in, index)
		}
	}
	return in
}

// quantile is the value below which the given share of the values lies. There must be some.
func quantile[T ~int64 | ~float64](values []T, share float64) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
