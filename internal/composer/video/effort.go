package video

import "time"

// Effort tells when to encode with less care, because pictures take too much of their time: they are hard, or other
// programs, such as other compositions, have the machine. That comes before leaving pictures out. The zero value is
// ready.
type Effort struct {
	share float64 // of a tick that pictures took lately
	less  bool
}

const (
	lessAbove = 0.6  // share of a tick
	moreBelow = 0.35 // far enough below that less care alone does not lead there
	memory    = 30   // pictures
)

// Note takes note that drawing and encoding a picture took so long, waiting for a core included, and tells whether
// the next one is to be encoded with less care.
func (e *Effort) Note(took, tick time.Duration) (less bool) {
	e.share += (min(float64(took)/float64(tick), 2) - e.share) / memory
	switch {
	case e.share > lessAbove:
		e.less = true
	case e.share < moreBelow:
		e.less = false
	}
	return e.less
}
