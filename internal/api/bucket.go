package api

import (
	"sync"
	"time"
)

// Buckets are buckets of tokens by name. Each fills at its rate and holds one second of it. Safe for concurrent
// use; the zero value is ready.
type Buckets struct {
	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	left float64
	at   time.Time // when left was right
}

// manyBuckets is where those that are full again are thrown away.
const manyBuckets = 10_000

// Take takes a token out of a bucket, which fills at perSecond, or reports that there is none.
func (t *Buckets) Take(name string, perSecond float64, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buckets == nil {
		t.buckets = map[string]*bucket{}
	}
	if len(t.buckets) >= manyBuckets {
		for name, b := range t.buckets {
			if now.Sub(b.at) > time.Second {
				delete(t.buckets, name)
			}
		}
	}
	b := t.buckets[name]
	if b == nil {
		b = &bucket{left: perSecond, at: now}
		t.buckets[name] = b
	}
	b.left = min(perSecond, b.left+max(0, now.Sub(b.at).Seconds())*perSecond)
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
