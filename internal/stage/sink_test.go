package stage

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// wire is a subscriber's connection that records what is written. While its token is taken, writing blocks.
type wire struct {
	mu      sync.Mutex
	token   chan struct{}
	headers []rtp.Header
	payload []byte // of the last one
	reports []*rtcp.SenderReport
}

func newWire() *wire { return &wire{token: make(chan struct{}, 1)} }

func (w *wire) hold() { w.token <- struct{}{} }
func (w *wire) free() { <-w.token }

func (w *wire) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	w.hold()
	defer w.free()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.headers, w.payload = append(w.headers, *h), append(w.payload[:0], payload...)
	return len(payload), nil
}

func (w *wire) writeRTCP(pkts []rtcp.Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range pkts {
		w.reports = append(w.reports, p.(*rtcp.SenderReport))
	}
	return nil
}

func (w *wire) sequences() []uint16 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []uint16
	for _, h := range w.headers {
		out = append(out, h.SequenceNumber)
	}
	return out
}

// upstream is the publisher's side of a source: it counts the key frames asked for.
type upstream struct {
	mu    sync.Mutex
	plis  int
	nacks []uint16
}

func (u *upstream) send(pkts []rtcp.Packet) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, p := range pkts {
		switch p := p.(type) {
		case *rtcp.PictureLossIndication:
			u.plis++
		case *rtcp.TransportLayerNack:
			for _, n := range p.Nacks {
				u.nacks = append(u.nacks, n.PacketList()...)
			}
		}
	}
	return nil
}

func (u *upstream) asked() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.plis
}

// feed gives the source a packet.
func feed(s *source, seq uint16, payload []byte) {
	p := newPacket()
	defer p.release()
	raw, err := (&rtp.Packet{
		Header:  rtp.Header{Version: 2, Marker: true, SequenceNumber: seq, Timestamp: uint32(seq) * 3000},
		Payload: payload,
	}).Marshal()
	if err != nil {
		panic(err)
	}
	if err := p.parse(copy(p.buf[:], raw)); err != nil {
		panic(err)
	}
	s.receive(p, time.Now())
}

// newTestSource is a source whose publisher is the upstream. The test runs in a synctest bubble.
func newTestSource(t *testing.T, video bool) (*source, *upstream) {
	up := &upstream{}
	src := newSource(video, new(counters), up.send)
	src.bind(1)
	if video {
		go src.keys.run(t.Context())
	}
	t.Cleanup(src.close)
	return src, up
}

func (s *source) testSink(ctx context.Context) (*sink, *wire) {
	w := newWire()
	k := newSink(newTrack(s), w, w.writeRTCP, testLog())
	k.ssrc, k.payloadType = 42, 100
	go k.run(ctx)
	return k, w
}

// TestSlowSubscriber holds one subscriber's wire: it skips to the next key frame, the others notice nothing.
func TestSlowSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, up := newTestSource(t, true)
		slow, slowWire := src.testSink(t.Context())
		_, fastWire := src.testSink(t.Context())
		synctest.Wait()
		if up.asked() != 1 {
			t.Errorf("new subscribers asked for %d key frames, want 1 for both", up.asked())
		}
		feed(src, 0, deltaPayload(0)) // nobody can use it
		feed(src, 1, keyPayload(1))
		synctest.Wait()

		slowWire.hold()
		const n = 3 * videoQueue
		for seq := range uint16(n) {
			feed(src, 2+seq, deltaPayload(seq))
			synctest.Wait()
		}
		if got := fastWire.sequences(); len(got) != n+1 || got[0] != 1 || !slices.IsSorted(got) {
			t.Errorf("the fast subscriber has %d packets, want %d", len(got), n+1)
		}
		if len(slowWire.sequences()) != 1 {
			t.Error("the slow subscriber's wire was not held")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		before := up.asked()

		// Once it moves again it asks for a key frame and starts there.
		slowWire.free()
		synctest.Wait()
		if up.asked() != before+1 {
			t.Errorf("asked for %d key frames, want 1", up.asked()-before)
		}
		feed(src, n+2, deltaPayload(0))
		feed(src, n+3, keyPayload(0))
		feed(src, n+4, deltaPayload(0))
		synctest.Wait()
		got := slowWire.sequences()
		if tail := got[len(got)-2:]; tail[0] != n+3 || tail[1] != n+4 {
			t.Errorf("the slow subscriber went on at %v, want the key frame %d", tail, n+3)
		}
		if dropped := src.counters.packetsDropped.Load(); dropped == 0 || int(dropped)+len(got) != n+4 {
			t.Errorf("%d dropped, %d sent of %d", dropped, len(got), n+4)
		}

		// What was dropped on purpose is not sent again, what was sent is.
		slow.feedback([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: 42, Nacks: rtcp.NackPairsFromSequenceNumbers([]uint16{n + 1, n + 4})}}, time.Now())
		if again := slowWire.sequences(); len(again) != len(got)+1 || again[len(got)] != n+4 {
			t.Errorf("sent again: %v", again[len(got):])
		}
	})
}

// TestFrozenSubscriber: a subscriber that skips to the next key frame asks for it until it comes, whatever its publisher does
// with the first requests.
func TestFrozenSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, up := newTestSource(t, true)
		k, w := src.testSink(t.Context())
		go k.track.run(t.Context())
		synctest.Wait()
		feed(src, 1, keyPayload(1))
		synctest.Wait()
		within := func(d time.Duration) int {
			before := up.asked()
			time.Sleep(d)
			synctest.Wait()
			return up.asked() - before
		}
		w.hold()
		const n = videoQueue + 100
		for seq := range uint16(n) {
			feed(src, 2+seq, deltaPayload(seq))
		}
		if asked := within(time.Minute); asked != 0 {
			t.Errorf("a subscriber that takes nothing asked for %d key frames", asked)
		}
		w.free()
		if asked, least := within(time.Minute), int(time.Minute/keyFrameRetry); asked < least {
			t.Errorf("asked for %d key frames in a minute, want %d at least", asked, least)
		}
		feed(src, n+2, keyPayload(0))
		synctest.Wait()
		if got := w.sequences(); got[len(got)-1] != n+2 {
			t.Errorf("it goes on with %d, want the key frame %d", got[len(got)-1], n+2)
		}
		if asked := within(time.Minute); asked != 0 {
			t.Errorf("asked for %d more key frames", asked)
		}
	})
}

// TestSlowListener holds the wire of an audio subscriber: the oldest packets are lost.
func TestSlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _ := newTestSource(t, false)
		_, w := src.testSink(t.Context())
		synctest.Wait()
		w.hold()
		for seq := range uint16(200) {
			feed(src, seq, body(seq)[:80])
			synctest.Wait()
		}
		w.free()
		synctest.Wait()
		got := w.sequences()
		if !slices.IsSorted(got) || got[len(got)-1] != 199 || len(got) > audioQueue+33 {
			t.Errorf("got %v", got)
		}
	})
}

// TestDuplicatesAndOrder gives packets twice and in the wrong order.
func TestDuplicatesAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, up := newTestSource(t, true)
		src.nack = true
		_, w := src.testSink(t.Context())
		synctest.Wait()
		for _, seq := range []uint16{65533, 65534, 65534, 2, 0, 65535, 1, 65533, 3} {
			payload := deltaPayload(seq)
			if seq == 65533 {
				payload = keyPayload(seq)
			}
			feed(src, seq, payload)
			time.Sleep(nackDelay)
		}
		feed(src, 60000, deltaPayload(0)) // older than all that is kept
		synctest.Wait()
		if got, want := w.sequences(), []uint16{65533, 65534, 2, 0, 65535, 1, 3}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if want := []uint16{65535, 1}; !slices.Equal(up.nacks, want) {
			t.Errorf("asked for %v, want %v", up.nacks, want)
		}
	})
}

// TestHastySound asks for a missing packet of sound with the very next one.
func TestHastySound(t *testing.T) {
	src, up := newTestSource(t, false)
	src.nack = true
	for _, seq := range []uint16{1, 2, 4, 5, 3, 7} {
		feed(src, seq, deltaPayload(seq))
	}
	if want := []uint16{3, 6}; !slices.Equal(up.nacks, want) {
		t.Errorf("asked for %v, want %v", up.nacks, want)
	}
}

// TestRTX answers NACKs with RTX where that was negotiated, within limits.
func TestRTX(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _ := newTestSource(t, true)
		k, w := src.testSink(t.Context())
		k.rtxSSRC, k.rtxType = 43, 101
		synctest.Wait()
		feed(src, 9, keyPayload(9))
		synctest.Wait()
		ask := func(sequence uint16) {
			k.feedback([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: 42, Nacks: []rtcp.NackPair{{PacketID: sequence}}}}, time.Now())
		}
		count := func() int { return len(w.sequences()) - 1 }
		ask(9)
		ask(9)
		ask(8) // never was
		if count() != 1 {
			t.Errorf("sent again %d times at once, want 1", count())
		}
		time.Sleep(shortestPause)
		ask(9)
		w.mu.Lock()
		if h := w.headers[2]; h.SSRC != 43 || h.PayloadType != 101 || h.SequenceNumber != 1 || h.Timestamp != 27000 {
			t.Errorf("retransmission %+v", h)
		}
		w.mu.Unlock()

		// The subscriber says that a round trip takes 100 ms.
		src.setReport(&rtcp.SenderReport{NTPTime: 7<<32 | 5<<16})
		synctest.Wait()
		time.Sleep(600 * time.Millisecond)
		k.feedback([]rtcp.Packet{&rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{
			{SSRC: 42, LastSenderReport: 7<<16 | 5, Delay: 65536 / 2}, {SSRC: 42, LastSenderReport: 99}, {SSRC: 41, LastSenderReport: 7<<16 | 5},
		}}}, time.Now())
		if k.pause() != 100*time.Millisecond {
			t.Errorf("a packet is not sent again for %v", k.pause())
		}
		before := count()
		ask(9)
		time.Sleep(99 * time.Millisecond)
		ask(9)
		time.Sleep(time.Millisecond)
		ask(9)
		if n := count() - before; n != 2 {
			t.Errorf("sent again %d times within 100 ms, want 2", n)
		}

		for seq := range uint16(videoHistory) {
			feed(src, 10+seq, deltaPayload(seq))
			synctest.Wait()
		}
		time.Sleep(time.Second)
		before = count()
		for range 3 {
			for seq := range uint16(videoHistory) {
				ask(10 + seq)
			}
		}
		if n := count() - before; n != maxResends {
			t.Errorf("%d packets sent again in a second, want %d", n, maxResends)
		}
	})
}

func TestLongHole(t *testing.T) {
	var l losses
	now := time.Now()
	l.arrived(1, now)
	if !l.arrived(100, now) || len(l.due(now)) != 0 || len(l.due(now.Add(nackDelay))) == 0 {
		t.Error("a hole of 98 packets is repaired")
	}
	if l.arrived(1000, now) || l.due(now.Add(time.Second)) != nil {
		t.Error("a hole of 900 packets is not repaired")
	}
	l.arrived(1002, now)
	for i := range nackRetries + 5 {
		asked := l.due(now.Add(time.Duration(i+1) * nackRetry))
		if (asked != nil) != (i < nackRetries) {
			t.Errorf("try %d: asked for %v", i, asked)
		}
	}
}

// TestRoundTrip: how often a packet is asked for follows from how long retransmissions take.
func TestRoundTrip(t *testing.T) {
	for _, c := range []struct{ trip, want time.Duration }{
		{5 * time.Millisecond, nackRetry / 2}, {80 * time.Millisecond, 100 * time.Millisecond}, {200 * time.Millisecond, 250 * time.Millisecond},
		{time.Second, nackLongest},
	} {
		var l losses
		now := time.Now()
		l.arrived(0, now)
		index := int64(0)
		for range 50 {
			index += 2
			l.arrived(index, now)
			now = now.Add(nackDelay)
			if asked := l.due(now); len(asked) != 1 {
				t.Fatalf("trip %v: asked for %v", c.trip, asked)
			}
			l.arrived(index-1, now.Add(c.trip))
			now = now.Add(c.trip)
		}
		if got := l.retry(); (got - c.want).Abs() > time.Millisecond {
			t.Errorf("trip %v: a retry after %v, want %v", c.trip, got, c.want)
		}
		index += 2
		l.arrived(index, now)
		n := 0
		for i := range 300 {
			n += len(l.due(now.Add(nackDelay + time.Duration(i)*10*time.Millisecond)))
		}
		if n > nackRetries || len(l.missing) > 0 {
			t.Errorf("trip %v: asked %d times, and not given up: %v", c.trip, n, l.missing)
		}
	}
}

func TestKeyFrameArbiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var asked []time.Duration
		start := time.Now()
		k := newKeyFrames(func() bool {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, time.Since(start))
			return true
		})
		go k.run(t.Context())
		check := func(what string, want ...time.Duration) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(asked, want) {
				t.Fatalf("%s: asked at %v, want %v", what, asked, want)
			}
		}
		restart := func() {
			mu.Lock()
			defer mu.Unlock()
			asked, start = nil, time.Now()
		}
		k.request()
		check("the first is sent at once", 0)
		for range 40 {
			time.Sleep(10 * time.Millisecond)
			k.request()
		}
		check("more within 500 ms wait", 0)
		time.Sleep(150 * time.Millisecond)
		check("and are sent as one", 0, 500*time.Millisecond)
		k.arrived()
		time.Sleep(5 * time.Second)
		check("a key frame ends it", 0, 500*time.Millisecond)

		restart()
		k.request()
		time.Sleep(time.Minute)
		check("without one it is repeated, not for ever", 0, time.Second, 2*time.Second, 3*time.Second)

		restart()
		k.request()
		synctest.Wait()
		k.request()
		synctest.Wait()
		k.arrived()
		time.Sleep(time.Minute)
		check("a key frame serves those who asked before it", 0)
	})
}
