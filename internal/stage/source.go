package stage

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
)

// Packets kept for retransmission: at 8.5 Mbit/s, the most a publisher may send, 1024 packets of video
// are about 1.2 s; 128 packets of Opus are 2.5 s. Both are powers of two.
const (
	videoHistory = 1024
	audioHistory = 128
)

// source is one stream of one publisher, a simulcast layer or all that there is of a kind, and the subscribers'
// sinks that it feeds. The goroutine that reads the stream calls receive (a second one does for
// retransmissions), subscribers attach and detach; the mutex orders them.
type source struct {
	video    bool
	rid      string // of the simulcast layer, "" without simulcast; of a Feed the layer's number
	fed      bool   // of a Feed, which cannot be asked for key frames
	counters *counters
	// send writes RTCP to the publisher; an error means that the publisher is gone.
	send func([]rtcp.Packet) error
	// nack says that the publisher answers NACKs.
	nack bool
	keys *keyFrames // nil for audio

	// changed is called when the first packet came, or pictures of another size; nil when nobody minds.
	changed func()

	ssrc    atomic.Uint32 // of the publisher's stream; 0 before it came
	packets atomic.Uint64
	bytes   atomic.Uint64 // of payload
	bitRate atomic.Uint64 // of payload, over the newest second

	bSlices atomic.Uint64 // since measure has looked

	history *history

	view sync.Mutex // guards timing and size; taken last
	timing
	sizing

	mu      sync.Mutex
	sinks   []*sink
	closed  bool
	started bool
	highest int64 // newest index
	losses  losses
	group   group // of a fed source
}

func newSource(video bool, c *counters, send func([]rtcp.Packet) error) *source {
	s := &source{video: video, counters: c, send: send}
	if !video {
		s.history = newHistory(audioHistory)
		s.losses.hasty = true
		return s
	}
	s.history = newHistory(videoHistory)
	s.keys = newKeyFrames(s.askKeyFrame)
	return s
}

// bind makes the source follow the publisher's track with this SSRC. The first track of a kind counts.
func (s *source) bind(ssrc uint32) bool {
	if !s.ssrc.CompareAndSwap(0, ssrc) {
		return false
	}
	s.mu.Lock()
	waiting := slices.ContainsFunc(s.sinks, func(k *sink) bool { return k.wants(s) })
	s.mu.Unlock()
	if waiting {
		s.requestKeyFrame()
	}
	return true
}

// receive takes a parsed packet of the publisher, keeps it and queues it for every sink.
// The caller keeps its own reference.
func (s *source) receive(p *packet, now time.Time) {
	var sps []byte
	var idr bool
	if s.video {
		sps, idr = startsKeyFrame(p.payload)
		p.key, p.parameters = sps != nil || idr, sps != nil
		if startsB(p.payload) {
			s.bSlices.Add(1)
		}
	}
	s.mu.Lock()
	first := !s.started
	if s.closed || !s.place(p) {
		s.mu.Unlock()
		return
	}
	resized := s.observe(p, sps, idr, first, now)
	repairable := s.losses.arrived(p.index, now)
	var ask []rtcp.NackPair
	if s.nack {
		ask = s.losses.due(now)
	}
	s.history.add(p)
	if s.fed && p.parameters {
		s.group = group{known: true, start: p.index, time: p.time}
	}
	for _, k := range s.sinks {
		k.push(s, p, now)
	}
	s.mu.Unlock()

	s.packets.Add(1)
	s.bytes.Add(uint64(len(p.payload)))
	s.counters.packetsReceived.Add(1)
	s.counters.bytesReceived.Add(uint64(len(p.payload)))
	if (first || resized) && s.changed != nil {
		s.changed()
	}
	if s.video && p.key {
		s.keys.arrived()
	}
	if s.video && !repairable {
		s.requestKeyFrame()
	}
	if ask != nil {
		for _, pair := range ask {
			s.counters.nacksSent.Add(uint64(len(pair.PacketList())))
		}
		// The error needs no handling: the connection's end is told by its state.
		_ = s.send([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: s.ssrc.Load(), Nacks: ask}})
	}
}

// place extends the packet's sequence number to an index that does not wrap around.
// It reports false for duplicates and for packets too old to matter.
func (s *source) place(p *packet) bool {
	if !s.started {
		s.started = true
		// Leave room for packets that were sent before the first one that arrived.
		s.highest = int64(p.sequence) + 1<<16
		p.index = s.highest
		return true
	}
	p.index = s.highest + int64(int16(p.sequence-uint16(s.highest)))
	if p.index <= s.highest-int64(len(s.history.ring)) || s.history.has(p.index) {
		return false
	}
	s.highest = max(s.highest, p.index)
	return true
}

// sizing is how large the pictures are. A parameter set counts only together with a key frame of its picture, in whichever
// order the two come: garbage has one of them now and then.
type sizing struct {
	size   size // zero before the first key frame
	said   size // by the newest parameter set
	saidAt uint32
	idr    bool   // there was a key frame
	idrAt  uint32 // the newest one's time
}

// see takes a parameter set, if sps is one, and the start of an IDR picture, if idr says that there is one, of an RTP time. It
// reports whether pictures are of another size from now on.
func (z *sizing) see(sps []byte, idr bool, time uint32) (resized bool) {
	if is, ok := pictureSize(sps); ok {
		z.said, z.saidAt = is, time
	}
	if idr {
		z.idr, z.idrAt = true, time
	}
	if !z.idr || z.said == (size{}) || z.saidAt != z.idrAt || z.said == z.size {
		return false
	}
	z.size = z.said
	return true
}

// observe keeps when the newest picture came and how large the pictures are. It reports whether they are
// of another size from this packet on.
func (s *source) observe(p *packet, sps []byte, idr, first bool, now time.Time) (resized bool) {
	newer := first || p.index == s.highest && p.time != s.timing.time
	if !newer && !p.key {
		return false
	}
	s.view.Lock()
	defer s.view.Unlock()
	if newer {
		s.timing.time, s.timing.arrived = p.time, now
	}
	return p.key && s.see(sps, idr, p.time)
}

// clock returns what is known of the stream's timing.
func (s *source) clock() timing {
	s.view.Lock()
	defer s.view.Unlock()
	return s.timing
}

// pictures returns how large they are; zero before the first key frame.
func (s *source) pictures() size {
	s.view.Lock()
	defer s.view.Unlock()
	return s.size
}

// setReport takes the publisher's sender report and has every sink pass it on.
func (s *source) setReport(r *rtcp.SenderReport) {
	s.view.Lock()
	s.timing.report = r
	s.view.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.sinks {
		k.reportChanged(s)
	}
}

// attach feeds the sink from now on.
func (s *source) attach(k *sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.sinks = append(s.sinks, k)
}

// detach ends what attach began. The sink gets nothing after it returns.
func (s *source) detach(k *sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sinks = slices.DeleteFunc(s.sinks, func(other *sink) bool { return other == k })
}

// requestKeyFrame asks the arbiter for a key frame. For audio it does nothing.
func (s *source) requestKeyFrame() {
	if s.keys != nil {
		s.keys.request()
	}
}

// askKeyFrame sends one picture loss indication to the publisher.
func (s *source) askKeyFrame() bool {
	ssrc := s.ssrc.Load()
	if ssrc == 0 {
		return false
	}
	if s.send([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: ssrc}}) != nil {
		return false
	}
	s.counters.plisSent.Add(1)
	return true
}

// close lets go of all sinks and packets. Nothing is received after it.
func (s *source) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.sinks = nil
	s.history.clear()
}
