package channel

import (
	"sync"
	"time"
)

const (
	// viewerWindow is how long after its last playlist a viewer counts: a player asks at least every target
	// duration, and spec/lowlatency.md §4 wants it gone within a minute.
	viewerWindow = 30 * time.Second
	// maxViewers bounds the memory that made-up viewer ids can take: about 10 MB per channel.
	maxViewers = 100_000
	// viewerIDLength is the number of characters of a viewer id.
	viewerIDLength = 16
)

// viewers counts who asked for the media playlist lately. All methods may be called by any goroutine.
type viewers struct {
	mu    sync.Mutex
	seen  map[string]time.Time
	swept time.Time
}

// note records that a viewer asked. Whoever has no session, or made one up, is not counted.
func (v *viewers) note(id string, now time.Time) {
	if len(id) != viewerIDLength {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen == nil {
		v.seen = map[string]time.Time{}
	}
	if _, known := v.seen[id]; !known && len(v.seen) >= maxViewers {
		if now.Sub(v.swept) < time.Second {
			return
		}
		if v.sweep(now); len(v.seen) >= maxViewers {
			return
		}
	}
	v.seen[id] = now
}

// count forgets those who left and returns the number of the others.
func (v *viewers) count(now time.Time) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sweep(now)
	return len(v.seen)
}

// about is the number without forgetting more often than once a second, for who asks often.
func (v *viewers) about(now time.Time) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.Sub(v.swept) > time.Second {
		v.sweep(now)
	}
	return len(v.seen)
}

// crowdedWord is how often it is told that there are too many viewers of a stream.
const crowdedWord = time.Minute

// tellCrowded tells that a viewer was turned away.
func (l *live) tellCrowded(most int) {
	l.tell(func() {
		if now := time.Now(); now.Sub(l.crowdedAt) >= crowdedWord {
			l.crowdedAt = now
			l.log.Warn("viewers are turned away", "most", most)
			l.observe(Event{Kind: ConcurrentViewers, Breach: &Breach{ConcurrentViewers, int64(most), 1, "viewers"}})
		}
	})
}

// crowded tells whether all streams together have as many viewers as there may be.
func (s *Server) crowded() bool {
	n, now := 0, time.Now()
	for _, l := range s.present() {
		n += l.viewers.about(now)
	}
	return n >= s.maxViewers()
}

func (v *viewers) sweep(now time.Time) {
	v.swept = now
	for id, t := range v.seen {
		if now.Sub(t) > viewerWindow {
			delete(v.seen, id)
		}
	}
}
