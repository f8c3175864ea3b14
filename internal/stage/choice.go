package stage

import "time"

const (
	// maxSegments is how far back a subscriber's numbers can be traced: layers change at key frames, which come
	// at most every 500 ms, and sources keep packets for about a second.
	maxSegments = 4
	// maxHalf is how long a change of layers waits for the end of a picture that was sent in part.
	maxHalf = 100 * time.Millisecond
	// maxHead is how many packets can lie before the first slice of a key frame: parameter sets and messages.
	maxHead = 16
)

// choice is a sink's part in simulcast: which layer is sent, which one is to be, and how the layers that were sent
// make up one stream. The sink's mutex guards it.
//
// A change of layers happens at a key frame of the new one, between two pictures of the old one. Packets of the old
// one that come after it, because they were late or had to be sent again, keep the numbers that were left for them.
type choice struct {
	segments []segment // oldest first; the last one is open
	aim      *source   // the layer to be sent; nil while none flows

	// A key frame of the aim has begun.
	found     bool
	start     int64  // index of its first packet
	startTime uint32 // its timestamp
	since     time.Time
	held      bool // pictures of the present layer were held back since
}

// current is the segment that is being sent, nil before the first.
func (c *choice) current() *segment {
	if len(c.segments) == 0 {
		return nil
	}
	return &c.segments[len(c.segments)-1]
}

// find returns the segment that a layer's packet belongs to, or nil.
func (c *choice) find(src *source, index int64) *segment {
	for i := len(c.segments) - 1; i >= 0; i-- {
		if g := &c.segments[i]; g.holds(src, index, i == len(c.segments)-1) {
			return g
		}
	}
	return nil
}

// origin returns where the packet came from that the subscriber got under this sequence number.
func (c *choice) origin(sequence uint16) (*segment, int64) {
	g := c.current()
	if g == nil {
		return nil, 0
	}
	newest := g.last + g.shift
	index := newest + int64(int16(sequence-uint16(newest)))
	for i := len(c.segments) - 1; i >= 0; i-- {
		if g := &c.segments[i]; g.holds(g.source, index-g.shift, false) {
			return g, index - g.shift
		}
	}
	return nil, 0
}

// wants tells whether the sink waits for a key frame of this source.
func (k *sink) wants(src *source) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.current()
	return k.aim == src && (g == nil || g.source != src)
}

// sends is the layer that the subscriber gets, nil before the first.
func (k *sink) sends() *source {
	k.mu.Lock()
	defer k.mu.Unlock()
	if g := k.current(); g != nil {
		return g.source
	}
	return nil
}

// shown is the size that the subscriber shows; zero when it did not say.
func (k *sink) shown() size {
	if k.shows == nil {
		return size{}
	}
	v := k.shows.Load()
	return size{width: int(v >> 32), height: int(v & 0xffffffff)}
}

// aimAt has the sink change to a layer at its next key frame, which is asked for, again with every call until it
// comes. So is one that the sink skips to, once it has asked itself. A sink that sends nothing yet begins where it can.
// nil leaves everything as it is.
func (k *sink) aimAt(src *source) {
	if src == nil {
		return
	}
	k.mu.Lock()
	if k.aim != src {
		k.abandon()
		k.aim = src
	}
	g := k.current()
	begins := g == nil
	waits := (begins || g.source != src) && !k.found || k.skipping && k.asked
	k.mu.Unlock()
	if begins {
		src.catchUp(k)
	}
	if waits {
		src.requestKeyFrame()
	}
}

// abandon gives up a change that has begun. Where pictures were held back for it, the present layer goes on at its next
// key frame.
func (k *sink) abandon() {
	if k.held {
		k.skipping, k.asked = true, false
		k.list()
	}
	k.found, k.held = false, false
}

// requestKeyFrame asks for a key frame of the layer that is sent, or of the one that is to be.
func (k *sink) requestKeyFrame() {
	k.mu.Lock()
	src := k.aim
	if g := k.current(); g != nil {
		src = g.source
	}
	k.mu.Unlock()
	if src != nil {
		src.requestKeyFrame()
	}
}

// approach looks whether a packet begins, completes or stands back for a change of layers. It reports true when
// the packet needs nothing more.
func (k *sink) approach(src *source, p *packet, now time.Time) bool {
	g := k.current()
	switch {
	case k.aim == nil || g != nil && g.source == k.aim:
		return false // nothing is to change
	case src == k.aim:
		k.search(src, p, now)
		if !k.found || g != nil && !g.whole && !k.skipping && now.Sub(k.since) < maxHalf {
			// Of an earlier stretch of this layer there may still be packets on their way.
			return k.find(src, p.index) == nil
		}
		k.change(src)
		return true
	case g != nil && k.found && src == g.source && g.whole && p.index > g.last:
		// A new picture of the old layer would only be in the way. A new layer that comes to nothing must not
		// stop the old one.
		if now.Sub(k.since) < maxHalf {
			k.held = true
			return true
		}
		k.abandon()
	}
	return false
}

// search looks for the beginning of a key frame of the aim, at this packet or before it.
func (k *sink) search(src *source, p *packet, now time.Time) {
	if !k.video {
		k.found, k.start, k.startTime, k.since = true, p.index, p.time, now
		return
	}
	if !p.key || k.found && (p.time == k.startTime || p.index < k.start) {
		return
	}
	start, ok := p.index, true
	if !p.parameters {
		start, ok = headOf(src, p)
	}
	if !ok && len(k.track.layers()) == 1 {
		start, ok = p.index, true // there is nothing better to wait for
	}
	if ok {
		k.found, k.start, k.startTime, k.since = true, start, p.time, now
	}
}

// headOf finds the first packet of the picture whose first slice p is. It reports false while packets are missing before
// it: parameter sets may be among them, without which the slice is taken for one of the old size.
func headOf(src *source, p *packet) (start int64, ok bool) {
	for i := p.index - 1; i >= p.index-maxHead; i-- {
		q := src.history.get(i)
		if q == nil {
			return 0, false
		}
		same := q.time == p.time
		q.release()
		if !same {
			return i + 1, true
		}
	}
	return 0, false
}

// change goes on with the layer from the key frame that was found. The caller is the layer's source and holds its lock,
// so that what has arrived since then is in its history and nothing comes in between.
func (k *sink) change(src *source) {
	var g segment
	if old := k.current(); old == nil {
		g = startSegment(src, k.start, k.startTime)
	} else {
		g = old.follow(src, k.start, k.startTime, old.offset+align(old.source.clock(), src.clock()))
	}
	if len(k.segments) == maxSegments {
		k.segments = append(k.segments[:0], k.segments[1:]...)
	}
	k.segments = append(k.segments, g)
	k.found, k.held, k.skipping = false, false, false
	k.report = true
	for i := k.start; i <= src.highest; i++ {
		if p := src.history.get(i); p != nil {
			if !k.skipping {
				k.enqueue(k.current(), p)
			}
			p.release()
		}
	}
}
