package stage

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// TestFloodOfJoins: a hundred offers and sockets at once with one token leave one publisher and one socket, and somebody else on
// the stage notices nothing.
func TestFloodOfJoins(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.cam.p", clientOptions{})
	defer cam.roll(1)()
	scr := r.subscribe(t, "stage1.bob.s", "cam", clientOptions{})
	next(t, scr.video)

	offer := r.newCamera(t, clientOptions{}).offer()
	watch := r.newScreen(t, clientOptions{}).offer()
	var work sync.WaitGroup
	var created, closings atomic.Int32
	for range 100 {
		work.Go(func() {
			for path, body := range map[string]string{"/whip": offer, "/whip/subscribe/cam": watch} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.http.URL+path, strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Content-Type", typeSDP)
				req.Header.Set("Authorization", "Bearer stage1.mallory.ps")
				res, err := r.http.Client().Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				if res.StatusCode == http.StatusCreated {
					created.Add(1)
				}
			}
			conn, _, err := r.open(t, "stage1", "stage1.mallory.ps")
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				for {
					if _, _, err := conn.Read(t.Context()); err != nil {
						closings.Add(1)
						return
					}
				}
			}()
		})
	}
	work.Wait()
	if n := created.Load(); n < 100 {
		t.Errorf("%d of 200 offers were answered", n)
	}
	// What the offers left ends after connectTimeout: nobody connects.
	eventually(t, "one of each is left", func() bool {
		s := r.Stats()
		return s.Publishers <= 2 && s.Subscribers <= 1+maxRepeats && s.Sockets == 1 && closings.Load() == 99
	})
	drain(scr)
	before := next(t, scr.video).SequenceNumber
	eventually(t, "the picture goes on", func() bool { return int16(next(t, scr.video).SequenceNumber-before) > 20 })
}

func drain(s *screen) {
	for len(s.video) > 0 {
		<-s.video
	}
}

// TestFloodOfPackets ends a publisher of very many very small packets, which the limit of bits lets pass.
func TestFloodOfPackets(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes as long as the window of the measurement")
	}
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.cam.p", clientOptions{})
	done := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		for seq := uint16(0); ; {
			for range 200 {
				seq++
				_ = cam.audio.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq}, Payload: []byte{0}})
			}
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	defer work.Wait()
	defer close(done)
	if e := r.observer.wait(t, PublishError, "cam", 1); e.ErrorCode != BitrateExceeded {
		t.Errorf("ended with %s: %s", e.ErrorCode, e.Reason)
	}
}

// FuzzFeedback takes any RTCP of a subscriber, and any report of a publisher.
func FuzzFeedback(f *testing.F) {
	add := func(p rtcp.Packet) {
		b, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	add(&rtcp.PictureLossIndication{MediaSSRC: 42})
	add(&rtcp.TransportLayerNack{MediaSSRC: 42, Nacks: []rtcp.NackPair{{PacketID: 65535, LostPackets: 0xffff}}})
	add(&rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{SSRC: 42, LastSenderReport: 1, Delay: 1 << 31}}})
	add(&rtcp.SenderReport{SSRC: 42, NTPTime: 1 << 63, RTPTime: 7})
	nothing := func([]rtcp.Packet) error { return nil }
	f.Fuzz(func(t *testing.T, data []byte) {
		pkts, err := rtcp.Unmarshal(data)
		if err != nil {
			return
		}
		src := newSource(true, new(counters), nothing)
		defer src.close()
		k := newSink(newTrack(src), newWire(), nothing, testLog())
		k.ssrc, k.lane = 42, newLane()
		src.attach(k)
		k.aimAt(src)
		feed(src, 65534, keyPayload(1))
		feed(src, 65535, deltaPayload(2))
		for _, p := range pkts {
			if report, ok := p.(*rtcp.SenderReport); ok {
				src.setReport(report)
			}
		}
		k.feedback(pkts, time.Now())
		k.detach()
	})
}
