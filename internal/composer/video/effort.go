package video

import "time"

// Effort tells when to encode with less care: where that is hardly seen, since most of the canvas shows pictures that
// are as they came or enlarged; and where pictures take too much of their time, because they are hard, or other programs,
// such as other compositions, have the machine. That comes before leaving pictures out. The zero value is ready.
type Effort struct {
	share float64 // of a tick that pictures took lately
	less  bool
}

const (
	lessAbove = 0.6  // share of a tick
	moreBelow = 0.35 // far enough below that less care alone does not lead there
	memory    = 30   // pictures

	// fine is the share of the canvas that shows reduced pictures from which on all care is taken. Measured by
	// bench/compose -quality against ffmpeg with x264 veryfast, low complexity stays within 0.003 of its SSIM below
	// that (six in three columns, 0.66), and falls 0.006 to 0.009 below it on grids of 9 and 12 (0.98 and 0.74).
	fine = 0.7
)

// Note takes note that drawing and encoding a picture took so long, waiting for a core included, and that it shows
// reduced pictures on this share of the canvas (Mixer.Reduced); it tells whether to encode the next one with less care.
func (e *Effort) Note(took, tick time.Duration, reduced float64) (less bool) {
	e.share += (min(float64(took)/float64(tick), 2) - e.share) / memory
	switch {
	case e.share > lessAbove:
		e.less = true
	case e.share < moreBelow:
		e.less = false
	}
	return e.less || reduced < fine
}
