package synth

import (
	"testing"
	"time"

	"github.com/pion/rtcp"

	stages "github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/synth/link"
)

// TestBadLinks publishes and watches over links that lose 5 % of the packets, swing by 200 ms, overtake and double, in both
// directions: NACKs bring nearly all packets, and the publisher is spared.
func TestBadLinks(t *testing.T) {
	t.Parallel()
	bad := link.Conditions{Loss: 0.05, Burst: 2, Jitter: 200, Reorder: 0.01, Duplicate: 0.01}
	h := newHouse(t)
	p := &Publisher{Index: 5, Width: 320, Height: 180, FrameRate: 30, BitRate: 500_000}
	h.publishTo("ada", p)
	v := h.viewOver("ada", "viewer", func() link.Conditions { return bad }, func() link.Conditions { return bad })
	first := <-v.packets // the connections are up
	p.SetFaults(Faults{Up: bad, Down: bad})
	before := h.Stats()
	begin := time.Now()
	const watched, enough = 6 * time.Second, 200 // packets, which take longer on a busy machine
	got := map[uint16]bool{first.SequenceNumber: true}
	newest := first.SequenceNumber
	// A viewer that asks for key frames ten times a second.
	asking := time.NewTicker(100 * time.Millisecond)
	defer asking.Stop()
	// What was sent last may still be on its way.
	span := func() int { return int(newest-first.SequenceNumber) * 3 / 4 }
	for timeout := time.After(patience); time.Since(begin) < watched || span() < enough; {
		select {
		case packet := <-v.packets:
			got[packet.SequenceNumber] = true
			if int16(packet.SequenceNumber-newest) > 0 {
				newest = packet.SequenceNumber
			}
		case <-asking.C:
			if err := v.peer.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: first.SSRC}}); err != nil {
				t.Fatal(err)
			}
		case <-timeout:
			t.Fatalf("%d packets came; the stage has %+v", len(got), h.Stats())
		}
	}
	after := h.Stats()
	missing := 0
	for i := range span() {
		if !got[first.SequenceNumber+uint16(i)] {
			missing++
		}
	}
	received := after.PacketsReceived - before.PacketsReceived
	asked := after.NACKsSent - before.NACKsSent
	plis := after.PLIsSent - before.PLIsSent
	t.Logf("in %v: %d packets from the publisher, asked for %d; of %d to the viewer %d never came; %d asked for, %d sent again; %d requests for key frames became %d",
		time.Since(begin), received, asked, span(), missing, after.NACKsReceived-before.NACKsReceived, after.PacketsResent-before.PacketsResent,
		after.KeyFramesRequested-before.KeyFramesRequested, plis)
	if float64(missing) > 0.02*float64(span()) {
		t.Errorf("%d of %d packets never came", missing, span())
	}
	if asked == 0 || float64(asked) > 0.5*float64(received) {
		t.Errorf("the publisher was asked for %d packets again, of %d", asked, received)
	}
	if most := uint64(time.Since(begin)/(500*time.Millisecond)) + 1; plis == 0 || plis > most {
		t.Errorf("the publisher was asked for %d key frames, at most %d are allowed", plis, most)
	}
	if n := p.Stats().Connections; n != 1 {
		t.Errorf("%d connections; want the first one only", n)
	}

	// A line that is cut is noticed, with the same events as ever.
	p.SetFaults(Faults{Offline: true})
	cut := time.Now()
	eventually(t, "the publisher is gone", func() bool { return h.has(stages.Left, "ada") })
	t.Logf("noticed after %v", time.Since(cut)) // the stage's timers add up to 8 s
}
