package stage

import (
	"context"
	"runtime"
	"sync"
)

const (
	// flushEvery is how many packets a lane writes before it has them sent.
	flushEvery = 32
	// turnPackets is how many packets of one sink a lane writes before it is the next one's turn.
	turnPackets = 32
	// maxLanes bounds the lanes of a server.
	maxLanes = 32
)

// lane is a goroutine that sends what its sinks have queued, one sink after the other. A packet for hundreds of
// subscribers wakes the lanes and not hundreds of goroutines, and goes to the kernel in a few calls.
type lane struct {
	hold, flush, release func() // see shard; nil when nothing collects what is written

	wake chan struct{}       // something is ready
	room [turnPackets]queued // of run

	mu    sync.Mutex
	ready []*sink
}

func newLane() *lane { return &lane{wake: make(chan struct{}, 1)} }

// add has the lane send what the sink has queued.
func (l *lane) add(k *sink) {
	l.mu.Lock()
	l.ready = append(l.ready, k)
	first := len(l.ready) == 1
	l.mu.Unlock()
	if first {
		signal(l.wake)
	}
}

// run sends until ctx ends.
func (l *lane) run(ctx context.Context) {
	var turn []*sink
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		if turn = l.next(turn); len(turn) == 0 {
			continue
		}
		if l.hold != nil {
			l.hold()
		}
		for written := 0; len(turn) > 0; turn = l.next(turn) {
			for _, k := range turn {
				n, more := k.turn(l.room[:])
				if more && ctx.Err() == nil {
					l.add(k)
				}
				if written += n; written >= flushEvery && l.flush != nil {
					l.flush()
					written = 0
					runtime.Gosched() // a busy lane would keep a processor from all others for 10 ms
				}
			}
		}
		if l.release != nil {
			l.release()
		}
	}
}

// next takes the sinks that are ready, in the memory of those whose turn it was.
func (l *lane) next(done []*sink) []*sink {
	clear(done)
	l.mu.Lock()
	defer l.mu.Unlock()
	turn := l.ready
	l.ready = done[:0]
	return turn
}

// newLanes makes the lanes of a server, one for each processor.
func newLanes(n *network) []*lane {
	var all []*lane
	for i := range n.over {
		l := newLane()
		l.hold = func() { n.shards(i, (*shard).hold) }
		l.flush = func() { n.shards(i, (*shard).flush) }
		l.release = func() { n.shards(i, (*shard).release) }
		all = append(all, l)
	}
	return all
}
