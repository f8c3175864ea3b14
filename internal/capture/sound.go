package capture

import "time"

// Opus, whatever was encoded, counts 48000 samples a second and is decoded to two channels (RFC 7587 section 4).
const (
	soundRate     = 48000
	soundChannels = 2
)

// opusSamples is the length of an Opus packet in samples (RFC 6716 section 3.1); 0: it is none.
func opusSamples(p []byte) int64 {
	if len(p) == 0 {
		return 0
	}
	var one int64
	switch config := p[0] >> 3; {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		one = [4]int64{480, 960, 1920, 2880}[config&3]
	case config < 16: // both: 10, 20 ms
		one = [2]int64{480, 960}[config&1]
	default: // CELT: 2.5, 5, 10, 20 ms
		one = 120 << (config & 3)
	}
	n := int64(1)
	switch p[0] & 3 {
	case 1, 2:
		n = 2
	case 3:
		if len(p) < 2 {
			return 0
		}
		n = int64(p[1] & 0x3f)
	}
	if one*n > 5760 { // 120 ms
		return 0
	}
	return one * n
}

// packet is one packet of sound; at is its time since the first one, in samples.
type packet struct {
	sequence uint16
	at       int64
	samples  int64
	data     []byte
	arrival  time.Duration
}

// reorder puts packets of sound into their order. It waits for missing ones up to soundWait. Its zero value is ready.
type reorder struct {
	next    uint16
	started bool
	waiting []packet // in order
}

// mostSounds bounds what may wait: a second.
const mostSounds = 50

func (r *reorder) push(p packet) {
	if !r.started {
		r.started, r.next = true, p.sequence
	}
	if int16(p.sequence-r.next) < 0 && len(r.waiting) == 0 && int16(p.sequence-r.next) < -mostSounds {
		r.next = p.sequence // the sender restarted its numbers
	}
	if int16(p.sequence-r.next) < 0 {
		return // too late, or twice
	}
	i := len(r.waiting)
	for i > 0 && int16(r.waiting[i-1].sequence-p.sequence) > 0 {
		i--
	}
	if i > 0 && r.waiting[i-1].sequence == p.sequence {
		return
	}
	r.waiting = append(r.waiting, packet{})
	copy(r.waiting[i+1:], r.waiting[i:])
	r.waiting[i] = p
}

// pop returns the next packet that is due.
func (r *reorder) pop(now time.Duration) (packet, bool) {
	if len(r.waiting) == 0 {
		return packet{}, false
	}
	p := r.waiting[0]
	if p.sequence != r.next && now-p.arrival < soundWait && len(r.waiting) < mostSounds {
		return packet{}, false
	}
	r.waiting = r.waiting[1:]
	r.next = p.sequence + 1
	return p, true
}
