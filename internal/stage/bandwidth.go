package stage

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
)

// How a subscriber's bandwidth is estimated. The numbers follow what browsers do towards servers (RFC 8698 and
// draft-ietf-rmcat-gcc-02), but for two: a loss that comes without a queue is not taken for congestion before it is
// as high as lossMax, so that a bad radio link keeps its picture, and the queue is measured by what it is, not by its slope.
const (
	startRate = 300_000 // bits per second, before anything is known
	leastRate = 50_000
	// A queue that stands this long in the network is one that we have made; below calm the estimate may grow.
	queueMax   = 100 * time.Millisecond
	queueCalm  = 40 * time.Millisecond
	lossMax    = 0.2
	lossMemory = 200                    // packets over which loss is smoothed
	backDown   = 0.85                   // of what arrives, when congested
	settling   = 400 * time.Millisecond // until a decrease shows
	growth     = 0.08                   // of itself in a second, while it is used
	// The shortest way is the least seen in one or two of these.
	baseWindow = 10 * time.Second
	// maxFlights is how many packets are remembered until feedback comes: over a second at 4 Mbit/s.
	maxFlights = 512
	overhead   = 50 // bytes of a packet around its payload
)

// bandwidth estimates what the connection of a subscriber carries, from its transport-wide feedback (transport-cc,
// draft-holmer-rmcat-transport-wide-cc-extensions-01). Several goroutines send and one brings feedback: the mutex
// orders them.
type bandwidth struct {
	mu       sync.Mutex
	start    time.Time
	sequence uint16 // of the next packet
	flights  [maxFlights]flight

	rate     float64 // the estimate, bits per second
	reported bool    // feedback has come
	queue    float64 // time that packets stand in the network's queue, smoothed, seconds
	loss     float64 // smoothed
	lowered  time.Time
	updated  time.Time

	// Arrivals are on the subscriber's clock, in microseconds from its first report.
	reference uint32   // of the newest feedback, 24 bits
	arrivals  int64    // what reference is
	base      [2]int64 // least difference between arrival and sending, in this window and the one before
	baseFrom  time.Time
	acked     [10]struct{ slot, bytes int64 } // by tenth of a second of arrival
	ackedTo   int64                           // the newest slot

	probing
}

// flight is a packet that was sent.
type flight struct {
	sent     time.Duration // since start
	sequence uint16
	size     uint16 // bytes
	open     bool   // feedback has not told of it
}

func newBandwidth(now time.Time) *bandwidth {
	return &bandwidth{start: now, rate: startRate, updated: now, probing: probing{pause: firstPause}}
}

// sent numbers a packet with so many bytes of payload.
func (b *bandwidth) sent(payload int, now time.Time) uint16 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.sequence
	b.sequence++
	b.flights[n%maxFlights] = flight{now.Sub(b.start), n, uint16(payload + overhead), true}
	return n
}

// estimate is what the connection carries, in bits per second.
func (b *bandwidth) estimate() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.rate)
}

// feedback learns from a report.
func (b *bandwidth) feedback(report *rtcp.TransportLayerCC, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.reported {
		b.reported, b.reference, b.baseFrom = true, report.ReferenceTime, now
		b.base = [2]int64{1<<62 - 1, 1<<62 - 1}
	}
	// The reference has 24 bits of 64 ms and wraps around.
	b.arrivals += int64(int32((report.ReferenceTime-b.reference)<<8)>>8) * 64_000
	b.reference = report.ReferenceTime
	if now.Sub(b.baseFrom) > baseWindow {
		b.base, b.baseFrom = [2]int64{1<<62 - 1, b.base[0]}, now
	}
	least := int64(1<<62 - 1) // queue of this report's luckiest packet
	arrival, deltas := b.arrivals, report.RecvDeltas
	sequence := report.BaseSequenceNumber
	each(report, func(received bool) {
		f := &b.flights[sequence%maxFlights]
		known := f.open && f.sequence == sequence
		sequence++
		if received {
			if len(deltas) == 0 {
				return // the report contradicts itself
			}
			arrival += deltas[0].Delta
			deltas = deltas[1:]
		}
		if !known {
			return
		}
		b.loss += (lost(received) - b.loss) / lossMemory
		if !received {
			return // it may still come, in a later report
		}
		f.open = false
		delay := arrival - f.sent.Microseconds()
		b.base[0] = min(b.base[0], delay)
		least = min(least, delay-min(b.base[0], b.base[1]))
		b.arrived(arrival, int64(f.size))
		b.probed(*f, arrival, now)
	})
	if least < 1<<62-1 {
		b.queue += (float64(least)/1e6 - b.queue) / 3
	}
	b.update(now)
}

func lost(received bool) float64 {
	if received {
		return 0
	}
	return 1
}

// each walks over the packets that a report tells of.
func each(report *rtcp.TransportLayerCC, tell func(received bool)) {
	left := int(report.PacketStatusCount)
	status := func(s uint16) {
		if left > 0 {
			left--
			tell(s == rtcp.TypeTCCPacketReceivedSmallDelta || s == rtcp.TypeTCCPacketReceivedLargeDelta)
		}
	}
	for _, chunk := range report.PacketChunks {
		switch c := chunk.(type) {
		case *rtcp.RunLengthChunk:
			for range min(int(c.RunLength), left) {
				status(c.PacketStatusSymbol)
			}
		case *rtcp.StatusVectorChunk:
			for _, s := range c.SymbolList {
				status(s)
			}
		}
	}
}

// arrived counts bytes by the time of their arrival.
func (b *bandwidth) arrived(at, bytes int64) {
	slot := at / 100_000
	a := &b.acked[uint64(slot)%uint64(len(b.acked))]
	if a.slot != slot {
		a.slot, a.bytes = slot, 0
	}
	a.bytes += bytes
	b.ackedTo = max(b.ackedTo, slot)
}

// throughput is what arrived in the newest second, in bits per second.
func (b *bandwidth) throughput() float64 {
	sum := int64(0)
	for _, a := range b.acked {
		if a.slot > b.ackedTo-int64(len(b.acked)) {
			sum += a.bytes
		}
	}
	return float64(8 * sum)
}

// update moves the estimate after a report.
func (b *bandwidth) update(now time.Time) {
	elapsed := min(now.Sub(b.updated).Seconds(), 1)
	b.updated = now
	arrives := b.throughput()
	switch {
	case b.queue > queueMax.Seconds() || b.loss > lossMax:
		if now.Sub(b.lowered) < settling {
			return
		}
		b.lowered = now
		if lower := max(backDown*arrives, leastRate); lower < b.rate {
			b.rate = lower
			b.failed(now)
		}
	case b.queue < queueCalm.Seconds():
		// It may not grow far beyond what was tried.
		if grown := b.rate * (1 + growth*elapsed); grown < 1.5*arrives {
			b.rate = grown
		}
	}
}
