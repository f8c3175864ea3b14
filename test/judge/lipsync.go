package judge

import (
	"slices"
	"time"
)

// Flash is one flash that was seen.
type Flash struct {
	PTS   time.Duration // of the first frame with it
	Tile  int
	Index int
	// Onset is PTS less what the strip says had already passed of the flash: the moment at which the
	// whole second was due, without the grain of the frame rate.
	Onset time.Duration
}

// Flashes returns the beginnings of flashes in all tiles, ordered by PTS. A flash that was on already in
// the first frame with the participant does not count.
func (c *Capture) Flashes() []Flash {
	var flashes []Flash
	for tile := range c.Tiles {
		var before *TileReading
		for i := range c.Frames {
			reading := &c.Frames[i].Tiles[tile]
			if !reading.OK {
				continue
			}
			if before != nil && before.Index == reading.Index && reading.Lamp && !before.Lamp {
				pts := c.Frames[i].PTS
				flashes = append(flashes, Flash{
					PTS: pts, Tile: tile, Index: reading.Index,
					Onset: pts - time.Duration(reading.TimeMS%1000)*time.Millisecond,
				})
			}
			before = reading
		}
	}
	slices.SortStableFunc(flashes, func(a, b Flash) int { return int(a.PTS - b.PTS) })
	return flashes
}

// LipSync is how far the sound of a participant is behind its picture; negative when it is ahead.
type LipSync struct {
	Offsets []time.Duration // of each beep against the first frame with the flash
	Median  time.Duration
	P95     time.Duration // 95 % of the offsets are at most this large, in either direction
	// Fine is the median against Flash.Onset: free of the grain of the frame rate.
	Fine time.Duration
}

// LipSync compares the beeps and flashes of a participant that lie within half a second of each other.
// Without such a pair it returns the zero LipSync, with no Offsets.
func (c *Capture) LipSync(index int) LipSync {
	var sync LipSync
	var fine, sizes []time.Duration
	flashes := slices.DeleteFunc(c.Flashes(), func(flash Flash) bool { return flash.Index != index })
	for _, beep := range c.Beeps {
		if beep.Index != index || len(flashes) == 0 {
			continue
		}
		nearest := slices.MinFunc(flashes, func(a, b Flash) int {
			return int((beep.PTS - a.PTS).Abs() - (beep.PTS - b.PTS).Abs())
		})
		if offset := beep.PTS - nearest.PTS; offset.Abs() < 500*time.Millisecond {
			sync.Offsets = append(sync.Offsets, offset)
			sizes = append(sizes, offset.Abs())
			fine = append(fine, beep.PTS-nearest.Onset)
		}
	}
	if len(sync.Offsets) == 0 {
		return sync
	}
	sync.Median = quantile(sync.Offsets, 0.5)
	sync.P95 = quantile(sizes, 0.95)
	sync.Fine = quantile(fine, 0.5)
	return sync
}
