package ladder

import "math"

// Type is the type of a channel whose picture is transcoded, as the API names it.
type Type string

// The types that have a ladder.
const (
	AdvancedSD Type = "ADVANCED_SD" // up to 480 lines
	AdvancedHD Type = "ADVANCED_HD" // up to 720 lines
)

// Preset chooses the bit rates of a ladder, as the API names it.
type Preset string

// The presets.
const (
	HigherBandwidth      Preset = "HIGHER_BANDWIDTH_DELIVERY"
	ConstrainedBandwidth Preset = "CONSTRAINED_BANDWIDTH_DELIVERY"
)

// Source is what a ladder is made of.
type Source struct {
	Width, Height int     // pixels, as shown: square ones
	FrameRate     float64 // pictures per second
}

// Rung is one of the sizes that a picture is sent in.
type Rung struct {
	Width, Height int // pixels, even
	Every         int // one of so many pictures is sent
	FrameRate     float64
	BitRate       int // bits per second
}

// step is a rung of spec/lowlatency.md §1. Its box of shape 16:9 lies or stands as the picture does.
type step struct {
	long, short         int
	frames              float64 // per second, at most
	higher, constrained int     // kb/s
	fastHigher          int     // the same above slowest pictures per second
	fastConstrained     int
}

// ladder is what ADVANCED_HD has; ADVANCED_SD lacks the first step.
//
// The sides of 480 and 160 lines are those of 16:9 rounded down to multiples of four, as Amazon's are: so each is an exact
// half, third or two thirds of a larger one, which costs least.
var ladder = []step{
	{1280, 720, 60, 2300, 1900, 3000, 2200},
	{852, 480, 30, 1300, 800, 1300, 800},
	{640, 360, 30, 700, 400, 700, 400},
	{284, 160, 30, 270, 220, 270, 220},
}

const (
	// rateSlack is how far above a step's frames per second a picture is still taken as it is.
	rateSlack = 1.1
	// sizeSlack is how much a picture may lack of a step's box and still count as that step: encoders crop.
	sizeSlack = 1.0 / 64
	// smallestSide is the least side of a rung, in pixels; a picture that is smaller itself has one rung.
	smallestSide = 32
)

// Rungs returns the sizes that a channel of a type sends a picture in, the largest first: all that it does not have to be
// enlarged for, and at least one.
func Rungs(t Type, p Preset, in Source) []Rung {
	steps := ladder
	if t == AdvancedSD {
		steps = ladder[1:]
	}
	var rungs []Rung
	every := 1 // a smaller rung shows no picture that the one above it leaves out: it may be made from that
	for _, s := range steps {
		w, h, ok := s.size(in.Width, in.Height)
		if !ok {
			continue
		}
		r := s.rung(p, in.FrameRate, every)
		r.Width, r.Height = w, h
		every = r.Every
		rungs = append(rungs, r)
	}
	if rungs == nil {
		r := steps[len(steps)-1].rung(p, in.FrameRate, 1)
		r.Width, r.Height = max(2, in.Width&^1), max(2, in.Height&^1)
		rungs = append(rungs, r)
	}
	return rungs
}

// size fits a picture into the step's box; not ok: it would have to be enlarged, or next to nothing would be left of it.
func (s step) size(width, height int) (w, h int, ok bool) {
	boxW, boxH := s.long, s.short
	if height > width {
		boxW, boxH = boxH, boxW
	}
	across, down := float64(boxW)/float64(width), float64(boxH)/float64(height)
	scale := min(across, down)
	if scale > 1+sizeSlack {
		return 0, 0, false
	}
	if scale >= 1 {
		w, h = width&^1, height&^1
	} else {
		w, h = even(float64(width)*scale), even(float64(height)*scale)
		// What is of the box's shape has its sides.
		if boxW <= width && boxH <= height && math.Abs(across/down-1) < sizeSlack {
			w, h = boxW, boxH
		}
	}
	return w, h, min(w, h) >= smallestSide
}

func even(side float64) int { return max(2, 2*int(math.Round(side/2))) }

// rung is the step's for a picture of so many frames per second, as one of a multiple of every pictures.
func (s step) rung(p Preset, rate float64, every int) Rung {
	n := every
	for rate/float64(n) > s.frames*rateSlack {
		n += every
	}
	fast := rate/float64(n) > 30*rateSlack
	kilobits := s.higher
	switch {
	case p == ConstrainedBandwidth && fast:
		kilobits = s.fastConstrained
	case p == ConstrainedBandwidth:
		kilobits = s.constrained
	case fast:
		kilobits = s.fastHigher
	}
	return Rung{Every: n, FrameRate: rate / float64(n), BitRate: 1000 * kilobits}
}

// What a ladder costs, in cores per million pixels per second: 0.4 for 720p30 on one core of an AMD EPYC, rather too high
// (bench/ladder). It decides about admission.
const (
	coresPerDecoded = 0.003
	coresPerEncoded = 0.009
)

// Cores is what the ladder of a picture is expected to cost.
func Cores(t Type, p Preset, in Source) float64 {
	cores := coresPerDecoded * float64(in.Width*in.Height) * in.FrameRate / 1e6
	for _, r := range Rungs(t, p, in) {
		cores += coresPerEncoded * float64(r.Width*r.Height) * r.FrameRate / 1e6
	}
	return cores
}
