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

func (v *viewers) sweep(now time.Time) {
	v.swept = now
	for id, t := range v.seen {
		if now.Sub(t) > viewerWindow {
			delete(v.seen, id)
		}
	}
}
