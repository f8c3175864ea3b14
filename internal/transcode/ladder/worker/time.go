package worker

import (
	"math"
	"slices"
	"time"
)

// rate finds out how many pictures come per second, from the times at which they are shown.
type rate struct {
	times []int64 // the newest, in nanoseconds
}

const (
	// firstTimes are enough to begin: the packager waits for as many before it starts a stream, whenever they come.
	firstTimes = 7
	// firstSpan is enough at low rates.
	firstSpan = 400 * time.Millisecond
	// maxTimes are looked at later.
	maxTimes = 32
	// leap is a step of time after which it goes on elsewhere.
	leap = time.Second
)

// add notes a picture.
func (r *rate) add(at int64) {
	if n := len(r.times); n > 0 && at <= r.times[n-1] {
		if at > r.times[n-1]-int64(leap) {
			return
		}
		r.times = nil
	}
	if len(r.times) == maxTimes {
		r.times = append(r.times[:0], r.times[1:]...)
	}
	r.times = append(r.times, at)
}

// known tells whether enough pictures came.
func (r *rate) known() bool {
	n := len(r.times)
	return n >= firstTimes || n >= 2 && r.times[n-1]-r.times[0] >= int64(firstSpan)
}

// distance is the usual one between two pictures, in nanoseconds; holes do not count.
func (r *rate) distance() int64 {
	var steps []int64
	for i := 1; i < len(r.times); i++ {
		steps = append(steps, r.times[i]-r.times[i-1])
	}
	if steps == nil {
		return int64(time.Second) / 30
	}
	slices.Sort(steps)
	median := steps[len(steps)/2]
	// The mean of what is like the median: times are rounded, RTMP's to milliseconds.
	var sum, n int64
	for _, s := range steps {
		if s > median/2 && s < median*3/2 {
			sum, n = sum+s, n+1
		}
	}
	return sum / n
}

// common are the rates that pictures have, but for a few.
var common = []float64{24, 25, 30, 48, 50, 60, 15, 20, 10, 12, 90, 100, 120}

// perSecond is the rate in pictures per second, 1 to 240.
func (r *rate) perSecond() float64 {
	fps := float64(time.Second) / float64(r.distance())
	for _, c := range common {
		if math.Abs(fps/c-1) < 0.02 {
			return c
		}
	}
	return min(max(fps, 1), 240)
}

// keys decides which pictures are key frames. Times are in nanoseconds.
type keys struct {
	asked   bool  // the publisher has made a key frame ...
	at      int64 // ... at this time
	began   int64 // the first one
	newest  int64
	last    int64 // picture that was coded
	started bool
}

const (
	// keyEvery is how far apart key frames are at most.
	keyEvery = 2 * time.Second
	// keyAfter is how soon one of the publisher's follows another.
	keyAfter = 900 * time.Millisecond
	// gap is a time without pictures after which all sizes have the next one, so that they go on together.
	gap = 500 * time.Millisecond
	// opening is how long all of the publisher's count: some begin with several, so that players can.
	opening = 2 * time.Second
)

// ask notes that the publisher has made a key frame.
func (k *keys) ask(at int64) { k.asked, k.at = true, at }

// due tells whether the picture that is shown at a time, so far from the next one, is to be a key frame. It is asked once
// about each picture that is coded.
func (k *keys) due(at, distance int64) bool {
	since := at - k.newest
	switch {
	case !k.started || at < k.last || at-k.last > int64(gap):
		return true
	case since >= int64(keyEvery)-distance/2: // it is nearest to the time
		return true
	}
	if !k.asked || at < k.at {
		return false
	}
	k.asked = false // too early is not later
	return since >= int64(keyAfter) || at-k.began < int64(opening)
}

// made notes that a picture was coded, as a key frame or not.
func (k *keys) made(at int64, key bool) {
	k.last = at
	if !key {
		return
	}
	if !k.started || at < k.newest {
		k.began = at
	}
	k.started, k.newest = true, at
	k.asked = k.asked && k.at > at
}
