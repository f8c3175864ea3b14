package audio

import "sync"

// fade is how many samples an edge of sound takes, 2.5 ms: long enough not to click, too short to hear.
const fade = 120

// capacity is how many samples per channel a Timeline holds, 1.4 s: the largest playout delay and then some.
const capacity = 1 << 16

// Timeline is the sound of one participant on the composer's clock: one goroutine writes ahead of the
// one that reads. Where nothing was written there is silence, with short fades at the edges.
type Timeline struct {
	mu   sync.Mutex
	ring [2 * capacity]float32
	segs []span // written and not yet read, in order, apart from each other
	read int64  // position up to which everything was read

	playing bool       // the last sample read was sound
	since   int64      // where the current sound began
	last    [2]float32 // the last sample of sound read
	tail    int        // samples left of fading it out
}

type span struct{ from, to int64 }

// Write puts pcm at position at. What was already read is cut off; what was already written from there on
// is replaced. It returns how many samples per channel came too late.
func (t *Timeline) Write(at int64, pcm []float32) (late int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := int64(len(pcm) / 2)
	if at < t.read {
		late = int(min(t.read-at, n))
		pcm, at, n = pcm[2*late:], t.read, n-int64(late)
	}
	if at+n > t.read+capacity {
		n = max(0, t.read+capacity-at)
	}
	if n <= 0 {
		return late
	}
	for i := range n {
		j := 2 * ((at + i) & (capacity - 1))
		t.ring[j], t.ring[j+1] = pcm[2*i], pcm[2*i+1]
	}
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

// Sounds tells whether there is still something to hear.
func (t *Timeline) Sounds() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.segs) > 0 || t.tail > 0
}

// AddTo adds the sound from position at on to dst and moves the reading position behind it.
// Positions must not go back.
func (t *Timeline) AddTo(at int64, dst []float32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	end := at + int64(len(dst)/2)
	pos := max(at, t.read)
	for pos < end {
		if len(t.segs) == 0 {
			t.silence(dst, at, pos, end)
			break
		}
		s := &t.segs[0]
		if s.from > pos {
			to := min(s.from, end)
			t.silence(dst, at, pos, to)
			pos = to
			continue
		}
		to := min(s.to, end)
		t.sound(dst, at, pos, to)
		pos = to
		if to == s.to {
			// Whatever continues without a break is in the same span, so this is an edge.
			t.segs = append(t.segs[:0], t.segs[1:]...)
			t.playing, t.tail = false, fade
		}
	}
	t.read = end
}

// sound adds written samples, fading in where the sound began.
func (t *Timeline) sound(dst []float32, at, from, to int64) {
	if !t.playing {
		t.playing, t.since = true, from
	}
	last := t.last
	for p := from; p < to; p++ {
		j, o := 2*(p&(capacity-1)), 2*(p-at)
		l, r := t.ring[j], t.ring[j+1]
		if d := p - t.since; d < fade {
			g := float32(d+1) / (fade + 1)
			l, r = l*g, r*g
		}
		t.last = [2]float32{l, r}
		if t.tail > 0 { // the sound before goes on fading out
			g := float32(t.tail) / (fade + 1)
			l, r = l+last[0]*g, r+last[1]*g
			t.tail--
		}
		dst[o] += l
		dst[o+1] += r
	}
}

// silence fades the last sample out.
func (t *Timeline) silence(dst []float32, at, from, to int64) {
	for p := from; p < to && t.tail > 0; p++ {
		g, o := float32(t.tail)/(fade+1), 2*(p-at)
		dst[o] += t.last[0] * g
		dst[o+1] += t.last[1] * g
		t.tail--
	}
}
