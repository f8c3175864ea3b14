package main

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Lossy is what a subscriber sees over a bad network.
type Lossy struct {
	Loss      float64 `json:"loss"`
	RoundTrip float64 `json:"roundTripMilliseconds"`
	Sent      float64 `json:"framesPerSecondSent"`
	Whole     float64 `json:"framesPerSecondWhole"` // with all packets, within 600 ms
	Chain     float64 `json:"framesPerSecondShown"` // whole, and all before them since a key frame too
}

// badPort loses and delays datagrams, both ways.
type badPort struct {
	*port
	loss  float64
	delay time.Duration
	in    chan datagram
}

func (b *badPort) WriteTo(p []byte, to net.Addr) (int, error) {
	if rand.Float64() < b.loss {
		return len(p), nil
	}
	c := append([]byte(nil), p...)
	time.AfterFunc(b.delay, func() { _, _ = b.port.WriteTo(c, to) })
	return len(p), nil
}

func (b *badPort) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case d := <-b.in:
		return copy(p, d.data), d.from, nil
	case <-b.closed:
		return 0, nil, net.ErrClosed
	}
}

// carry moves what arrives to the reader, late or never.
func (b *badPort) carry() {
	for {
		select {
		case d := <-b.port.in:
			if rand.Float64() < b.loss {
				continue
			}
			time.AfterFunc(b.delay, func() {
				select {
				case b.in <- d:
				default:
				}
			})
		case <-b.closed:
			return
		}
	}
}

func lossy(loss float64, trip time.Duration, length time.Duration) (*Lossy, error) {
	f := &footlight{}
	h, err := open(f)
	if err != nil {
		return nil, err
	}
	defer h.close()
	at, err := h.poller.listen(true)
	if err != nil {
		return nil, err
	}
	bad := &badPort{port: at, loss: loss, delay: trip / 2, in: make(chan datagram, 4096)}
	go bad.carry()
	frames := newFrames()
	p, err := newPeerWith(at, bad, func(media *webrtc.MediaEngine, registry *interceptor.Registry) error {
		err := media.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: 103, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: "apt=102"}}, webrtc.RTPCodecTypeVideo)
		if err != nil {
			return err
		}
		reports, err := report.NewReceiverInterceptor()
		if err != nil {
			return err
		}
		registry.Add(reports)
		return nil
	})
	if err != nil {
		return nil, err
	}
	defer p.close()
	p.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		go func() {
			for p.pc.ConnectionState() != webrtc.PeerConnectionStateClosed {
				time.Sleep(10 * time.Millisecond)
				if ask := frames.missing(time.Now(), trip); ask != nil {
					_ = p.pc.WriteRTCP([]rtcp.Packet{&rtcp.TransportLayerNack{
						MediaSSRC: uint32(track.SSRC()), Nacks: rtcp.NackPairsFromSequenceNumbers(ask),
					}})
				}
			}
		}()
		for {
			pkt, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			frames.add(pkt, time.Now())
		}
	})
	if err := f.watch(p, "bench.lossy.s"); err != nil {
		return nil, err
	}
	time.Sleep(3 * time.Second)
	frames.reset()
	sent := h.camera.frames.Load()
	time.Sleep(length)
	out := frames.judge(length)
	out.Loss, out.RoundTrip = loss, float64(trip.Milliseconds())
	out.Sent = float64(h.camera.frames.Load()-sent) / length.Seconds()
	return &out, nil
}

// frames is what arrived, by sequence number that does not wrap around.
type frames struct {
	mu      sync.Mutex
	highest int64
	first   int64
	packets map[int64]arrived
	asked   map[int64]asked
}

// asked is a missing packet that was asked for.
type asked struct {
	last  time.Time
	tries int
}

// missing is what to ask for: as browsers do, at once, and again after a round trip, ten times at most.
func (f *frames) missing(now time.Time, trip time.Duration) (ask []uint16) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := max(f.highest-400, f.first); i < f.highest; i++ {
		if _, ok := f.packets[i]; ok {
			continue
		}
		if a := f.asked[i]; a.tries < 10 && now.Sub(a.last) >= trip {
			f.asked[i] = asked{now, a.tries + 1}
			ask = append(ask, uint16(i))
		}
	}
	return ask
}

type arrived struct {
	at          time.Time
	time        uint32
	marker, key bool
}

func newFrames() *frames {
	return &frames{packets: make(map[int64]arrived), asked: make(map[int64]asked)}
}

func (f *frames) add(p *rtp.Packet, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.highest == 0 {
		f.highest = 1<<16 + int64(p.SequenceNumber)
		f.first = f.highest
	}
	index := f.highest + int64(int16(p.SequenceNumber-uint16(f.highest)))
	f.highest = max(f.highest, index)
	if _, ok := f.packets[index]; !ok {
		f.packets[index] = arrived{now, p.Timestamp, p.Marker, len(p.Payload) > 0 && p.Payload[0]&0x1f == 24}
	}
}

func (f *frames) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.packets)
	f.first = f.highest + 1
}

// judge counts the frames of which everything came in time, and those that a decoder could show.
func (f *frames) judge(length time.Duration) Lossy {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := f.highest
	for i := range f.packets {
		first = min(first, i)
	}
	whole, shown := 0, 0
	complete, chain, key := true, false, false
	var from time.Time
	for i := first; i <= f.highest; i++ {
		p, ok := f.packets[i]
		if !ok {
			complete = false
			continue
		}
		if from.IsZero() || p.at.Before(from) {
			from = p.at
		}
		key = key || p.key
		complete = complete && p.at.Sub(from) < playout
		if !p.marker {
			continue
		}
		if key {
			chain = true
		}
		chain = chain && complete
		if complete {
			whole++
		}
		if chain {
			shown++
		}
		complete, key, from = true, false, time.Time{}
	}
	return Lossy{Whole: float64(whole) / length.Seconds(), Chain: float64(shown) / length.Seconds()}
}

// playout is for how long a frame may wait for its packets: what a browser's jitter buffer grows to on such a path.
const playout = 600 * time.Millisecond
