package composer

import (
	"sync"
	"time"

	"github.com/footlight-live/footlight/internal/av"
)

// stalledAfter is how long the last picture stays when no newer one comes (spec: composition §4).
const stalledAfter = 2 * time.Second

// maxPictures bounds what waits to be shown: the largest playout delay and lag at 60 pictures a second.
const maxPictures = 48

// pictures are the decoded pictures of one participant that are shown or still to be shown.
// The track's goroutine pushes, the canvases look; it owns a reference of each picture in it.
type pictures struct {
	mu    sync.Mutex
	queue []*av.Picture // by PTS, the RTP time
	due   func(ts int64) time.Duration
}

// push takes the picture over.
func (p *pictures) push(pic *av.Picture) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.queue); n > 0 && pic.PTS <= p.queue[n-1].PTS {
		pic.Release() // the sender's time went back: shown it could not be in order
		return
	}
	if len(p.queue) == maxPictures {
		p.drop(1)
	}
	p.queue = append(p.queue, pic)
}

func (p *pictures) drop(n int) {
	for _, pic := range p.queue[:n] {
		pic.Release()
	}
	p.queue = append(p.queue[:0], p.queue[n:]...)
}

// clear gives everything back.
func (p *pictures) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(len(p.queue))
}

// at returns the picture to show at composer time t, with a reference for the caller, or nil when there is
// none or it is stale. last is the PTS of what the caller showed before (any smaller number for nothing);
// keep is for how long older pictures must stay for other callers.
//
// A picture due within slop of the tick is taken or left so that senders and output of one frame rate give
// one picture per tick, however the two clocks lie: the next one may come slop early, and a picture is
// skipped only when its successor is overdue by slop too.
func (p *pictures) at(t, slop, keep time.Duration, last int64) *av.Picture {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := -1
	for i+1 < len(p.queue) && p.queue[i+1].PTS <= last {
		i++
	}
	for limit := t + slop; i+1 < len(p.queue) && p.due(p.queue[i+1].PTS) <= limit; i++ {
		limit = t - slop
	}
	if i < 0 || p.due(p.queue[i].PTS) < t-stalledAfter {
		return nil
	}
	pic := p.queue[i].Retain()
	n := 0
	for n < i && p.due(p.queue[n+1].PTS) <= t-keep {
		n++
	}
	if keep == 0 {
		n = i
	}
	p.drop(n)
	return pic
}
