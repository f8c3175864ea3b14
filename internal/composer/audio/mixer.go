package audio

// Block is how many samples per channel are mixed at a time: one AAC frame, 21.3 ms.
const Block = 1024

// headroom is the gain of each participant, −3 dB, so that two voices at once seldom need the limiter.
const headroom = 0.707946

// Mixer sums timelines and limits the sum. One goroutine owns it; its zero value is ready and starts at position 0.
type Mixer struct {
	limiter Limiter
	next    int64 // position of the next block to come out
	primed  bool
}

// Next is the position of the block that Mix gives next.
func (m *Mixer) Next() int64 { return m.next }

// Reads is how far Mix will read the timelines: LookAhead beyond its block.
func (m *Mixer) Reads() int64 { return m.next + Block + LookAhead }

// Mix fills dst, one Block, with the sound of all timelines from position Next on.
func (m *Mixer) Mix(dst []float32, timelines []*Timeline) {
	if !m.primed {
		m.primed = true
		var first [2 * LookAhead]float32
		m.sum(first[:], m.next, timelines)
	}
	clear(dst)
	m.sum(dst, m.next+LookAhead, timelines)
	m.next += int64(len(dst) / 2)
}

func (m *Mixer) sum(dst []float32, at int64, timelines []*Timeline) {
	for _, t := range timelines {
		t.AddTo(at, dst)
	}
	for i := range dst {
		dst[i] *= headroom
	}
	m.limiter.Process(dst)
}
