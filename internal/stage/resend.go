package stage

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
)

const (
	// maxResends bounds the retransmissions to one subscriber in a second, so that NACKs cannot be used
	// to make the server send much more than it receives.
	maxResends = 1000
	// The same packet is sent again only when the one before can have arrived: subscribers that do not know how long the
	// way is ask too often. Without a receiver report the way is taken for short.
	shortestPause, longestPause = 20 * time.Millisecond, 300 * time.Millisecond
)

// repairs is a sink's part in retransmission. It belongs to the goroutine that reads the subscriber's RTCP, but for what
// resending guards.
type repairs struct {
	resending   sync.Mutex
	rtxSequence uint16

	resends     int // since resendsFrom
	resendsFrom time.Time
	trip        time.Duration // to the subscriber and back, 0 when unknown
	past        []resent      // by the sequence number's low bits; made with the first
}

// resent is when a packet was last sent again.
type resent struct {
	sequence uint16
	at       time.Time
}

// pause is how long a packet is not sent again.
func (r *repairs) pause() time.Duration {
	return min(max(r.trip, shortestPause), longestPause)
}

// recent tells whether the packet was sent again just now, and if not takes note that it is.
func (r *repairs) recent(sequence uint16, now time.Time) bool {
	if r.past == nil {
		r.past = make([]resent, 256)
	}
	a := &r.past[int(sequence)%len(r.past)]
	if a.sequence == sequence && !a.at.IsZero() && now.Sub(a.at) < r.pause() {
		return true
	}
	*a = resent{sequence, now}
	return false
}

// reported is the newest sender reports to a subscriber and when they were sent. The sink's mutex guards it.
type reported [4]struct {
	ntp uint32 // the middle of the NTP time, which receivers quote
	at  time.Time
}

func (r *reported) add(report *rtcp.SenderReport, now time.Time) {
	copy(r[1:], r[:])
	r[0].ntp, r[0].at = uint32(report.NTPTime>>16), now
}

// trip is the round trip that a reception report tells of (RFC 3550 section 6.4.1). ok is false when it quotes no
// report of ours.
func (r *reported) trip(report rtcp.ReceptionReport, now time.Time) (trip time.Duration, ok bool) {
	if report.LastSenderReport == 0 {
		return 0, false
	}
	for _, ours := range r {
		if ours.ntp == report.LastSenderReport && !ours.at.IsZero() {
			held := time.Duration(report.Delay) * time.Second / 65536
			return max(now.Sub(ours.at)-held, 0), true
		}
	}
	return 0, false
}

// feedback answers the subscriber's RTCP. One goroutine calls it, the one that reads.
func (k *sink) feedback(pkts []rtcp.Packet, now time.Time) {
	for _, pkt := range pkts {
		switch pkt := pkt.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			k.counters.keyFramesRequested.Add(1)
			k.requestKeyFrame()
		case *rtcp.ReceiverReport:
			k.received(pkt.Reports, now)
		case *rtcp.SenderReport: // of a client that sends too
			k.received(pkt.Reports, now)
		case *rtcp.TransportLayerNack:
			if pkt.MediaSSRC != k.ssrc {
				continue
			}
			for i := range pkt.Nacks {
				pkt.Nacks[i].Range(func(sequence uint16) bool {
					k.counters.nacksReceived.Add(1)
					return k.resend(sequence, now)
				})
			}
		}
	}
}

// received learns the round trip from reception reports.
func (k *sink) received(reports []rtcp.ReceptionReport, now time.Time) {
	for _, report := range reports {
		if report.SSRC != k.ssrc {
			continue
		}
		k.mu.Lock()
		trip, ok := k.reported.trip(report, now)
		k.mu.Unlock()
		if ok {
			k.repairs.trip = trip
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
	p, ok := k.lookup(sequence)
	if !ok {
		return true // too old, or dropped on purpose, which stays dropped
	}
	defer p.release()
	if k.recent(sequence, now) {
		return true
	}
	k.resends++
	if k.again(p) == nil {
		k.counters.packetsResent.Add(1)
	}
	return true
}

// again sends a packet that was sent before.
func (k *sink) again(p queued) error {
	k.resending.Lock()
	defer k.resending.Unlock()
	header, payload := k.headerOf(p), p.payload
	if k.rtxSSRC != 0 {
		header.SSRC, header.PayloadType, header.SequenceNumber = k.rtxSSRC, k.rtxType, k.rtxSequence
		header.Padding, header.PaddingSize = false, 0
		k.rtxSequence++
		room := newPacket()
		defer room.release()
		room.buf[0], room.buf[1] = byte(p.sequence>>8), byte(p.sequence)
		payload = room.buf[:2+copy(room.buf[2:], p.payload)]
	}
	if k.bandwidth != nil {
		number(&header, k.extension, k.bandwidth.sent(len(payload), time.Now()))
	}
	_, err := k.writer.WriteRTP(&header, payload)
	return err
}

// lookup finds the packet that the subscriber got under this sequence number; the caller then holds it.
func (k *sink) lookup(sequence uint16) (queued, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.skipping {
		return queued{}, false
	}
	g, index := k.origin(sequence)
	if g == nil {
		return queued{}, false
	}
	p := g.source.history.get(index)
	if p == nil {
		return queued{}, false
	}
	return queued{p, sequence, g.time(index, p.time)}, true
}
