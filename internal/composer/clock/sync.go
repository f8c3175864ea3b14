package clock

import (
	"sync"
	"time"
)

// Kind is the kind of a track.
type Kind int

// A participant has at most one track of each kind.
const (
	Audio Kind = iota
	Video
	kinds
)

// rate is the RTP clock rate: Opus (RFC 7587) and H.264 (RFC 6184) leave no choice.
func (k Kind) rate() int64 {
	if k == Audio {
		return 48_000
	}
	return 90_000
}

// Bounds of the playout delay, and what it keeps beyond the measured lateness for decoding and for the
// grain of the output (one tick or one audio frame). It may be below the smallest for a moment: see Complete.
const (
	MinDelay = 40 * time.Millisecond
	MaxDelay = 800 * time.Millisecond
	margin   = 30 * time.Millisecond
)

// Shrink is how much the delay falls per second. Sound that never pauses follows by being squeezed, inaudibly
// (audio.Receiver), and must be faster at that than this and the drift of two clocks together.
const Shrink = 5 * time.Millisecond

const (
	// review is how often the delay moves, where packets come that often.
	review = 100 * time.Millisecond
	// tooFarApart is beyond what pacing and encoding can put between two tracks: the reports lie.
	tooFarApart = 500 * time.Millisecond
	// A transit that falls by leapAhead or rises by leapBack says that the sender started a new timeline.
	leapAhead = 2 * time.Second
	leapBack  = 10 * time.Second
	// forgotten is after how long of silence a track no longer has a say in the base of the other one, as after a
	// camera is muted: at a drift of 100 ppm the two are 6 ms apart by then.
	forgotten = time.Minute
	// patience is for how long the transit may be beyond the largest delay, where a queue may still shrink. Then the
	// track is mapped anew. Browsers count samples for the RTP time of sound: it stands still while they have no
	// microphone, and all packets after that are late by the same.
	patience = time.Second
)

// Sync maps the RTP times of one participant to composer time. Safe for any goroutine.
type Sync struct {
	mu       sync.Mutex
	tracks   [kinds]track
	epoch    uint64 // NTP time that counts as zero, from the first report
	late     lateness
	now      time.Duration // when the latest packet came
	delay    time.Duration
	reviewed time.Duration // when the delay last moved
}

type track struct {
	seen    bool
	first   uint32
	last    int64 // unwrapped RTP time of the latest packet, relative to first
	transit minimum
	base    time.Duration // what the window's minimum was when it last had one
	before  time.Duration // transit of the packet before
	heard   time.Duration // when that came
	jitter  time.Duration // of arrival, RFC 3550 section 6.4.1
	// hopeless is since when packets have been later than the delay can ever be; 0 when the last one was not.
	hopeless time.Duration

	reported bool
	ntp      uint64
	rtp      uint32
}

// NewSync starts with the smallest delay and no knowledge.
func NewSync() *Sync { return &Sync{delay: MinDelay} }

// Arrive takes note of a packet and returns its RTP time, unwrapped and relative to the track's first packet.
// now is composer time.
func (s *Sync) Arrive(k Kind, rtp uint32, now time.Duration) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.tracks[k]
	if !t.seen {
		t.seen, t.first = true, rtp
	}
	ts := t.unwrap(rtp)
	transit := now - Ticks(ts, k.rate())
	t.remap(transit, now)
	_, known := t.transit.least(now)
	if t.transit.any {
		t.jitter += ((transit - t.before).Abs() - t.jitter) / 16
	}
	was := [kinds]time.Duration{s.offset(Audio), s.offset(Video)}
	t.last, t.before, t.heard, s.now = ts, transit, now, now
	t.transit.add(now, transit)
	for i := range s.tracks { // all at once: where one network brings them they rise together
		if base, ok := s.tracks[i].transit.least(now); ok {
			s.tracks[i].base = base
		}
	}
	if known {
		s.risen(was, now)
	}
	return ts
}

// remap forgets what the base comes from when that is of no use for packets of such a transit.
func (t *track) remap(transit, now time.Duration) {
	switch rise := transit - t.base; {
	case !t.transit.any:
		return
	case rise < -leapAhead || rise > leapBack:
		t.reported = false
	case rise <= MaxDelay:
		t.hopeless = 0
		return
	case t.hopeless == 0:
		t.hopeless = now
		return
	case now-t.hopeless < patience:
		return
	}
	// With patience lost the report stays: a queue does not change what it says, and if the RTP time has stood still
	// since, it puts the tracks too far apart to count.
	t.transit, t.jitter, t.hopeless = minimum{}, 0, 0
}

// risen takes out of the delay what the offsets have risen by since they were was: media that have been late against the
// old ones, and made the delay grow, are not late against the new ones. What is due stays where it was.
func (s *Sync) risen(was [kinds]time.Duration, now time.Duration) {
	most := time.Duration(0)
	for k := range kinds {
		if rise := s.offset(k) - was[k]; rise > 0 {
			s.late.lower(k, rise)
			most = max(most, rise)
		}
	}
	if most > 0 {
		s.delay = min(s.delay, max(s.need(now), s.delay-most))
	}
}

// need is the delay that covers how late things have been lately.
func (s *Sync) need(now time.Duration) time.Duration {
	return min(s.late.worst(now)+margin, MaxDelay)
}

func (t *track) unwrap(rtp uint32) int64 {
	return t.last + int64(int32(rtp-t.first-uint32(t.last)))
}

// Report takes a sender report: at the sender's wall clock ntp (RFC 3550 64-bit format) the track was at rtp.
func (s *Sync) Report(k Kind, ntp uint64, rtp uint32) {
	if ntp == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == 0 {
		s.epoch = ntp
	}
	t := &s.tracks[k]
	t.reported, t.ntp, t.rtp = true, ntp, rtp
}

// Complete takes note that everything up to RTP time ts (as Arrive returned it) was there at now:
// the playout delay must cover how late that was.
func (s *Sync) Complete(k Kind, ts int64, now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := now - Ticks(ts, k.rate()) - s.offset(k)
	if late > leapAhead || s.tracks[k].hopeless > 0 {
		return
	}
	s.late.add(k, now, late)
	if need := s.need(now); need > s.delay {
		s.delay, s.reviewed = need, now
	} else if passed := now - s.reviewed; passed >= review {
		// In small steps, so that the sound that follows is never far behind. Back up to the smallest too, from
		// where a rise has left the delay: those few milliseconds are not urgent.
		step := Shrink * min(passed, time.Second) / time.Second
		s.delay += min(max(max(need, MinDelay)-s.delay, -step), step)
		s.reviewed = now
	}
}

// Due is when to present what has RTP time ts, in composer time. It may move a little as knowledge grows.
func (s *Sync) Due(k Kind, ts int64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Ticks(ts, k.rate()) + s.offset(k) + s.delay
}

// Delay is the current playout delay.
func (s *Sync) Delay() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.delay
}

// Jitter is the interarrival jitter of the track that has more of it (RFC 3550 section 6.4.1).
func (s *Sync) Jitter() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.tracks[Audio].jitter, s.tracks[Video].jitter)
}

// offset is what to add to a track's RTP time to get the earliest possible arrival of media captured then.
func (s *Sync) offset(k Kind) time.Duration {
	t := &s.tracks[k]
	if !t.reported {
		return t.base
	}
	own := s.sinceReport(k)
	best := t.base - own
	for other := range kinds {
		o := &s.tracks[other]
		if other == k || !o.seen || s.now-o.heard > forgotten {
			continue
		}
		if !o.reported {
			return t.base
		}
		theirs := o.base - s.sinceReport(other)
		if d := theirs - best; d > tooFarApart || d < -tooFarApart {
			return t.base
		}
		best = min(best, theirs)
	}
	return own + best
}

// sinceReport is the sender's wall clock at RTP time zero of the track.
func (s *Sync) sinceReport(k Kind) time.Duration {
	t := &s.tracks[k]
	return ntpDuration(t.ntp-s.epoch) - Ticks(t.unwrap(t.rtp), k.rate())
}

// ntpDuration converts a difference of two NTP times (32.32 fixed point, two's complement).
func ntpDuration(d uint64) time.Duration {
	seconds := int64(int32(d >> 32))
	return time.Duration(seconds)*time.Second + time.Duration((d&0xffffffff)*uint64(time.Second)>>32)
}
