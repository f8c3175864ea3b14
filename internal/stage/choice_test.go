package stage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// ladder is two layers of a publisher in a synctest bubble, and what its sinks get.
type ladder struct {
	t       *testing.T
	hi, low *source
	up      *upstream // of low
	track   *track
}

func newLadder(t *testing.T) *ladder {
	hi, _ := newTestSource(t, true)
	low, up := newTestSource(t, true)
	hi.rid, low.rid = "hi", "low"
	return &ladder{t: t, hi: hi, low: low, up: up, track: newTrack(hi, low)}
}

func (l *ladder) sink() (*sink, *wire) {
	w := newWire()
	k := newSink(l.track, w, w.writeRTCP, testLog())
	k.ssrc, k.payloadType = 42, 100
	go k.run(l.t.Context())
	synctest.Wait()
	return k, w
}

// send gives a layer packets, written as kind, number, "@" and timestamp: S is a parameter set, I the first slice of a key
// frame, d any other payload, and a capital D one that ends its picture, as I does where "!" follows.
func (l *ladder) send(src *source, packets ...string) {
	l.t.Helper()
	for _, text := range packets {
		var kind rune
		var sequence uint16
		var ts uint32
		if _, err := fmt.Sscanf(strings.TrimSuffix(text, "!"), "%c%d@%d", &kind, &sequence, &ts); err != nil {
			l.t.Fatalf("%q: %v", text, err)
		}
		payload := map[rune][]byte{'S': {0x67, 0x42}, 'I': {0x65, 0x88}, 'd': {0x41, 0x9a}, 'D': {0x41, 0x9a}}[kind]
		raw, err := (&rtp.Packet{
			Header:  rtp.Header{Version: 2, Marker: kind == 'D' || strings.HasSuffix(text, "!"), SequenceNumber: sequence, Timestamp: ts},
			Payload: append(payload, src.rid...),
		}).Marshal()
		if err != nil {
			l.t.Fatal(err)
		}
		p := newPacket()
		if err := p.parse(copy(p.buf[:], raw)); err != nil {
			l.t.Fatal(err)
		}
		src.receive(p, time.Now())
		p.release()
		synctest.Wait()
	}
}

// expect checks what has come since the last call, as number@timestamp.
func (l *ladder) expect(w *wire, what string, want ...string) {
	l.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []string
	for _, h := range w.headers {
		got = append(got, fmt.Sprintf("%d@%d", h.SequenceNumber, h.Timestamp))
	}
	w.headers = nil
	if !slices.Equal(got, want) {
		l.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// start has a sink on the hi layer: SPS 10 and IDR 11 at timestamp 3000, both layers captured alike from 0 on, but low's
// timestamps are 100000 more.
func (l *ladder) start() (*sink, *wire) {
	k, w := l.sink()
	report := func(src *source, rtp uint32) { src.setReport(&rtcp.SenderReport{NTPTime: 50 << 32, RTPTime: rtp}) }
	report(l.hi, 0)
	report(l.low, 100000)
	k.aimAt(l.hi)
	l.send(l.hi, "S10@3000", "I11@3000!")
	l.expect(w, "start", "10@3000", "11@3000")
	return k, w
}

func TestLayerChange(t *testing.T) {
	for name, run := range map[string]func(l *ladder, k *sink, w *wire){
		"between two pictures": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			l.send(l.low, "D499@100000", "D500@103000") // no key frame
			l.send(l.hi, "D12@6000")
			l.expect(w, "nothing changes before a key frame", "12@6000")
			l.send(l.low, "S501@109000", "I502@109000", "D503@109000")
			l.send(l.hi, "D13@9000")
			l.send(l.low, "D504@112000")
			l.expect(w, "change", "13@9000", "14@9000", "15@9000", "16@12000")
		},
		"the picture of the same time has gone out": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			l.send(l.hi, "D12@6000")
			l.send(l.low, "S501@106000", "I502@106000!", "D503@109000")
			l.expect(w, "change", "12@6000", "13@6090", "14@6090", "15@9000")
		},
		"a picture is under way": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			l.send(l.hi, "d12@6000")
			l.send(l.low, "S501@106000", "I502@106000!")
			l.expect(w, "it is to be ended", "12@6000")
			l.send(l.hi, "d13@6000", "D14@6000", "D15@9000")
			l.expect(w, "the next one stands back", "13@6000", "14@6000")
			l.send(l.low, "D503@109000")
			l.expect(w, "change", "15@6090", "16@6090", "17@9000")
		},
		"the end of a picture got lost": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			l.send(l.hi, "d12@6000")
			l.send(l.low, "S501@106000", "I502@106000!")
			time.Sleep(maxHalf)
			l.send(l.low, "D503@109000")
			l.expect(w, "nobody waits for ever", "12@6000", "13@6090", "14@6090", "15@9000")
		},
		"late packets of the old layer": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			l.send(l.hi, "D15@9000") // 12 to 14 are under way
			l.send(l.low, "S501@112000", "I502@112000!")
			l.send(l.hi, "d13@6000", "d12@6000", "D14@6000", "d13@6000")
			l.expect(w, "they have kept their numbers", "15@9000", "16@12000", "17@12000", "13@6000", "12@6000", "14@6000")
			l.send(l.hi, "D16@12000", "d9@0", "I17@15000!")
			l.expect(w, "newer ones have none")
		},
		"packets out of order at the change": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			l.send(l.low, "D500@103000", "d503@106000", "D504@106000", "S501@106000", "I502@106000", "D505@109000")
			l.expect(w, "all have come", "12@6000", "14@6000", "15@6000", "13@6000", "16@9000")
		},
		"the parameter sets get lost": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			l.send(l.low, "D500@103000", "I502@106000", "D503@106000")
			l.send(l.hi, "D12@6000")
			l.expect(w, "a slice alone is not enough", "12@6000")
			l.send(l.low, "D504@109000", "S501@106000")
			l.expect(w, "they come again, and all that followed", "13@6090", "14@6090", "15@6090", "16@9000")
		},
		"a slice gets lost": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			l.send(l.low, "S501@106000", "D503@106000", "I502@106000")
			l.expect(w, "its number is kept", "12@6000", "14@6000", "13@6000")
		},
		"no parameter sets at all": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			l.send(l.low, "D500@103000", "I501@106000!")
			l.expect(w, "the packet before is known to be of another picture", "12@6000")
		},
		"over the wrap-around": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			l.send(l.low, "S65535@106000", "I0@106000!", "D1@109000")
			l.expect(w, "there", "12@6000", "13@6000", "14@9000")
			k.aimAt(l.hi)
			l.send(l.hi, "S20@12000", "I21@12000!", "D22@15000")
			l.expect(w, "back", "15@12000", "16@12000", "17@15000")
			k.aimAt(l.low)
			l.send(l.low, "S2@118000", "I3@118000!")
			l.expect(w, "there again", "18@18000", "19@18000")
		},
		"the new layer comes to nothing": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			l.send(l.hi, "d12@6000")
			l.send(l.low, "S501@106000")
			l.send(l.hi, "D13@6000", "D14@9000")
			time.Sleep(maxHalf)
			l.send(l.hi, "D15@12000")
			l.expect(w, "pictures that follow a missing one are of no use", "12@6000", "13@6000")
			l.send(l.hi, "I20@15000!", "D21@18000")
			l.expect(w, "a key frame goes on", "20@15000", "21@18000")
		},
		"minds change": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			k.aimAt(l.hi)
			l.send(l.low, "S501@106000", "I502@106000!", "D503@109000")
			l.send(l.hi, "D12@6000")
			l.expect(w, "stay", "12@6000")
		},
		"a newer key frame comes meanwhile": func(l *ladder, k *sink, w *wire) {
			k.aimAt(l.low)
			l.send(l.hi, "d12@6000")
			l.send(l.low, "S501@106000", "I502@106000!", "S503@109000", "I504@109000!")
			l.send(l.hi, "D13@6000")
			l.send(l.low, "D505@112000")
			l.expect(w, "it is the one to begin with", "12@6000", "13@6000", "14@9000", "15@9000", "16@12000")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLadder(t)
				k, w := l.start()
				run(l, k, w)
			})
		})
	}
}

// TestNACKsAcrossLayers asks again for packets of both layers by the numbers that the subscriber knows.
func TestNACKsAcrossLayers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLadder(t)
		k, w := l.start()
		l.send(l.hi, "D12@6000")
		k.aimAt(l.low)
		l.send(l.low, "S501@109000", "I502@109000!", "D504@115000")
		l.expect(w, "change", "12@6000", "13@9000", "14@9000", "16@15000")
		ask := func(numbers ...uint16) {
			k.feedback([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: 42, Nacks: rtcp.NackPairsFromSequenceNumbers(numbers)}}, time.Now())
		}
		ask(11, 12, 13, 14, 15, 16, 17, 9, 501, 60000)
		l.expect(w, "again", "11@3000", "12@6000", "13@9000", "14@9000", "16@15000")
		k.rtxSSRC, k.rtxType = 43, 101
		time.Sleep(longestPause)
		ask(14)
		w.mu.Lock()
		payload := slices.Clone(w.payload[:2])
		w.mu.Unlock()
		if !slices.Equal(payload, []byte{0, 14}) {
			t.Errorf("the retransmission names packet % x, want the subscriber's 14", payload)
		}
		l.expect(w, "as RTX", "0@9000")
	})
}

// TestReportsAcrossLayers: a report always fits the timestamps, and comes with the change.
func TestReportsAcrossLayers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLadder(t)
		k, w := l.start()
		expect := func(what string, want ...string) {
			t.Helper()
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			var got []string
			for _, r := range w.reports {
				got = append(got, fmt.Sprintf("%d@%d", r.NTPTime>>32, r.RTPTime))
			}
			w.reports = nil
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", what, got, want)
			}
		}
		expect("the first", "50@0")
		l.low.setReport(&rtcp.SenderReport{NTPTime: 51 << 32, RTPTime: 190000})
		expect("of a layer that is not sent")
		k.aimAt(l.low)
		l.send(l.low, "S501@193000", "I502@193000!")
		expect("with the change", "51@90000")
		l.hi.setReport(&rtcp.SenderReport{NTPTime: 52 << 32, RTPTime: 180000})
		expect("of the old layer")
		l.low.setReport(&rtcp.SenderReport{NTPTime: 52 << 32, RTPTime: 280000})
		expect("of the new layer", "52@180000")
	})
}

// TestKeyFramesOfLayers has many subscribers change at once: each layer is asked as if there was one.
func TestKeyFramesOfLayers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLadder(t)
		l.low.nack = true
		k, _ := l.start()
		sinks := []*sink{k}
		for range 20 {
			k, _ := l.sink()
			k.aimAt(l.hi)
			sinks = append(sinks, k)
		}
		l.send(l.hi, "S12@6000", "I13@6000!")
		before := l.up.asked()
		begin := time.Now()
		for time.Since(begin) < 3*time.Second {
			for _, k := range sinks {
				k.aimAt(l.low)
				time.Sleep(time.Millisecond)
			}
		}
		if asked := l.up.asked() - before; asked < 5 || asked > 7 {
			t.Errorf("low was asked for %d key frames in 3 s", asked)
		}
		l.send(l.low, "S501@300000", "I502@300000!")
		served := l.track.served()
		if served[l.low] != len(sinks) || served[l.hi] != 0 {
			t.Errorf("%d of %d changed", served[l.low], len(sinks))
		}
		before = l.up.asked()
		time.Sleep(time.Minute)
		if asked := l.up.asked() - before; asked > 0 {
			t.Errorf("low was asked for %d key frames that nobody needs", asked)
		}
	})
}

// TestDecide lets layers stop and come back: subscribers get what there is.
func TestDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLadder(t)
		go l.track.run(t.Context())
		_, w := l.sink()
		sps := []byte{0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x0f, 0x16, 0x2e, 0x48} // 640x360
		key := aggregate(sps, []byte{0x65, 0x88})
		hi, low := uint16(0), uint16(0)
		both := func(n int, withHi bool) {
			for range n {
				if withHi {
					feed(l.hi, hi, key)
					hi++
				}
				feed(l.low, low, []byte{0x65, 0x88})
				low++
				time.Sleep(100 * time.Millisecond)
			}
		}
		sends := func() string {
			for src, n := range l.track.served() {
				if n == 1 {
					return src.rid
				}
			}
			return ""
		}
		both(10, true)
		if got := sends(); got != "hi" {
			t.Errorf("both flow: %q is sent", got)
		}
		both(25, false)
		if got := sends(); got != "hi" {
			t.Errorf("2.5 s after hi stopped: %q is sent", got)
		}
		both(15, false)
		if got := sends(); got != "low" {
			t.Errorf("4 s after hi stopped: %q is sent", got)
		}
		both(10, true)
		if got := sends(); got != "hi" {
			t.Errorf("hi is back: %q is sent", got)
		}
		if s := w.sequences(); !slices.IsSorted(s) || int(s[len(s)-1]-s[0]) != len(s)-1 {
			t.Errorf("the numbers are %v", s)
		}
	})
}

// aggregate is a payload of several NAL units (RFC 6184 section 5.7.1).
func aggregate(units ...[]byte) []byte {
	out := []byte{0x60 | nalSTAPA}
	for _, u := range units {
		out = append(append(out, byte(len(u)>>8), byte(len(u))), u...)
	}
	return out
}
