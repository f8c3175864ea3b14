package stage

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// Packets that wait for one subscriber: about 0.6 s of video at 8.5 Mbit/s, 1.3 s of Opus.
// Who is further behind is better served by the next key frame.
const (
	videoQueue = 512
	audioQueue = 64
)

// rtpWriter sends one RTP packet to a subscriber. It may block.
type rtpWriter interface {
	WriteRTP(header *rtp.Header, payload []byte) (int, error)
}

// sink sends one track to one subscriber: of its layers the one that it is aimed at, from the next key frame on.
// The sources queue packets (push); the lane takes and sends them (turn); the goroutine that reads the subscriber's RTCP
// answers NACKs (feedback); the track's decides for layers (aimAt). The queue and what belongs to the choice of layers
// are under the mutex, everything else belongs to the goroutine named.
type sink struct {
	track       *track
	video       bool
	counters    *counters
	writer      rtpWriter
	send        func([]rtcp.Packet) error // RTCP to the subscriber
	ssrc        uint32
	payloadType uint8
	rtxSSRC     uint32 // 0: retransmissions go out as plain copies
	rtxType     uint8
	shows       *atomic.Uint64     // the size that the subscriber shows, see subscriber.show; nil for none
	bandwidth   *bandwidth         // nil where it is not estimated
	extension   uint8              // id of the header extension that numbers packets for it
	probes      func(rate float64) // has a probe of the bandwidth run
	log         *slog.Logger

	lane *lane // sends; set when the sink is attached

	mu       sync.Mutex
	listed   bool     // the lane knows that there is something to send
	queue    []queued // ring; grows up to limit
	limit    int
	head     int
	queued   int
	skipping bool // video: everything is dropped until a key frame
	asked    bool // a key frame was asked for since skipping began
	dropped  uint64
	report   bool // the layer has a report that was not passed on
	reported      // the reports that were
	choice

	// of the lane
	header       rtp.Header
	sent, octets uint32
	logged       time.Time
	loggedDrops  uint64

	repairs // of feedback
}

// queued is a packet as the subscriber is to get it.
type queued struct {
	*packet
	sequence uint16
	time     uint32
}

func newSink(t *track, writer rtpWriter, send func([]rtcp.Packet) error, log *slog.Logger) *sink {
	src := t.layers()[0]
	length := audioQueue
	if src.video {
		length = videoQueue
	}
	return &sink{
		limit: length,
		track: t, video: src.video, counters: src.counters, writer: writer, send: send, log: log,
		// The first report that there is goes out behind the first packet.
		report: true,
	}
}

// push takes a packet of one of the layers and never blocks. The source calls it, holding its lock. When the queue is
// full, video skips to the next key frame and audio loses its oldest packet.
func (k *sink) push(src *source, p *packet, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.approach(src, p, now) {
		return
	}
	g := k.find(src, p.index)
	if g == nil {
		return // of a layer that is not sent, or from before the subscriber began
	}
	full := k.queued == k.limit
	if k.skipping {
		if !p.key || full || g != k.current() {
			k.drop()
			return
		}
		k.skipping, g.first = false, p.index
	}
	k.enqueue(g, p)
}

// enqueue queues a packet of a segment.
func (k *sink) enqueue(g *segment, p *packet) {
	if k.queued == k.limit {
		k.drop()
		if k.video {
			k.skipping, k.asked = true, false
			return
		}
		k.pop().release()
	}
	if k.queued == len(k.queue) {
		k.grow()
	}
	time := g.time(p.index, p.time)
	g.sent(p, time)
	p.retain()
	k.queue[(k.head+k.queued)%len(k.queue)] = queued{p, uint16(p.index + g.shift), time}
	k.queued++
	k.list()
}

// list tells the lane that there is something to send. The caller holds the lock.
func (k *sink) list() {
	if !k.listed {
		k.listed = true
		k.lane.add(k)
	}
}

// grow makes the queue larger: most never hold more than a picture, and there may be thousands.
func (k *sink) grow() {
	larger := make([]queued, min(max(2*len(k.queue), 16), k.limit))
	n := copy(larger, k.queue[k.head:])
	copy(larger[n:], k.queue[:k.head])
	k.queue, k.head = larger, 0
}

func (k *sink) drop() {
	k.dropped++
	k.counters.packetsDropped.Add(1)
}

func (k *sink) pop() queued {
	p := k.queue[k.head]
	k.queue[k.head] = queued{}
	k.head = (k.head + 1) % len(k.queue)
	k.queued--
	return p
}

// reportChanged has the lane pass a layer's new sender report on, if it is the layer that is sent.
func (k *sink) reportChanged(src *source) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if g := k.current(); g == nil || g.source == src {
		k.report = true
		k.list()
	}
}

// run attaches the sink to its track and sends what is queued, on a lane of its own, until ctx ends. It is for writers
// that block for long.
func (k *sink) run(ctx context.Context) {
	l := newLane()
	k.attach(l)
	defer k.detach()
	l.run(ctx)
}

// attach has the track feed the sink from now on, and the lane send.
func (k *sink) attach(l *lane) {
	k.lane = l
	k.track.attach(k)
}

// detach ends what attach began. What is queued is not sent.
func (k *sink) detach() {
	k.track.detach(k)
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.queued > 0 {
		k.pop().release()
	}
}

// turn sends what is queued, as much as there is room for. It returns how much that was and whether there is more. The
// lane calls it.
func (k *sink) turn(room []queued) (n int, more bool) {
	n, more, report, dropped := k.take(room)
	var sent, octets uint64
	for i, p := range room[:n] {
		if k.write(p) == nil {
			sent++
			octets += uint64(len(p.payload))
		}
		p.release()
		room[i] = queued{}
	}
	k.sent += uint32(sent)
	k.octets += uint32(octets)
	k.counters.packetsSent.Add(sent)
	k.counters.bytesSent.Add(octets)
	if report != nil {
		report.PacketCount, report.OctetCount = k.sent, k.octets
		k.mu.Lock()
		k.reported.add(report, time.Now())
		k.mu.Unlock()
		// The error needs no handling: the connection's end is told by its state.
		_ = k.send([]rtcp.Packet{report})
	}
	k.logDrops(dropped)
	return n, more
}

// take moves queued packets to where there is room. The report is to be sent behind them; nil when none is due.
func (k *sink) take(room []queued) (n int, more bool, report *rtcp.SenderReport, dropped uint64) {
	k.mu.Lock()
	for n < len(room) && k.queued > 0 {
		room[n] = k.pop()
		n++
	}
	more = k.queued > 0
	k.listed = more
	// Asking only once the queue is empty keeps a subscriber that takes nothing at all from
	// costing the publisher key frames.
	ask := !more && k.skipping && !k.asked
	if ask {
		k.asked = true
	}
	if k.report && k.sent+uint32(n) > 0 {
		if report = k.senderReport(); report != nil {
			k.report = false
		}
	}
	dropped = k.dropped
	k.mu.Unlock()
	if ask {
		k.requestKeyFrame()
	}
	return n, more, report, dropped
}

func (k *sink) write(p queued) error {
	k.header = k.headerOf(p)
	if k.bandwidth != nil {
		number(&k.header, k.extension, k.bandwidth.sent(len(p.payload), time.Now()))
	}
	_, err := k.writer.WriteRTP(&k.header, p.payload)
	return err
}

func (k *sink) headerOf(p queued) rtp.Header {
	return rtp.Header{
		Version: 2, Marker: p.marker, PayloadType: k.payloadType, SSRC: k.ssrc,
		SequenceNumber: p.sequence, Timestamp: p.time,
		Padding: p.padding > 0, PaddingSize: p.padding,
	}
}

// number puts a transport-wide sequence number into a header.
func number(h *rtp.Header, id uint8, sequence uint16) {
	_ = h.SetExtension(id, []byte{byte(sequence >> 8), byte(sequence)}) // fails for ids only that cannot be negotiated
}

// senderReport is the newest sender report of the layer that is sent as the subscriber is to get it: the pair of NTP and
// RTP time moved onto its timeline (RFC 3550 section 6.4.1), without the counts. nil when there is none yet. The
// caller holds the lock.
func (k *sink) senderReport() *rtcp.SenderReport {
	g := k.current()
	if g == nil {
		return nil
	}
	r := g.source.clock().report
	if r == nil {
		return nil
	}
	return &rtcp.SenderReport{SSRC: k.ssrc, NTPTime: r.NTPTime, RTPTime: r.RTPTime + g.offset}
}

func (k *sink) logDrops(dropped uint64) {
	if dropped == k.loggedDrops {
		return
	}
	if now := time.Now(); now.Sub(k.logged) >= time.Second {
		k.log.Warn("subscriber is too slow", "video", k.video, "dropped", dropped-k.loggedDrops)
		k.logged, k.loggedDrops = now, dropped
	}
}
