package stage

import (
	"context"
	"time"
)

// keyFrameInterval is the least time between two requests to one publisher. Encoders that get more
// spend their bitrate on key frames.
const (
	keyFrameInterval = 500 * time.Millisecond
	// A request that brought no key frame is repeated after a while: RTCP gets lost too.
	keyFrameRetry   = time.Second
	keyFrameRetries = 3
)

// keyFrames is the arbiter between all subscribers that want a key frame and the publisher that makes
// them. Its goroutine (run) owns the state; the others only signal.
type keyFrames struct {
	// ask sends one request to the publisher. It reports false when the publisher's track is not there yet.
	ask func() bool

	requests chan struct{}
	arrivals chan struct{}
}

func newKeyFrames(ask func() bool) *keyFrames {
	return &keyFrames{ask: ask, requests: make(chan struct{}, 1), arrivals: make(chan struct{}, 1)}
}

// request asks for a key frame, together with everybody who asks until it is sent. It never blocks.
func (k *keyFrames) request() { signal(k.requests) }

// arrived says that a key frame has come, which serves all who asked before. It never blocks.
func (k *keyFrames) arrived() { signal(k.arrivals) }

// run decides when the publisher is asked, until ctx ends.
func (k *keyFrames) run(ctx context.Context) {
	var (
		last    time.Time // of the newest request sent
		open    bool      // somebody waits
		retries int
	)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.arrivals:
			open = false
			timer.Stop()
			continue
		case <-k.requests:
			retries = 0
			open = true
			if wait := keyFrameInterval - time.Since(last); !last.IsZero() && wait > 0 {
				timer.Reset(wait)
				continue
			}
		case <-timer.C:
			if !open {
				continue
			}
		}
		if k.ask() {
			last = time.Now()
		}
		if retries++; retries <= keyFrameRetries {
			timer.Reset(keyFrameRetry)
		} else {
			open = false
		}
	}
}

// signal leaves a mark in a channel with room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
