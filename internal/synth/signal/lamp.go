package signal

import (
	"math"
	"time"
)

// The lamp's place as shares of the picture's width and height: in the lower third. Readers look at
// LampCoreLeft to LampCoreRight only, which stays visible when a 16:9 picture is cropped to 3:4.
const (
	LampLeft   = 0.14
	LampTop    = 0.70
	LampWidth  = 0.72
	LampHeight = 0.22

	LampCoreLeft  = 0.34
	LampCoreRight = 0.66
)

// FlashLength is how long the lamp is white and the beep sounds from each whole second on.
const FlashLength = 100 * time.Millisecond

// Flashing tells whether the lamp is white at t.
func Flashing(t time.Time) bool {
	return time.Duration(t.Nanosecond()) < FlashLength
}

// swing is the ball's place in the lamp at t, from -1 (left) to 1 (right): it turns at each whole second,
// when the lamp flashes.
func swing(t time.Time) float64 {
	seconds := float64(t.Unix()%2) + float64(t.Nanosecond())/1e9
	return math.Cos(math.Pi * seconds)
}

func round(x float64) int { return int(math.Round(x)) }
