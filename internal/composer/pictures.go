package composer

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/clock"
)

// stalledAfter is how long the last picture stays when no newer one comes (spec: composition §4).
const stalledAfter = 2 * time.Second

// maxPictures bounds what waits to be shown: the largest playout delay and lag at 60 pictures a second.
const maxPictures = 48

// disorder is how far a picture may be before the newest one: by more the sender's time has begun anew.
const disorder = time.Second

// How long overdue pictures wait for canvases that are late: a single one seldom is by so much, and then shows fewer; of
// several, one may be much later than the others.
const (
	lateness       = 50 * time.Millisecond
	sharedLateness = maxLag + 2*maxSlop
)

// never is the PTS of what somebody showed who showed nothing.
const never = math.MinInt64

// shot is a decoded picture with what the measurements need.
type shot struct {
	*av.Picture
	complete time.Duration // when its last packet came
}

// pictures are the decoded pictures of one participant that are shown or still to be shown.
// The track's goroutine pushes, the canvases look; it owns a reference of each picture in it.
type pictures struct {
	mu       sync.Mutex
	queue    []*shot // by PTS, the RTP time
	due      func(ts int64) time.Duration
	lateness time.Duration
	closed   bool          // what comes is dropped
	opened   time.Duration // and so is what came before that time
}

// push takes the picture over. Of those that nobody looked at in time, at composer time now, it keeps the first, which
// may be shown, and the newest: a machine or a network that stood still must not fill the memory with pictures.
func (p *pictures) push(s *shot, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || s.complete < p.opened {
		s.Release()
		return
	}
	if n := len(p.queue); n > 0 && s.PTS <= p.queue[n-1].PTS {
		if p.due(p.queue[n-1].PTS)-p.due(s.PTS) <= disorder {
			s.Release() // shown it could not be in order
			return
		}
		p.drop(0, n)
	}
	if len(p.queue) == maxPictures {
		p.drop(0, 1)
	}
	p.queue = append(p.queue, s)
	n := 1
	for n+1 < len(p.queue) && p.due(p.queue[n+1].PTS) <= now-p.lateness {
		n++
	}
	p.drop(1, n)
}

// drop gives the pictures from..to of the queue back.
func (p *pictures) drop(from, to int) {
	for _, s := range p.queue[from:to] {
		s.Release()
	}
	p.queue = slices.Delete(p.queue, from, to)
}

// stale tells whether a picture has been due for too long at composer time t. RTP time says nothing of that once the
// sender's time has leapt, but it is from when the picture came to MaxDelay later.
func (p *pictures) stale(s *shot, t time.Duration) bool {
	return min(max(p.due(s.PTS), s.complete), s.complete+clock.MaxDelay) < t-stalledAfter
}

// any tells whether there is a picture.
func (p *pictures) any() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) > 0
}

// clear gives everything back.
func (p *pictures) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(0, len(p.queue))
}

// shut ends or begins the showing of pictures, at composer time now. What came while it was shut, and before, is never
// shown, also when it is decoded later: a browser sends black pictures then.
func (p *pictures) shut(closed bool, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed && !closed {
		p.opened = now
	}
	p.closed = closed
	if closed {
		p.drop(0, len(p.queue))
	}
}

// at returns the picture to show at composer time t, with a reference for the caller, or nil when there is
// none or it is stale; seen tells whether one has been due. last is the PTS of what the caller showed
// before, or never; keep is for how long older pictures must stay for other callers.
//
// A picture due within slop of the tick is taken or left so that senders and output of one frame rate give
// one picture per tick, however the two clocks lie: the next one may come slop early, and a picture is
// skipped only when its successor is overdue by slop too.
func (p *pictures) at(t, slop, keep time.Duration, last int64) (shown *shot, seen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.queue); n > 0 && p.queue[n-1].PTS < last {
		last = p.queue[0].PTS - 1 // the sender's time has begun anew: none of these has been shown
	}
	i := -1
	for i+1 < len(p.queue) && p.queue[i+1].PTS <= last {
		i++
	}
	for limit := t + slop; i+1 < len(p.queue) && p.due(p.queue[i+1].PTS) <= limit; i++ {
		limit = t - slop
	}
	if last != never && i+1 < len(p.queue) && (i < 0 || p.queue[i].PTS < last) {
		i++ // the one that was shown has been dropped: not back to an earlier one, nor to none
	}
	if i < 0 {
		return nil, false
	}
	if p.stale(p.queue[i], t) {
		return nil, true
	}
	shown = p.queue[i]
	shown.Retain()
	n := 0
	for n < i && p.due(p.queue[n+1].PTS) <= t-keep {
		n++
	}
	if keep == 0 {
		n = i
	}
	p.drop(0, n)
	return shown, true
}

// peek returns what is shown at composer time now without any effect on what at returns; like it else. Canvases
// are somewhat ahead of now: what they took last counts even before it is due.
func (p *pictures) peek(now time.Duration) (shown *shot, seen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return nil, false
	}
	i := 0
	for i+1 < len(p.queue) && p.due(p.queue[i+1].PTS) <= now {
		i++
	}
	if p.stale(p.queue[i], now) {
		return nil, true
	}
	p.queue[i].Retain()
	return p.queue[i], true
}
