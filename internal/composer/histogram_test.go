package composer

import (
	"math"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h histogram
	if got := h.sum(0); got.Count != 0 || got.P50 != 0 {
		t.Fatalf("an empty one says %+v", got)
	}
	for i := range 1000 { // 1 to 1000 ms, one each 5 ms
		h.add(time.Duration(i)*5*time.Millisecond, time.Duration(i+1)*time.Millisecond)
	}
	near := func(got, want float64) bool { return math.Abs(got-want) <= want*0.05 }
	if got := h.sum(5 * time.Second); got.Count != 1000 || !near(got.P50, 500) || !near(got.P99, 990) {
		t.Errorf("the whole is %+v", got)
	}
	if got := h.sum(13500 * time.Millisecond); got.Count != 200 || !near(got.P50, 900) || !near(got.P99, 998) {
		t.Errorf("of the last second there is %+v", got)
	}
	if got := h.sum(time.Minute); got.Count != 0 {
		t.Errorf("a minute later there is %+v", got)
	}
	h.add(time.Hour, 48*time.Hour)
	h.add(time.Hour, -time.Second)
	if got := h.sum(time.Hour); got.Count != 2 {
		t.Errorf("impossible durations give %+v", got)
	}
}

func TestBucketsAreFine(t *testing.T) {
	for d := time.Microsecond; d < time.Minute; d += d/50 + time.Microsecond {
		want := float64(d) / float64(time.Millisecond)
		if got := bucketMiddle(bucketOf(d)); math.Abs(got-want) > max(0.001, want*0.04) {
			t.Fatalf("%v counts as %v ms", d, got)
		}
	}
}

func TestUsage(t *testing.T) {
	var u usage
	u.measure()
	for began := time.Now(); time.Since(began) < 20*time.Millisecond; {
	}
	cores, resident := u.measure()
	if cores <= 0 || resident < 1<<20 {
		t.Errorf("%v cores and %d bytes", cores, resident)
	}
}
