package composer

import (
	"math/bits"
	"sync"
	"time"

	"github.com/footlight-live/footlight/internal/composer/wire"
)

const (
	// histogramSeconds is for how long a duration counts (package wire).
	histogramSeconds = 10
	// Buckets are 1 µs wide up to 32 µs, then 16 to each doubling: 6 % of the value at most. The last one takes
	// all from a minute on.
	bucketBits    = 4
	bucketsPerTwo = 1 << bucketBits
	buckets       = 368
)

// histogram counts durations of the last ten seconds. Any goroutine may add; its lock is held for some
// nanoseconds. The zero value is ready.
type histogram struct {
	mu    sync.Mutex
	slots [histogramSeconds]struct {
		second int64
		counts [buckets]uint32
	}
}

// add counts d at composer time now.
func (h *histogram) add(now, d time.Duration) {
	second := int64(now/time.Second) + 1 // so that the zero value counts nothing
	s := &h.slots[second%histogramSeconds]
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.second != second {
		s.second, s.counts = second, [buckets]uint32{}
	}
	s.counts[bucketOf(d)]++
}

// sum describes the last ten seconds before composer time now.
func (h *histogram) sum(now time.Duration) wire.Timing {
	second := int64(now/time.Second) + 1
	var counts [buckets]uint64
	var t wire.Timing
	h.mu.Lock()
	for i := range h.slots {
		if s := &h.slots[i]; s.second > second-histogramSeconds && s.second > 0 {
			for b, n := range s.counts {
				counts[b] += uint64(n)
				t.Count += uint64(n)
			}
		}
	}
	h.mu.Unlock()
	if t.Count == 0 {
		return t
	}
	var seen uint64
	half, most := (t.Count+1)/2, t.Count-t.Count/100
	for b, n := range counts {
		if before := seen; n > 0 {
			seen += n
			if before < half && seen >= half {
				t.P50 = bucketMiddle(b)
			}
			if before < most && seen >= most {
				t.P99 = bucketMiddle(b)
			}
		}
	}
	return t
}

func bucketOf(d time.Duration) int {
	us := uint64(max(0, d.Microseconds()))
	shift := max(0, bits.Len64(us)-bucketBits-1)
	return min(shift*bucketsPerTwo+int(us>>shift), buckets-1)
}

// bucketMiddle is what a bucket's durations are taken for, in milliseconds.
func bucketMiddle(b int) float64 {
	shift := max(0, b/bucketsPerTwo-1)
	low := (b - shift*bucketsPerTwo) << shift
	return (float64(low) + float64(int(1)<<shift)/2) / 1000
}

// meters are the timings of one composer; see wire.Heartbeat.
type meters struct {
	decode, draw, mix, encode, publish, latency histogram
}
