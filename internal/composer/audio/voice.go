package audio

import "math"

// Who speaks is decided with hysteresis, so that a border around a tile neither flickers between words nor
// lights up at a cough.
const (
	speakLevel = 1e-4      // mean square of what counts as voice, −40 dBFS
	pauseLevel = 2.5e-5    // and of what no longer does, −46 dBFS
	attack     = Rate / 5  // samples of voice until somebody speaks, 200 ms
	hold       = Rate      // samples of pause until somebody no longer does, 1 s
	smooth     = Rate / 20 // time constant of the level, 50 ms
)

// Silence is the level of no sound at all, in dBFS.
const Silence = -120

// voice measures a sound. The zero value is silence.
type voice struct {
	square   float64 // mean square, smoothed
	loud     int     // samples of voice lately, up to attack
	pause    int     // samples since the last of them
	speaking bool
}

// add takes note of n samples per channel with the given mean square.
func (v *voice) add(square float64, n int) {
	v.square += (square - v.square) * (1 - math.Exp(-float64(n)/smooth))
	switch {
	case square >= speakLevel:
		v.loud, v.pause = min(v.loud+n, attack), 0
	case square < pauseLevel:
		v.loud, v.pause = max(0, v.loud-n), v.pause+n
	}
	switch {
	case v.loud >= attack:
		v.speaking = true
	case v.pause >= hold:
		v.speaking = false
	}
}

// level is in dBFS: 0 for a square wave of full scale.
func (v *voice) level() float64 {
	return math.Max(Silence, 10*math.Log10(v.square+1e-15))
}
