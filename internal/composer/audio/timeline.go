package audio

import (
	"cmp"
	"slices"
	"sync"
)

// capacity is how many samples per channel a Timeline holds, 1.4 s: the largest playout delay and then some.
const capacity = 1 << 16

// Timeline is the sound of one participant on the composer's clock: one goroutine writes ahead of the
// one that reads. Where nothing was written there is silence, with fades at the edges; what continues something
// else than what is written has a fade from one to the other.
type Timeline struct {
	mu    sync.Mutex
	ring  [2 * capacity]float32
	segs  []span // written and not yet read, in order, apart from each other
	read  int64  // position up to which everything was read
	heard float32

	playing bool  // the last sample read was sound
	since   int64 // where the current sound began
	tails   []tail

	muted bool
	down  int // how far the sound is turned down for that, 0 to fade
	voice voice
}

type span struct{ from, to int64 }

// Write puts pcm at position at. What was already read is cut off; what was already written from there on
// is replaced. It returns how many samples per channel came too late.
func (t *Timeline) Write(at int64, pcm []float32) (late int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = max(t.heard, loudest(pcm))
	n := int64(len(pcm) / 2)
	if at < t.read {
		late = int(min(t.read-at, n))
		pcm, at, n = pcm[2*late:], t.read, n-int64(late)
	}
	// What was read last stays: tails are made of it.
	if most := t.read + capacity - fade; at+n > most {
		n = max(0, most-at)
	}
	if n <= 0 {
		return late
	}
	first := copy(t.ring[2*(at&(capacity-1)):], pcm[:2*n])
	copy(t.ring[:], pcm[first:2*n])
	// Cut what is replaced.
	for len(t.segs) > 0 && t.segs[len(t.segs)-1].from >= at {
		t.segs = t.segs[:len(t.segs)-1]
	}
	if k := len(t.segs) - 1; k >= 0 && t.segs[k].to >= at {
		if t.segs[k].to == at {
			t.segs[k].to = at + n
			return late
		}
		t.segs[k].to = at
	}
	t.segs = append(t.segs, span{at, at + n})
	return late
}

// Mute fades the sound out, or in again. What is written while it is muted passes unheard.
func (t *Timeline) Mute(muted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.muted = muted
}

// Level is how loud the sound is that was read last, in dBFS, Silence at least.
func (t *Timeline) Level() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.voice.level()
}

// Speaking tells whether there is voice, with hysteresis.
func (t *Timeline) Speaking() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.voice.speaking
}

// Heard returns the largest sample that was written since the call before and should have been heard, whether
// it came in time or not. One goroutine calls it.
func (t *Timeline) Heard() float32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	heard := t.heard
	t.heard = 0
	if t.muted {
		return 0
	}
	return heard
}

// Sounds tells whether there is still something to hear.
func (t *Timeline) Sounds() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.segs) > 0 || len(t.tails) > 0
}

// AddTo adds the sound from position at on to dst and moves the reading position behind it.
// Positions must not go back.
func (t *Timeline) AddTo(at int64, dst []float32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	end := at + int64(len(dst)/2)
	pos := max(at, t.read)
	square := 0.0
	for pos < end {
		if len(t.segs) == 0 {
			square += t.play(dst, at, pos, end, false)
			break
		}
		s := &t.segs[0]
		if s.to <= pos { // passed unread
			t.segs, t.playing = append(t.segs[:0], t.segs[1:]...), false
			continue
		}
		if s.from > pos {
			to := min(s.from, end)
			square += t.play(dst, at, pos, to, false)
			pos = to
			continue
		}
		to := min(s.to, end)
		if !t.playing {
			t.playing, t.since = true, pos
		}
		square += t.play(dst, at, pos, to, true)
		pos = to
		if to == s.to {
			// Whatever continues without a break is in the same span, so this is an edge.
			t.segs = append(t.segs[:0], t.segs[1:]...)
			t.playing = false
			t.tails = append(t.tails, tailOf(t.since, to))
		}
	}
	t.read = end
	if n := len(dst) / 2; n > 0 {
		t.voice.add(square/float64(2*n), n)
	}
}

// play adds the samples of from..to, those written if there is sound, and the tails of sound before. It returns
// the sum of their squares.
func (t *Timeline) play(dst []float32, at, from, to int64, sound bool) (square float64) {
	down := 0
	if t.muted {
		down = fade
	}
	if !sound && len(t.tails) == 0 {
		t.down = down
		return 0
	}
	if sound && len(t.tails) == 0 && t.down == 0 && down == 0 && from-t.since >= fade {
		return t.playWhole(dst[2*(from-at):2*(to-at)], from)
	}
	for p := from; p < to; p++ {
		var l, r float32
		if sound {
			j, g := 2*(p&(capacity-1)), slope[min(p-t.since, fade)]
			l, r = t.ring[j]*g, t.ring[j+1]*g
		}
		if len(t.tails) > 0 { // the sound before goes on dying away
			for i := range t.tails {
				left, right := t.tails[i].next(&t.ring)
				l, r = l+left, r+right
			}
			t.tails = slices.DeleteFunc(t.tails, tail.over)
		}
		if t.down != down {
			t.down += cmp.Compare(down, t.down)
		}
		if t.down > 0 {
			g := slope[fade-t.down]
			l, r = l*g, r*g
		}
		square += float64(l)*float64(l) + float64(r)*float64(r)
		o := 2 * (p - at)
		dst[o] += l
		dst[o+1] += r
	}
	return square
}

// playWhole is play where there is sound with no fade and no tail, which is nearly always.
func (t *Timeline) playWhole(dst []float32, from int64) (square float64) {
	for len(dst) > 0 {
		ring := t.ring[2*(from&(capacity-1)):]
		n := min(len(ring), len(dst))
		ring, part := ring[:n], dst[:n]
		left, right := 0.0, 0.0 // two sums: neither waits for the other
		for i := 0; i+1 < len(ring) && i+1 < len(part); i += 2 {
			l, r := ring[i], ring[i+1]
			part[i] += l
			part[i+1] += r
			left, right = left+float64(l)*float64(l), right+float64(r)*float64(r)
		}
		square += left + right
		dst, from = dst[n:], from+int64(n/2)
	}
	return square
}
