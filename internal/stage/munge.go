package stage

import (
	"time"

	"github.com/pion/rtcp"
)

const (
	videoClock = 90000 // ticks in a second
	// apart is how far pictures stay from each other where a layer comes in later than the one before it: 1 ms.
	apart = videoClock / 1000
	// catchUp is by how much faster than real time such pictures follow each other.
	catchUp = 16
	// catchUpPackets bounds for how long: 4 s at 8.5 Mbit/s, far more than layers can be apart.
	catchUpPackets = 4096
	// maxSkew is the most by which sender reports may differ from what the arrival of packets says; a sender's
	// clock that was set between two reports differs by more.
	maxSkew = 5 * videoClock
)

// segment is a stretch of one layer in the stream that a subscriber gets: how the layer's packets are numbered and
// timed there. A subscriber of a single layer has one for good, in which both are as the publisher sent them.
//
// Indexes are sequence numbers extended beyond 16 bits.
type segment struct {
	source *source
	first  int64  // index of the first packet, in the layer
	last   int64  // index of the newest packet sent
	shift  int64  // the subscriber's index minus the layer's
	offset uint32 // the subscriber's timestamp minus the layer's

	whole  bool   // the newest packet sent ends its picture
	newest uint32 // the highest timestamp sent, the subscriber's

	// Pictures that would come before or with what the subscriber has already got are pressed together behind it:
	// floor is the least timestamp of the first one, whose own is begin, for packets below the index floorEnd.
	begin, floor uint32
	floorEnd     int64
}

// startSegment begins a subscriber's stream: everything stays as it is.
func startSegment(src *source, index int64, time uint32) segment {
	return segment{source: src, first: index, last: index - 1, whole: true, newest: time}
}

// follow is the segment of another layer (or of the same one, later) behind g: numbers go on without a gap and
// timestamps on the same timeline, which is behind the layer's by offset. index and time are of the packet that it begins with.
func (g *segment) follow(src *source, index int64, time, offset uint32) segment {
	return segment{
		source: src, first: index, last: index - 1, shift: g.last + g.shift + 1 - index, offset: offset,
		whole: true, newest: g.newest, begin: time, floor: g.newest + apart, floorEnd: index + catchUpPackets,
	}
}

// holds tells whether a packet of the layer belongs to the segment. An open segment has no end yet.
func (g *segment) holds(src *source, index int64, open bool) bool {
	return g.source == src && index >= g.first && (open || index <= g.last)
}

// time is the subscriber's timestamp for a packet of the layer.
func (g *segment) time(index int64, time uint32) uint32 {
	at := time + g.offset
	if index < g.floorEnd {
		if least := g.floor + uint32(int32(time-g.begin)/catchUp); int32(at-least) < 0 {
			return least
		}
	}
	return at
}

// sent takes note of a packet of the segment that goes to the subscriber.
func (g *segment) sent(p *packet, time uint32) {
	if p.index > g.last {
		g.last, g.whole = p.index, p.marker
	}
	if int32(time-g.newest) > 0 {
		g.newest = time
	}
}

// timing is what is known of a layer's clock.
type timing struct {
	report  *rtcp.SenderReport // the newest, nil before the first
	arrived time.Time          // when the newest picture began to arrive
	time    uint32             // its timestamp
}

// align returns what must be added to timestamps of the layer "to" so that they continue those of the layer "from". Sender
// reports say it exactly (RFC 3550 section 6.4.1); while one is missing, or when they contradict what arrives,
// arrival says it.
func align(from, to timing) uint32 {
	arrival := from.time - to.time + uint32(int64(to.arrived.Sub(from.arrived))*(videoClock/1000)/int64(time.Millisecond))
	if from.report == nil || to.report == nil {
		return arrival
	}
	reports := from.report.RTPTime - to.report.RTPTime + ntpTicks(to.report.NTPTime-from.report.NTPTime)
	if off := int32(reports - arrival); off > maxSkew || off < -maxSkew {
		return arrival
	}
	return reports
}

// ntpTicks converts a difference of NTP times, which may be negative, to ticks of video.
func ntpTicks(d uint64) uint32 {
	seconds, fraction := int64(d)>>32, int64(d&0xffffffff)
	return uint32(seconds*videoClock + (fraction*videoClock+1<<31)>>32)
}
