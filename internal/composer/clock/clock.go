// Package clock maps what senders call time to the composer's one clock.
//
// Guarantees: the composer's clock only goes forward; the audio and video of one participant share one
// mapping, so that what was captured together is presented together; the playout delay grows
// when media come late in two seconds out of ten and shrinks slowly when they no longer do, within bounds.
//
// # Model
//
// Every packet has an RTP time (of its track's clock) and an arrival time (of the composer's clock).
// Their difference, the transit, is a constant plus what the network and the sender added; its minimum
// over ten seconds is the track's base: presenting at RTP time + base would be right for a packet that
// nothing delayed. So clocks that drift by tens of parts per million are followed without more ado. A track whose packets
// are later than any delay covers, for a second, is mapped anew.
//
// Without sender reports each track has its own base, as if the fastest packets of audio and video had
// taken equally long. A sender report ties a track's RTP clock to the sender's wall clock. Once every
// track of a participant has one, the transit against that shared wall clock is comparable between the
// tracks: the smaller minimum serves both, and lip sync no longer depends on what encoding or pacing adds
// to one of them. Reports that put the tracks more than half a second apart are taken for broken and ignored.
//
// The playout delay, shared by the tracks too, covers how late complete frames are against their base, the time
// to decode them included. What happens once, in one second out of ten, does not count: see lateness. When the network
// takes longer for good the delay covers that first, and the base does once the window has forgotten how it was: what
// the base rises by the delay falls by, so that nothing is heard or seen of it.
package clock

import "time"

// Clock is the composer's time: it starts at zero and follows the monotonic clock. Safe for any goroutine.
type Clock struct{ start time.Time }

// New starts a clock at zero.
func New() *Clock { return &Clock{start: time.Now()} }

// Now is the time since the start.
func (c *Clock) Now() time.Duration { return time.Since(c.start) }

// Until is how long to wait for t; negative when t has passed.
func (c *Clock) Until(t time.Duration) time.Duration { return t - c.Now() }

// Ticks converts a count of ticks at rate per second to a duration without overflow.
func Ticks(n, rate int64) time.Duration {
	return time.Duration(n/rate)*time.Second + time.Duration(n%rate)*time.Second/time.Duration(rate)
}

// Samples converts a duration to the nearest count of ticks at rate per second.
func Samples(d time.Duration, rate int64) int64 {
	s, r := int64(d/time.Second), int64(d%time.Second)
	return s*rate + (r*rate+int64(time.Second)/2)/int64(time.Second)
}
