package stage

import (
	"context"
	"log/slog"
	"sync"
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

// maxResends bounds the retransmissions to one subscriber in a second, so that NACKs cannot be used
// to make the server send much more than it receives.
const maxResends = 1000

// rtpWriter sends one RTP packet to a subscriber. It may block.
type rtpWriter interface {
	WriteRTP(header *rtp.Header, payload []byte) (int, error)
}

// sink sends one source to one subscriber. The source queues packets (push); the sink's own goroutine
// (run) takes and sends them; the goroutine that reads the subscriber's RTCP answers NACKs (resend).
// The queue is under the mutex, everything else belongs to the goroutine named.
type sink struct {
	source      *source
	writer      rtpWriter
	send        func([]rtcp.Packet) error // RTCP to the subscriber
	ssrc        uint32
	payloadType uint8
	rtxSSRC     uint32 // 0: retransmissions go out as plain copies
	rtxType     uint8
	log         *slog.Logger

	wake chan struct{} // something is queued, or there is a new report

	mu       sync.Mutex
	queue    []*packet // ring
	head     int
	queued   int
	skipping bool  // video: everything is dropped until a key frame
	fresh    bool  // skipping because nothing was sent yet
	asked    bool  // a key frame was asked for since skipping began
	from     int64 // packets with a lower index are not for this subscriber
	dropped  uint64
	report   bool // the source has a report that was not passed on

	// of run
	header       rtp.Header
	sent, octets uint32
	logged       time.Time
	loggedDrops  uint64

	// of resend
	rtxSequence uint16
	rtxPayload  [maxPacket + 2]byte
	resends     int
	resendsFrom time.Time
}

func newSink(src *source, writer rtpWriter, send func([]rtcp.Packet) error, log *slog.Logger) *sink {
	size := audioQueue
	if src.video {
		size = videoQueue
	}
	return &sink{
		source: src, writer: writer, send: send, log: log,
		wake:     make(chan struct{}, 1),
		queue:    make([]*packet, size),
		skipping: src.video, fresh: true,
		// The first report that there is goes out behind the first packet.
		report: true,
	}
}

// push queues the packet and never blocks. When the queue is full, video skips to the next key frame
// and audio loses its oldest packet.
func (k *sink) push(p *packet) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p.index < k.from {
		return // arrived late, from before the subscriber began
	}
	full := k.queued == len(k.queue)
	switch {
	case k.skipping && (!p.key || full):
		if !k.fresh {
			k.drop()
		}
		return
	case k.skipping, k.fresh:
		k.skipping, k.fresh, k.from = false, false, p.index
	case full && k.source.video:
		k.skipping, k.asked = true, false
		k.drop()
		return
	case full:
		k.pop().release()
		k.drop()
	}
	p.retain()
	k.queue[(k.head+k.queued)%len(k.queue)] = p
	k.queued++
	signal(k.wake)
}

func (k *sink) drop() {
	k.dropped++
	k.source.counters.packetsDropped.Add(1)
}

func (k *sink) pop() *packet {
	p := k.queue[k.head]
	k.queue[k.head] = nil
	k.head = (k.head + 1) % len(k.queue)
	k.queued--
	return p
}

// reportChanged has run pass the source's new sender report on.
func (k *sink) reportChanged() {
	k.mu.Lock()
	k.report = true
	k.mu.Unlock()
	signal(k.wake)
}

// run attaches the sink to its source and sends what is queued until ctx ends.
func (k *sink) run(ctx context.Context) {
	var batch [32]*packet
	k.source.attach(k)
	defer k.drain()
	defer k.source.detach(k)
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		}
		for {
			n, report, dropped := k.take(batch[:])
			var sent, octets uint64
			for _, p := range batch[:n] {
				if k.write(p) == nil {
					sent++
					octets += uint64(len(p.payload))
				}
				p.release()
			}
			k.sent += uint32(sent)
			k.octets += uint32(octets)
			k.source.counters.packetsSent.Add(sent)
			k.source.counters.bytesSent.Add(octets)
			if report {
				k.sendReport()
			}
			k.logDrops(dropped)
			if n == 0 || ctx.Err() != nil {
				break
			}
		}
	}
}

// take moves queued packets to the batch. report says that a sender report is due.
func (k *sink) take(batch []*packet) (n int, report bool, dropped uint64) {
	k.mu.Lock()
	for n < len(batch) && k.queued > 0 {
		batch[n] = k.pop()
		n++
	}
	// Asking only once the queue is empty keeps a subscriber that takes nothing at all from
	// costing the publisher key frames.
	ask := k.queued == 0 && k.skipping && !k.fresh && !k.asked
	if ask {
		k.asked = true
	}
	report = k.report && k.sent+uint32(n) > 0 && k.source.report.Load() != nil
	if report {
		k.report = false
	}
	dropped = k.dropped
	k.mu.Unlock()
	if ask {
		k.source.requestKeyFrame()
	}
	return n, report, dropped
}

func (k *sink) write(p *packet) error {
	k.header = k.headerOf(p)
	_, err := k.writer.WriteRTP(&k.header, p.payload)
	return err
}

func (k *sink) headerOf(p *packet) rtp.Header {
	return rtp.Header{
		Version: 2, Marker: p.marker, PayloadType: k.payloadType, SSRC: k.ssrc,
		SequenceNumber: p.sequence, Timestamp: p.time,
		Padding: p.padding > 0, PaddingSize: p.padding,
	}
}

// sendReport passes the publisher's newest sender report on: its pair of NTP and RTP time, since the
// timestamps are the publisher's too, with the counts of what this subscriber was sent
// (RFC 3550 section 6.4.1).
func (k *sink) sendReport() {
	r := k.source.report.Load()
	// The error needs no handling: the connection's end is told by its state.
	_ = k.send([]rtcp.Packet{&rtcp.SenderReport{
		SSRC: k.ssrc, NTPTime: r.NTPTime, RTPTime: r.RTPTime,
		PacketCount: k.sent, OctetCount: k.octets,
	}})
}

func (k *sink) logDrops(dropped uint64) {
	if dropped == k.loggedDrops {
		return
	}
	if now := time.Now(); now.Sub(k.logged) >= time.Second {
		k.log.Warn("subscriber is too slow", "video", k.source.video, "dropped", dropped-k.loggedDrops)
		k.logged, k.loggedDrops = now, dropped
	}
}

func (k *sink) drain() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.queued > 0 {
		k.pop().release()
	}
}

// feedback answers the subscriber's RTCP. One goroutine calls it, the one that reads.
func (k *sink) feedback(pkts []rtcp.Packet, now time.Time) {
	for _, pkt := range pkts {
		switch pkt := pkt.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			k.source.counters.keyFramesRequested.Add(1)
			k.source.requestKeyFrame()
		case *rtcp.TransportLayerNack:
			if pkt.MediaSSRC != k.ssrc {
				continue
			}
			for i := range pkt.Nacks {
				pkt.Nacks[i].Range(func(sequence uint16) bool {
					k.source.counters.nacksReceived.Add(1)
					return k.resend(sequence, now)
				})
			}
		}
	}
}

// resend sends the packet again, as RTX (RFC 4588) where that was negotiated. It reports false when the
// subscriber has used up its retransmissions.
func (k *sink) resend(sequence uint16, now time.Time) bool {
	if now.Sub(k.resendsFrom) >= time.Second {
		k.resends, k.resendsFrom = 0, now
	}
	if k.resends >= maxResends {
		return false
	}
	p := k.source.history.get(sequence)
	if p == nil {
		return true
	}
	defer p.release()
	k.mu.Lock()
	wanted := !k.skipping && !k.fresh && p.index >= k.from
	k.mu.Unlock()
	if !wanted {
		return true // what was dropped on purpose stays dropped
	}
	k.resends++
	header, payload := k.headerOf(p), p.payload
	if k.rtxSSRC != 0 {
		header.SSRC, header.PayloadType, header.SequenceNumber = k.rtxSSRC, k.rtxType, k.rtxSequence
		header.Padding, header.PaddingSize = false, 0
		k.rtxSequence++
		k.rtxPayload[0], k.rtxPayload[1] = byte(p.sequence>>8), byte(p.sequence)
		payload = k.rtxPayload[:2+copy(k.rtxPayload[2:], p.payload)]
	}
	if _, err := k.writer.WriteRTP(&header, payload); err == nil {
		k.source.counters.packetsResent.Add(1)
	}
	return true
}
