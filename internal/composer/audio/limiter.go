package audio

import "math"

// LookAhead is how much later the limiter gives out what it took: 5 ms, in samples.
const LookAhead = 240

// Ceiling is the largest sample that the limiter gives out: −1 dBFS.
const Ceiling = 0.891251

// release is how much of the way back to full gain is taken per sample: a time constant of 80 ms.
const release = 1.0 / (0.080 * Rate)

// Limiter keeps a sound under the ceiling without clipping it: it sees a peak coming and turns the gain down
// in time, smoothly, then lets it come back. Sound below the ceiling passes unchanged, LookAhead samples later.
// One goroutine owns it; its zero value is ready.
type Limiter struct {
	delay [2 * LookAhead]float32
	pos   int

	// The gain that each of the samples still inside demands: its sliding minimum is a queue of candidates.
	n     int64
	queue [LookAhead + 1]struct {
		at   int64
		gain float32
	}
	head, size int

	held    float64 // minimum with release
	box     [LookAhead]float64
	boxSum  float64
	started bool
}

// Process limits pcm in place; what comes out is LookAhead samples older than what went in.
func (l *Limiter) Process(pcm []float32) {
	if !l.started {
		l.started, l.held = true, 1
		for i := range l.box {
			l.box[i] = 1
		}
		l.boxSum = LookAhead
	}
	for i := 0; i+1 < len(pcm); i += 2 {
		peak := max(abs(pcm[i]), abs(pcm[i+1]))
		gain := float32(1)
		if !(peak < 1e6) { // not a number, or nothing that sound can be
			pcm[i], pcm[i+1] = 0, 0
		} else if peak > Ceiling {
			gain = Ceiling / peak
		}
		l.push(gain)
		least := float64(l.queue[l.head].gain)
		l.held = min(least, l.held+(1-l.held)*release)
		if l.held > 1-1e-9 {
			l.held = 1
		}
		slot := l.n % LookAhead
		l.boxSum += l.held - l.box[slot]
		l.box[slot] = l.held
		if slot == 0 { // sums of floats drift: start anew now and then
			l.boxSum = 0
			for _, g := range l.box {
				l.boxSum += g
			}
		}
		g := float32(math.Min(1, l.boxSum/LookAhead))
		left, right := l.delay[2*l.pos], l.delay[2*l.pos+1]
		l.delay[2*l.pos], l.delay[2*l.pos+1] = pcm[i], pcm[i+1]
		l.pos = (l.pos + 1) % LookAhead
		// The average of gains that were each small enough is small enough, but for rounding.
		pcm[i] = min(max(left*g, -Ceiling), Ceiling)
		pcm[i+1] = min(max(right*g, -Ceiling), Ceiling)
		l.n++
	}
}

// push keeps the queue's gains rising from the head, so that the head is the minimum of the last
// LookAhead+1 samples.
func (l *Limiter) push(gain float32) {
	for l.size > 0 && l.queue[(l.head+l.size-1)%len(l.queue)].gain >= gain {
		l.size--
	}
	if l.size > 0 && l.queue[l.head].at <= l.n-int64(len(l.queue)) {
		l.head = (l.head + 1) % len(l.queue)
		l.size--
	}
	e := &l.queue[(l.head+l.size)%len(l.queue)]
	e.at, e.gain = l.n, gain
	l.size++
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
