package ladder

import (
	"slices"
	"sync/atomic"
	"time"
)

// Stats is a snapshot for metrics.
type Stats struct {
	Pictures uint64 // that came out
	LeftOut  uint64 // that there was no time for
	Damaged  uint64 // that could not be decoded
	Lost     uint64 // that no process took in time, or that are of no use without one of those
	Restarts uint64 // of the process
	PID      int    // of the process, or 0

	P50, P99 time.Duration // from the arrival of a picture to its coming out in all sizes, of the newest ones
}

type counters struct{ pictures, leftOut, damaged, lost atomic.Uint64 }

// Stats may be called from any goroutine.
func (l *Ladder) Stats() Stats {
	s := Stats{
		Pictures: l.counts.pictures.Load(), LeftOut: l.counts.leftOut.Load(), Damaged: l.counts.damaged.Load(), Lost: l.counts.lost.Load(),
		Restarts: l.process.Restarts(), PID: l.process.PID(),
	}
	l.mu.Lock()
	took := slices.Clone(l.delays)
	l.mu.Unlock()
	if n := len(took); n > 0 {
		slices.Sort(took)
		s.P50, s.P99 = took[n/2], took[n*99/100]
	}
	return s
}

const (
	// maxDelays bounds the pictures that the delay is told of: ten seconds of 60 per second.
	maxDelays = 600
	// maxExpected bounds the pictures that may be on their way.
	maxExpected = 1024
)

// delays are those of the newest pictures, the oldest first.
type delays []time.Duration

// expect notes when the picture that is shown at a time arrived.
func (l *Ladder) expect(at time.Duration, arrived time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.arrived) >= maxExpected { // nothing comes out, or its times make no sense
		clear(l.arrived)
	}
	l.arrived[at] = arrived
}

// came tells when a picture that has come out arrived, and forgets those before it: they will not come any more.
func (l *Ladder) came(at time.Duration) time.Time {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	arrived, ok := l.arrived[at]
	if !ok {
		return now
	}
	for t, a := range l.arrived {
		if t <= at || a.Before(arrived.Add(-time.Minute)) {
			delete(l.arrived, t)
		}
	}
	if len(l.delays) == maxDelays {
		l.delays = append(l.delays[:0], l.delays[1:]...)
	}
	l.delays = append(l.delays, now.Sub(arrived))
	return arrived
}
