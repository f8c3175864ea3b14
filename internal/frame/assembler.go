// Package frame makes H.264 access units out of RTP packets that come late, twice, in disorder or never.
//
// Guarantees: access units come out in order and complete, the first one with a key frame, and after a loss
// that nobody repaired in time the next one is a key frame again; no packet, however hostile, makes it keep
// more than a fixed number of packets or bytes. It keeps no clock and starts no goroutine: callers say what
// time it is.
//
// Access units are told apart by timestamp and marker. Parameter sets that a sender puts into packets of
// their own, with whatever marker or timestamp, go with the next picture. A sender that sets the marker on
// every slice of a picture is noticed, and from then on only the timestamp counts.
package frame

import "time"

const (
	// window is how many packets are kept: 8.5 Mbit/s for about 1.4 s, far more than the playout delay.
	window = 1024
	// maxUnit is more than any encoder makes of one 1080p picture.
	maxUnit = 4 << 20
)

// Packet is one RTP packet, without its padding. Timestamp does not wrap around, Arrival is on any clock that only goes
// forward. The assembler keeps Payload.
type Packet struct {
	Sequence  uint16
	Timestamp int64
	Marker    bool
	Payload   []byte
	Arrival   time.Duration
}

// AccessUnit is one coded picture in Annex B form, parameter sets included where the sender sent any.
type AccessUnit struct {
	Data      []byte
	Timestamp int64
	Key       bool
	Complete  time.Duration // when its last packet came
}

// Assembler is owned by one goroutine. Its zero value is ready.
type Assembler struct {
	// Wait is how long to wait for a missing packet before giving up what depends on it.
	Wait time.Duration
	// Overdue is how long to wait while a whole key frame is there to go on with.
	Overdue time.Duration

	slots   [window]slot
	started bool
	next    int64 // sequence number (unwrapped) of the first packet not yet consumed
	newest  int64
	synced  bool // the decoder can take the next access unit; else only a key frame

	params []byte // parameter sets waiting for their picture
	lastTS int64  // of the last access unit with slices that was closed by its marker
	closed bool   // lastTS is valid
	byTime bool   // markers mean nothing: a timestamp ends an access unit

	lost uint64
}

type slot struct {
	used bool
	seq  int64
	Packet
}

// Lost counts the packets that never came in time.
func (a *Assembler) Lost() uint64 { return a.lost }

// NeedKey tells that nothing will come out until a key frame does.
func (a *Assembler) NeedKey() bool { return !a.synced }

// Reset forgets what was assembled so far, for example because the decoder fell behind.
// What comes next starts with a key frame.
func (a *Assembler) Reset() {
	a.synced, a.closed, a.params = false, false, nil
}

// Push takes a packet.
func (a *Assembler) Push(p Packet) {
	if !a.started {
		a.started = true
		a.next, a.newest = int64(p.Sequence), int64(p.Sequence)-1
	}
	seq := a.newest + int64(int16(p.Sequence-uint16(a.newest)))
	switch {
	case seq < a.next-window || seq >= a.next+window:
		// The sender restarted its numbers, or everything in between is lost.
		a.slots = [window]slot{}
		a.next, a.newest = seq, seq
		a.Reset()
	case seq < a.next:
		return
	}
	s := &a.slots[seq&(window-1)]
	if s.used && s.seq == seq {
		return
	}
	*s = slot{used: true, seq: seq, Packet: p}
	a.newest = max(a.newest, seq)
}

func (a *Assembler) at(seq int64) *slot {
	s := &a.slots[seq&(window-1)]
	if !s.used || s.seq != seq {
		return nil
	}
	return s
}

// Pop returns the next access unit that is ready at now, if there is one.
func (a *Assembler) Pop(now time.Duration) (AccessUnit, bool) {
	for a.started {
		end, ok := a.complete(a.next)
		if !ok {
			if !a.giveUp(now) {
				return AccessUnit{}, false
			}
			continue
		}
		if au, ok := a.take(end); ok {
			return au, true
		}
	}
	return AccessUnit{}, false
}

// Deadline is when Pop can do more than now without any new packet.
func (a *Assembler) Deadline() (time.Duration, bool) {
	after, missing := a.gap()
	if !missing {
		return 0, false
	}
	if _, ok := a.keyBehind(after.seq); ok && a.Overdue < a.Wait {
		return after.Arrival + a.Overdue, true
	}
	return after.Arrival + a.Wait, true
}

// Missing is for how long a packet has been missing at now, since a later one came; 0 when none is.
func (a *Assembler) Missing(now time.Duration) time.Duration {
	after, missing := a.gap()
	if !missing {
		return 0
	}
	return max(0, now-after.Arrival)
}

// complete looks for the end of the access unit that starts at seq; the end is the number after its last packet.
func (a *Assembler) complete(seq int64) (end int64, ok bool) {
	var ts int64
	var begun bool
	for ; seq <= a.newest; seq++ {
		s := a.at(seq)
		if s == nil {
			return 0, false
		}
		if len(s.Payload) == 0 { // padding belongs to nobody
			continue
		}
		if begun && s.Timestamp != ts {
			return seq, true
		}
		begun, ts = true, s.Timestamp
		if s.Marker && !a.byTime {
			return seq + 1, true
		}
	}
	return 0, false
}

// take consumes the packets up to end. It returns no access unit where they hold no picture that can be decoded.
func (a *Assembler) take(end int64) (AccessUnit, bool) {
	var u unit
	var au AccessUnit
	for ; a.next < end; a.next++ {
		s := a.at(a.next)
		if len(s.Payload) > 0 && len(u.data) < maxUnit {
			u.add(s.Payload)
			au.Timestamp = s.Timestamp
			au.Complete = max(au.Complete, s.Arrival)
		}
		*s = slot{}
	}
	u.closeFU()
	if len(u.data) == 0 && !u.broken {
		return AccessUnit{}, false
	}
	if u.broken || len(u.data) >= maxUnit {
		a.Reset()
		return AccessUnit{}, false
	}
	if !u.slices {
		// Parameter sets alone. Repeated ones replace each other in the decoder, so only a flood is cut.
		if len(a.params) > 64<<10 {
			a.params = nil
		}
		a.params = append(a.params, u.data...)
		return AccessUnit{}, false
	}
	if a.closed && !a.byTime && au.Timestamp == a.lastTS {
		// A second part of a picture that its marker had ended: markers mean slices here.
		a.byTime = true
		a.Reset()
		return AccessUnit{}, false
	}
	a.lastTS, a.closed = au.Timestamp, true
	au.Key = u.idr
	if !a.synced && !au.Key {
		a.params = nil
		return AccessUnit{}, false
	}
	a.synced = true
	au.Data = u.data
	if len(a.params) > 0 {
		au.Data = append(a.params, u.data...)
		a.params = nil
	}
	return au, true
}

// gap finds the first missing packet from next on, by the packet that came after it.
func (a *Assembler) gap() (after *slot, missing bool) {
	for seq := a.next; seq <= a.newest; seq++ {
		if s := a.at(seq); s == nil {
			missing = true
		} else if missing {
			return s, true
		}
	}
	return nil, false
}

// keyBehind finds the first whole key frame that begins at seq or later, by its first packet. One whose
// beginning cannot be told from the middle of another picture is not found.
func (a *Assembler) keyBehind(seq int64) (first int64, ok bool) {
	for ; seq <= a.newest; seq++ {
		s := a.at(seq)
		if s == nil || !startsUnit(s.Payload) {
			continue
		}
		end, whole := a.complete(seq)
		if !whole {
			continue
		}
		for i := seq; i < end; i++ {
			if hasIDR(a.at(i).Payload) {
				return seq, true
			}
		}
	}
	return 0, false
}

// drop forgets the packets up to seq and counts those that never came.
func (a *Assembler) drop(seq int64) {
	for ; a.next < seq; a.next++ {
		if s := a.at(a.next); s != nil {
			*s = slot{}
		} else {
			a.lost++
		}
	}
}

// giveUp skips to the next place where decoding can start again, when the missing packet is overdue.
// It tells whether it changed anything.
func (a *Assembler) giveUp(now time.Duration) bool {
	after, missing := a.gap()
	if !missing || now < after.Arrival+min(a.Wait, a.Overdue) {
		return false
	}
	if key, ok := a.keyBehind(after.seq); ok {
		a.Reset()
		a.drop(key)
		return true
	}
	if now < after.Arrival+a.Wait {
		return false
	}
	// Drop what the loss touched: everything up to the first packet after it that starts an access unit.
	// What is dropped behind may be a key frame in part; the next whole one brings the picture back.
	a.Reset()
	a.drop(after.seq)
	ts := after.Timestamp
	for a.next <= a.newest {
		s := a.at(a.next)
		if s == nil {
			return true // a second gap: its turn comes
		}
		if startsUnit(s.Payload) || (len(s.Payload) > 0 && s.Timestamp != ts) {
			return true
		}
		marker := s.Marker
		*s = slot{}
		a.next++
		if marker && !a.byTime {
			return true
		}
	}
	return true
}
