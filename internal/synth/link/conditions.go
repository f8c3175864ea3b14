// Package link is a bad network in one process: a packet socket on which packets get lost, late, out of order,
// twice or not at all.
//
// It is pure Go and knows nothing of what it carries but whether it is media, so every test of something that
// sends or receives RTP can use it.
package link

import (
	"math/rand/v2"
	"time"
)

// Conditions is how bad one direction of a link is. The zero value is a perfect link. Shares are of the RTP and RTCP
// packets, from 0 to 1; the rest (STUN, DTLS) is delayed and cut off alike, but neither lost, doubled nor overtaken.
type Conditions struct {
	Loss      float64 `json:"loss,omitzero"`      // share that gets lost
	Burst     float64 `json:"burst,omitzero"`     // how many get lost in a row on average; 1 by default, where losses are independent
	Duplicate float64 `json:"duplicate,omitzero"` // share that arrives twice
	Reorder   float64 `json:"reorder,omitzero"`   // share that is held back for up to 50 ms while others pass
	Delay     float64 `json:"delay,omitzero"`     // that every packet takes, milliseconds
	Jitter    float64 `json:"jitter,omitzero"`    // by up to which the delay swings above that, in order, milliseconds
	Cut       bool    `json:"cut,omitzero"`       // nothing passes

	// In the last BlackoutFor of every BlackoutEvery nothing passes, milliseconds.
	BlackoutEvery float64 `json:"blackoutEvery,omitzero"`
	BlackoutFor   float64 `json:"blackoutFor,omitzero"`
}

const (
	longestHold = 50 * time.Millisecond // of a packet that is overtaken
	// The delay swings to another level after a time within these bounds, as when a radio cell fills and empties.
	shortestLevel, longestLevel = 20 * time.Millisecond, 200 * time.Millisecond
)

// path decides what happens to the packets of one direction. One goroutine at a time may use it.
type path struct {
	random *rand.Rand
	start  time.Time

	losing  bool // within a burst
	level   time.Duration
	until   time.Time // when the level changes
	lastDue time.Time // packets that are not overtaken keep their order
}

func newPath(seed uint64, start time.Time) path {
	return path{random: rand.New(rand.NewPCG(seed, seed)), start: start}
}

// fate returns when the packet that is sent now arrives: not at all, once, or twice.
func (p *path) fate(c Conditions, media bool, now time.Time) (due [2]time.Time, copies int) {
	if c.Cut || c.blackout(now.Sub(p.start)) || media && p.lost(c) {
		return due, 0
	}
	at := now.Add(milliseconds(c.Delay) + p.jitter(c, now))
	if media && c.Reorder > 0 && p.random.Float64() < c.Reorder {
		at = at.Add(p.upTo(longestHold))
	} else {
		if at.Before(p.lastDue) {
			at = p.lastDue
		}
		p.lastDue = at
	}
	due[0], copies = at, 1
	if media && c.Duplicate > 0 && p.random.Float64() < c.Duplicate {
		due[1], copies = at.Add(p.upTo(longestHold)), 2
	}
	return due, copies
}

// lost is the model of Gilbert: in a burst everything gets lost, outside nothing. Its two probabilities follow from
// the share that gets lost and from the mean length of a burst.
func (p *path) lost(c Conditions) bool {
	if c.Loss <= 0 {
		p.losing = false
		return false
	}
	if c.Burst <= 1 {
		return p.random.Float64() < c.Loss
	}
	if p.losing {
		p.losing = p.random.Float64() >= 1/c.Burst
	} else {
		p.losing = p.random.Float64() < c.Loss/(c.Burst*(1-min(c.Loss, 0.99)))
	}
	return p.losing
}

func (p *path) jitter(c Conditions, now time.Time) time.Duration {
	if c.Jitter <= 0 {
		return 0
	}
	if !now.Before(p.until) {
		p.level = p.upTo(milliseconds(c.Jitter))
		p.until = now.Add(shortestLevel + p.upTo(longestLevel-shortestLevel))
	}
	return min(p.level, milliseconds(c.Jitter))
}

func (p *path) upTo(d time.Duration) time.Duration {
	return time.Duration(p.random.Int64N(int64(d) + 1))
}

func (c Conditions) blackout(since time.Duration) bool {
	every, length := milliseconds(c.BlackoutEvery), milliseconds(c.BlackoutFor)
	return every > 0 && length > 0 && since%every >= every-length
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// isMedia tells RTP and RTCP from the rest by the first byte (RFC 7983).
func isMedia(packet []byte) bool {
	return len(packet) > 0 && packet[0] >= 128 && packet[0] < 192
}
