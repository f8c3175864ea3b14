package synth

import (
	"context"
	"sync"
	"time"
)

// timepiece is the publisher's own clock. It starts with the machine's and may run too fast or too slow. All that
// a publisher captures, stamps and reports is timed by it, so that its content agrees with itself.
type timepiece struct {
	mu        sync.Mutex
	real, own time.Time // the same moment, on the machine's clock and on this one
	drift     float64   // parts per million
}

// now is the time on this clock, which from now on runs too fast by drift.
func (c *timepiece) now(drift float64) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.real.IsZero() {
		c.real, c.own, c.drift = now, now.Round(0), drift
	}
	own := c.own.Add(time.Duration(float64(now.Sub(c.real)) * (1 + c.drift/1e6)))
	if drift != c.drift {
		c.real, c.own, c.drift = now, own, drift
	}
	return own
}

// realDuration is how long d of this clock is on the machine's.
func (c *timepiece) realDuration(d time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(float64(d) / (1 + c.drift/1e6))
}

// now is the time on the publisher's clock.
func (p *Publisher) now() time.Time { return p.clock.now(p.currentFaults().Drift) }

// sleepUntil returns at t on the publisher's clock, or with ctx's error when that ends first.
func (p *Publisher) sleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(p.clock.realDuration(t.Sub(p.now())))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ntp is the NTP timestamp of RFC 5905: seconds since 1900 in 32.32 bits.
func ntp(t time.Time) uint64 {
	const from1900 = 2208988800
	return uint64(t.Unix()+from1900)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}
