package audio

import (
	"time"

	"github.com/footlight-live/footlight/internal/composer/clock"
)

// Decoder is an Opus decoder; see av.OpusDecoder. n and the results count samples per channel.
type Decoder interface {
	Decode(packet []byte, pcm []float32) (int, error)
	DecodeLost(pcm []float32, n int) (int, error)
	DecodeFEC(packet []byte, pcm []float32, n int) (int, error)
}

const (
	// maxPacket is the longest Opus packet, 120 ms (RFC 6716).
	maxPacket = 5760
	// window is how many packets may wait for one that is missing: all that clock.MaxDelay holds of 2.5 ms, the shortest.
	window = 512
	// conceal is up to how much lost sound is made up, 100 ms; beyond it nothing sensible can be.
	conceal = 4800
	// slack is how long before a lost packet is due it is given up: one packet of 20 ms and some.
	slack = 25 * time.Millisecond
	// lead is how long before it is due the next sound must be there; else what is there dies away.
	lead = 10 * time.Millisecond
	// ending is how long it takes to do so, 20 ms.
	ending = 960
	// jump is how far sound may be from its place before it is moved there at once, 20 ms; below that it is
	// stretched or squeezed by at most 1/160, which nobody hears: 6 ms per second, more than clock.Shrink and the
	// drift of clocks. From far on, 5 ms, it is twice that for a second or two: a place that has leapt, as when a faster packet
	// comes, must not be followed for long. Quiet sound is moved at once from quietJump on, 2 ms: there nobody hears that.
	jump       = 960
	quietJump  = 96
	quiet      = 0.005
	maxStretch = 160
	far        = 240
	// seam is up to how far apart, 5 ms, the end of a packet and the RTP time of the next one are no gap: senders count
	// time in milliseconds or by a clock of their own. The stretch takes it away.
	seam = 240
)

// Receiver decodes the packets of one track in order and puts them in their place on a Timeline.
// It tells DTX (the sender paused: silence) from loss (concealed). One goroutine owns it.
type Receiver struct {
	Decoder  Decoder
	Timeline *Timeline
	Due      func(ts int64) time.Duration // see clock.Sync.Due

	started bool
	next    int64 // sequence number (unwrapped) of the next packet to decode
	newest  int64
	slots   [window]slot

	nextTS int64 // RTP time after the last sample decoded
	wrote  bool
	ended  bool    // died away behind what was written last
	pos    int64   // position after the last sample written, but for that
	drift  float64 // smoothed distance of what was written from its place, samples

	pcm     [2 * maxPacket]float32
	stretch [2 * (maxPacket + 2*(maxPacket/maxStretch+1))]float32

	lost, decoded uint64
}

type slot struct {
	used    bool
	seq     int64
	ts      int64
	payload []byte
}

// Lost counts the packets that were not there in time, or could not be decoded.
func (r *Receiver) Lost() uint64 { return r.lost }

// Decoded counts the packets that were decoded.
func (r *Receiver) Decoded() uint64 { return r.decoded }

// Push takes a packet: ts is its RTP time as clock.Sync.Arrive returned it. It keeps payload.
func (r *Receiver) Push(seq uint16, ts int64, payload []byte) {
	if len(payload) == 0 {
		// Padding. Its number must not count as lost; a slot without payload is skipped.
		payload = nil
	}
	if !r.started {
		r.started = true
		r.next, r.newest = int64(seq), int64(seq)-1
	}
	n := r.newest + int64(int16(seq-uint16(r.newest)))
	switch {
	case n < r.next-1024 || n >= r.next+window:
		r.slots = [window]slot{}
		r.next, r.newest, r.wrote = n, n, false
	case n < r.next:
		return // there twice, or counted as lost
	}
	s := &r.slots[n&(window-1)]
	if s.used && s.seq == n {
		return
	}
	*s = slot{used: true, seq: n, ts: ts, payload: payload}
	r.newest = max(r.newest, n)
}

// Run decodes what can be decoded at now. It returns when to call again at the latest, if there is a need.
func (r *Receiver) Run(now time.Duration) (again time.Duration, waiting bool) {
	for r.started && r.next <= r.newest {
		if s := r.at(r.next); s != nil {
			r.next++
			r.decode(s.ts, s.payload)
			*s = slot{}
			continue
		}
		after := r.next + 1
		for r.at(after) == nil {
			after++
		}
		if r.wrote {
			// Nothing is due later than clock.MaxDelay from now, but by a timeline that the sender has left.
			if limit := r.Due(r.nextTS) - slack; now < limit && limit < now+clock.MaxDelay {
				return limit, true
			}
		}
		r.cover(after-r.next, r.at(after))
		r.lost += uint64(after - r.next)
		r.next = after
	}
	if !r.wrote || r.ended {
		return 0, false
	}
	if limit := r.Due(r.nextTS) - lead; now < limit {
		return limit, true
	}
	r.End()
	return 0, false
}

// End lets what was written last die away, as the decoder makes it up: the sender pauses, has left, or its
// packets are late. Sound that still comes goes on where that began.
func (r *Receiver) End() {
	if !r.wrote || r.ended {
		return
	}
	r.ended = true
	n, err := r.Decoder.DecodeLost(r.pcm[:], ending)
	if err != nil {
		return // then it ends with the Timeline's own fade
	}
	for i := range n {
		g := slope[fade-i*fade/n]
		r.pcm[2*i] *= g
		r.pcm[2*i+1] *= g
	}
	r.Timeline.Write(r.pos, r.pcm[:2*n])
}

func (r *Receiver) at(seq int64) *slot {
	s := &r.slots[seq&(window-1)]
	if !s.used || s.seq != seq {
		return nil
	}
	return s
}

func (r *Receiver) decode(ts int64, payload []byte) {
	if len(payload) == 0 {
		return
	}
	n, err := r.Decoder.Decode(payload, r.pcm[:])
	if err != nil || n == 0 {
		r.lost++
		return
	}
	r.decoded++
	r.write(ts, n)
}

// cover makes up for missing packets before s: in-band FEC for the last one, concealment for those before it, as
// long as that sounds like something; in the middle of a long loss there is silence.
func (r *Receiver) cover(missing int64, s *slot) {
	gap := s.ts - r.nextTS
	each := (gap/missing + 60) / 120 * 120 // packets are whole units of 2.5 ms
	if off := gap - each*missing; !r.wrote || each <= 0 || each > maxPacket || off >= seam || off <= -seam || len(s.payload) == 0 {
		return
	}
	first := r.nextTS
	for i := range missing {
		ts := first + i*each
		switch {
		case i == missing-1:
			if n, err := r.Decoder.DecodeFEC(s.payload, r.pcm[:], int(each)); err == nil && n > 0 {
				r.write(ts, n)
			}
		case (i+1)*each <= conceal:
			if n, err := r.Decoder.DecodeLost(r.pcm[:], int(each)); err == nil && n > 0 {
				r.write(ts, n)
			}
		}
	}
}

// write puts n decoded samples in their place: right after the ones before when they continue them, with a
// stretch that takes the distance from the true place away, else where the clock says.
func (r *Receiver) write(ts int64, n int) {
	place := clock.Samples(r.Due(ts), Rate)
	pcm := r.pcm[:2*n]
	apart := ts - r.nextTS
	continues := r.wrote && apart < seam && apart > -seam
	if continues {
		off := place - r.pos // positive: the sound is ahead of its place
		if off > jump || off < -jump || (off > quietJump || off < -quietJump) && loudest(pcm) < quiet {
			continues = false
		} else {
			r.drift += (float64(off) - r.drift) / 8
			if d := int(r.drift); d >= 48 || d <= -48 { // a millisecond: below that nobody gains
				most := (n + maxStretch - 1) / maxStretch
				if d > far || d < -far {
					most *= 2
				}
				k := min(max(d, -most), most)
				pcm = resample(r.stretch[:0], pcm, n+k)
			}
		}
	}
	if !continues {
		r.pos, r.drift = place, 0
	}
	r.Timeline.Write(r.pos, pcm)
	r.pos += int64(len(pcm) / 2)
	r.nextTS, r.wrote, r.ended = ts+int64(n), true, false
}

func loudest(pcm []float32) (peak float32) {
	for _, v := range pcm {
		if a := abs(v); a > peak { // unlike max, no care for what is not a number
			peak = a
		}
	}
	return peak
}

// resample appends pcm, stretched to n samples per channel, to dst. Linear interpolation: at 1/160 the
// loss of treble is far below hearing.
func resample(dst, pcm []float32, n int) []float32 {
	have := len(pcm) / 2
	step := float64(have-1) / float64(max(n-1, 1))
	for i := range n {
		x := float64(i) * step
		j := min(int(x), have-1)
		k := min(j+1, have-1)
		f := float32(x - float64(j))
		dst = append(dst, pcm[2*j]+(pcm[2*k]-pcm[2*j])*f, pcm[2*j+1]+(pcm[2*k+1]-pcm[2*j+1])*f)
	}
	return dst
}
