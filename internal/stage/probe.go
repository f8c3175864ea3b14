package stage

import (
	"context"
	"time"
)

// A probe sends more than the layer needs for a moment, to see whether a larger layer would get through before anybody
// waits for its pictures.
const (
	probeLength = 150 * time.Millisecond
	probeTick   = 5 * time.Millisecond
	// headroom is by how much more than the layer the connection must carry, and probeFactor by how much more is tried.
	headroom    = 1.1
	probeFactor = 1.35
	firstPause  = 300 * time.Millisecond
	leastPause  = 3 * time.Second // after a probe that failed, then twice that, and so on
	mostPause   = 30 * time.Second
	// A probe whose report does not come has failed.
	probePatience = time.Second
)

// probing is the part of bandwidth that finds out whether there is more. Its mutex guards it.
type probing struct {
	pause time.Duration // until the next one
	after time.Time     // the end of the last one, zero before the first

	open        bool
	since       time.Time
	first, last uint16 // sequence numbers of its packets
	closed      bool   // last is known
	// Of what arrived, in microseconds and on different clocks; bytes without the first packet, which takes no time
	// that is seen.
	arrived1, arrived2, sent1, sent2 int64
	bytes                            int64
	count                            int
}

// due tells whether it is time to find out whether the rate gets through, and has a probe begin.
func (b *bandwidth) due(rate float64, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open && now.Sub(b.since) > probeLength+probePatience {
		b.open = false
		b.failed(now)
	}
	if !b.reported || b.open || rate <= b.rate || b.queue > queueCalm.Seconds() || now.Sub(b.lowered) < b.pause {
		return false
	}
	if b.after.IsZero() {
		b.after = now // of the first report
	}
	if now.Sub(b.after) < b.pause {
		return false
	}
	b.probing = probing{pause: b.pause, after: b.after, open: true, since: now, first: b.sequence}
	return true
}

// ended says that all packets of the probe are sent. Nothing was sent beyond the layer when bytes is 0: then the rate
// itself is the test.
func (b *bandwidth) ended(rate float64, bytes int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bytes > 0 {
		b.last, b.closed = b.sequence-1, true
		return
	}
	b.open, b.after, b.pause = false, now, min(2*max(b.pause, leastPause), mostPause)
	b.rate = max(b.rate, rate)
}

// probed looks whether a packet that arrived is of the probe, and judges the probe when it was its last.
func (b *bandwidth) probed(f flight, arrival int64, now time.Time) {
	if !b.open || int16(f.sequence-b.first) < 0 {
		return
	}
	if !b.closed || int16(f.sequence-b.last) <= 0 {
		if b.count == 0 {
			b.arrived1, b.sent1 = arrival, f.sent.Microseconds()
		} else {
			b.bytes += int64(f.size)
		}
		b.count++
		b.arrived2, b.sent2 = max(b.arrived2, arrival), f.sent.Microseconds()
	}
	if b.closed && int16(f.sequence-b.last) >= 0 {
		b.judge(now)
	}
}

// judge ends the probe.
func (b *bandwidth) judge(now time.Time) {
	b.open = false
	// What came faster than it was sent says nothing about more.
	length := max(b.arrived2-b.arrived1, b.sent2-b.sent1, 10_000)
	carries := backDown * float64(8*b.bytes) * 1e6 / float64(length)
	if b.count < 5 || carries <= b.rate {
		b.failed(now)
		return
	}
	b.rate, b.pause, b.after = carries, firstPause, now
}

// failed makes the pauses longer.
func (b *bandwidth) failed(now time.Time) {
	b.after = now
	b.pause = min(max(2*b.pause, leastPause), mostPause)
}

// probe sends again what was sent last, as retransmissions that nobody asked for, so that together with the layer the
// rate is reached.
func (k *sink) probe(ctx context.Context, rate float64) {
	extra := rate
	if src := k.sends(); src != nil {
		extra -= float64(src.bitRate.Load())
	}
	sent := 0
	if k.rtxSSRC != 0 && extra > 0 {
		ticker := time.NewTicker(probeTick)
		defer ticker.Stop()
		start := time.Now()
		for now := start; now.Sub(start) < probeLength; now = time.Now() {
			for float64(8*sent) < extra*now.Sub(start).Seconds() {
				n := k.repeat()
				if n == 0 {
					break
				}
				sent += n
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}
	k.bandwidth.ended(rate, sent, time.Now())
}

// repeat sends the newest packet again and returns how many bytes that were, 0 when there is none.
func (k *sink) repeat() int {
	k.mu.Lock()
	g := k.current()
	var sequence uint16
	if g != nil {
		sequence = uint16(g.last + g.shift)
	}
	k.mu.Unlock()
	if g == nil {
		return 0
	}
	p, ok := k.lookup(sequence)
	if !ok {
		return 0
	}
	defer p.release()
	if k.again(p) != nil {
		return 0
	}
	return len(p.payload) + overhead
}
