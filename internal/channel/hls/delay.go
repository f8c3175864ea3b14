package hls

import (
	"slices"
	"sync"
	"time"
)

const (
	// delayWindow is how long a frame's delay counts.
	delayWindow = 10 * time.Second
	// delayLimit bounds the frames of the window: ten seconds of 60 fps.
	delayLimit = 600
)

// Delay sums up how long frames took from their arrival to the publication of the part that holds them. It is
// up to a part's length (200 ms) by the nature of parts: about half of it in the middle.
type Delay struct {
	Count    int // frames of the last ten seconds
	P50, P99 time.Duration
}

// delays are those of the last frames. The writing side adds, anyone may sum up.
type delays struct {
	mu   sync.Mutex
	ring []frameDelay
	next int // index of the oldest, once the ring is full
}

type frameDelay struct {
	published time.Time
	took      time.Duration
}

// add notes the frames that have been published now, by the times of their arrival.
func (d *delays) add(now time.Time, arrived []time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, at := range arrived {
		f := frameDelay{now, now.Sub(at)}
		if len(d.ring) < delayLimit {
			d.ring = append(d.ring, f)
			continue
		}
		d.ring[d.next] = f
		d.next = (d.next + 1) % delayLimit
	}
}

func (d *delays) sum(now time.Time) Delay {
	d.mu.Lock()
	took := make([]time.Duration, 0, len(d.ring))
	for _, f := range d.ring {
		if now.Sub(f.published) < delayWindow {
			took = append(took, f.took)
		}
	}
	d.mu.Unlock()
	if len(took) == 0 {
		return Delay{}
	}
	slices.Sort(took)
	n := len(took)
	return Delay{Count: n, P50: took[n/2], P99: took[n*99/100]}
}

// Delay says how long the frames of the last ten seconds took. Any goroutine may call it.
func (m *Muxer) Delay() Delay { return m.delays.sum(time.Now()) }
