package capture

import "time"

const (
	// leastShift is a difference of sound and picture, in samples, that is not worth a step in the sound; more than
	// maxShift is no correction but another clock.
	leastShift = 15 * soundRate / 1000
	maxShift   = soundRate / 2
	// leap is by how much the transit of two packets differs when the sender has begun another timeline.
	leap = 5 * time.Second
	// window is how long a transit counts for the least one.
	window = 10 * time.Second
	// farApart is beyond what encoding and pacing can put between two tracks: the reports lie.
	farApart = 2 * time.Second
)

// pulse is the clock of one track.
type pulse struct {
	rate   int64 // ticks in a second
	seen   bool
	first  uint32           // RTP time of the first packet
	newest int64            // RTP time since the first packet
	began  time.Duration    // when the first packet came
	before time.Duration    // transit of the packet before: its arrival less its time
	least  [2]time.Duration // transit of this window and of the one before: clocks drift
	turned time.Duration    // when this window began

	reported bool
	ntp      uint64 // the sender's wall clock
	at       int64  // and its RTP time then, since the first packet
}

// arrive takes note of a packet and returns its time since the first one. leapt says that it cannot be of the same
// timeline.
func (p *pulse) arrive(rtp uint32, now time.Duration) (ts int64, leapt bool) {
	if !p.seen {
		p.seen, p.first, p.began, p.before, p.turned = true, rtp, now, now, now
		p.least = [2]time.Duration{now, now}
	}
	ts = p.unwrap(rtp)
	transit := now - p.duration(ts)
	if (transit - p.before).Abs() > leap {
		return 0, true
	}
	if now-p.turned > window {
		p.turned, p.least = now, [2]time.Duration{transit, p.least[0]}
	}
	p.newest, p.before, p.least[0] = ts, transit, min(p.least[0], transit)
	return ts, false
}

// fastest is the transit of the packets that nothing delayed.
func (p *pulse) fastest() time.Duration { return min(p.least[0], p.least[1]) }

func (p *pulse) unwrap(rtp uint32) int64 {
	return p.newest + int64(int32(rtp-p.first-uint32(p.newest)))
}

func (p *pulse) duration(ticks int64) time.Duration {
	return time.Duration(ticks/p.rate)*time.Second + time.Duration(ticks%p.rate)*time.Second/time.Duration(p.rate)
}

func (p *pulse) ticks(d time.Duration) int64 {
	return int64(d/time.Second)*p.rate + int64(d%time.Second)*p.rate/int64(time.Second)
}

// offset is what makes a time of the track's one of the recording's, in ticks, if nothing else is known.
func (p *pulse) offset() int64 { return p.ticks(p.began) }

// report takes a sender report.
func (p *pulse) report(ntp uint64, rtp uint32) {
	if p.seen {
		p.reported, p.ntp, p.at = true, ntp, p.unwrap(rtp)
	}
}

// shiftOf is what makes a time of sound one of the recording's, in samples.
func shiftOf(video, audio *pulse) int64 {
	if !video.seen || !audio.seen {
		return audio.offset()
	}
	// When the first packet of each was captured, on a clock of both.
	apart := audio.fastest() - video.fastest()
	if video.reported && audio.reported {
		// The difference of two NTP times is a signed number of 2^-32 s.
		d := int64(audio.ntp - video.ntp)
		told := time.Duration(d>>32)*time.Second + time.Duration((d&0xffffffff)*int64(time.Second)>>32)
		told += video.duration(video.at) - audio.duration(audio.at)
		if (told - apart).Abs() <= farApart {
			apart = told
		}
	}
	return audio.ticks(video.began + apart)
}
