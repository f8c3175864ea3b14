package audio

import "math"

// fade is how many samples an edge of sound takes, 10 ms: long enough not to click, short enough to leave the
// beginning of a word whole.
const fade = 480

// slope is the way from silence (0) to full sound (fade): half a period of a cosine, which has no corner where a
// straight line has two.
var slope = func() (s [fade + 1]float32) {
	for i := range s {
		s[i] = float32(0.5 - 0.5*math.Cos(math.Pi*float64(i)/fade))
	}
	return s
}()

// tail is how a sound that ended without warning dies away: its last samples are played backwards, ever more
// quietly. That begins where the sound ended, without a step.
type tail struct {
	from   int64   // position where the sound ended
	gain   float32 // that it had there
	length int     // samples, no more than the sound had
	left   int     // samples still to come
}

func tailOf(since, to int64) tail {
	n := int(min(to-since, fade))
	return tail{from: to, gain: slope[n], length: n, left: n}
}

// next is the next sample of the tail, out of the ring that still holds the sound.
func (t *tail) next(ring *[2 * capacity]float32) (l, r float32) {
	j := 2 * ((t.from - 1 - int64(t.length-t.left)) & (capacity - 1))
	g := t.gain * slope[t.left*fade/t.length]
	t.left--
	return ring[j] * g, ring[j+1] * g
}

func (t tail) over() bool { return t.left == 0 }
