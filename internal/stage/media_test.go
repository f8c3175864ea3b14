package stage

import (
	"bytes"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// TestForward checks that a subscriber gets what the publisher sent, bit by bit.
func TestForward(t *testing.T) {
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	defer cam.roll(65500)() // over the wrap-around
	checkVideo(t, cam, scr, 200)
	seen := map[uint16]bool{}
	for len(seen) < 100 { // lost sound does not come again
		p := next(t, scr.audio)
		seen[p.SequenceNumber] = true
		if p.Timestamp != uint32(p.SequenceNumber)*960 || !bytes.Equal(p.Payload, body(p.SequenceNumber)[:100]) {
			t.Fatalf("audio packet %d is not what was sent", p.SequenceNumber)
		}
	}
	r.observer.wait(t, SubscribeStarted, "bob", 1)
	if s := r.Stats(); s.Publishers != 1 || s.Subscribers != 1 || s.PacketsReceived < 300 || s.PacketsSent < 300 || s.PLIsSent == 0 {
		t.Errorf("stats: %+v", s)
	}
}

// checkVideo reads n video packets, which begin with a key frame and have no hole.
func checkVideo(t *testing.T, cam *camera, scr *screen, n int) {
	t.Helper()
	got := map[uint16]*rtp.Packet{}
	first := next(t, scr.video)
	if first.Payload[0]&0x1f != nalIDR {
		t.Errorf("first packet is not a key frame")
	}
	got[first.SequenceNumber] = first
	for !complete(got, first.SequenceNumber, n) { // in any order: what was lost comes late
		p := next(t, scr.video)
		got[p.SequenceNumber] = p
	}
	cam.mu.Lock()
	defer cam.mu.Unlock()
	for i := range n {
		seq := first.SequenceNumber + uint16(i)
		p := got[seq]
		if !bytes.Equal(p.Payload, cam.sent[seq]) || p.Timestamp != uint32(seq)*3000 || !p.Marker || p.Extension {
			t.Fatalf("video packet %d is not what was sent: %v", seq, p.Header)
		}
	}
}

func complete(got map[uint16]*rtp.Packet, first uint16, n int) bool {
	for i := range n {
		if got[first+uint16(i)] == nil {
			return false
		}
	}
	return true
}

// TestForwardOverTCP checks the TCP port.
func TestForwardOverTCP(t *testing.T) {
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{tcp: true})
	defer cam.roll(1)()
	checkVideo(t, cam, scr, 100)
}

// TestLeaveTCP: a connection over UDP keeps nothing for TCP, and one over TCP keeps what it needs.
func TestLeaveTCP(t *testing.T) { // not parallel: it counts goroutines
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	defer cam.roll(1)()
	candidates := func(n int) func() bool {
		return func() bool {
			stacks := new(strings.Builder)
			err := pprof.Lookup("goroutine").WriteTo(stacks, 2)
			return err == nil && strings.Count(stacks.String(), "TCPMuxDefault).createConn.func") == n
		}
	}
	eventually(t, "the publisher is done with TCP", candidates(0))
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{tcp: true})
	next(t, scr.video)
	next(t, r.subscribe(t, "stage1.carol.s", "alice", clientOptions{}).video)
	eventually(t, "one client is left on TCP", candidates(1))
	next(t, scr.video)
}

// TestOneKind checks subscribers that want only audio or only video.
func TestOneKind(t *testing.T) {
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	defer cam.roll(1)()
	ears := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{}, webrtc.RTPCodecTypeAudio)
	next(t, ears.audio)
	eyes := r.subscribe(t, "stage1.carol.s", "alice", clientOptions{}, webrtc.RTPCodecTypeVideo)
	next(t, eyes.video)
}

// TestSenderReports checks that a subscriber can map RTP time to the publisher's clock.
func TestSenderReports(t *testing.T) {
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	stop := cam.roll(1)
	defer stop()
	ssrc := uint32(cam.sender.GetParameters().Encodings[0].SSRC)
	report := func(ntp uint64) {
		if err := cam.pc.WriteRTCP([]rtcp.Packet{&rtcp.SenderReport{SSRC: ssrc, NTPTime: ntp, RTPTime: uint32(ntp / 3), PacketCount: 7, OctetCount: 8}}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the track arrives", func() bool { return r.Stats().PacketsReceived > 10 })
	report(1 << 40)
	st := r.lookup("stage1")
	found := make(chan *publisher, 1)
	if err := st.post(t.Context(), findPublisher{"alice", found}); err != nil {
		t.Fatal(err)
	}
	p := <-found
	eventually(t, "the report arrives", func() bool { return p.video.layers()[0].clock().report != nil })

	// One that was there before the subscriber, and a new one.
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	track := <-scr.videoTrack
	for _, ntp := range []uint64{1 << 40, 1 << 41} {
		var sr *rtcp.SenderReport
		select {
		case sr = <-scr.reports:
		case <-time.After(patience):
			t.Fatal("no sender report")
		}
		if sr.NTPTime != ntp || sr.RTPTime != uint32(ntp/3) {
			t.Errorf("report maps %d to %d; want %d to %d", sr.NTPTime, sr.RTPTime, ntp, uint32(ntp/3))
		}
		if sr.SSRC != uint32(track.SSRC()) || sr.PacketCount == 0 || sr.OctetCount < 100*sr.PacketCount {
			t.Errorf("report is not of this subscriber's stream: %+v", sr)
		}
		report(1 << 41)
	}
}

// TestLossUpstream loses packets on the way to the stage: NACKs bring them back.
func TestLossUpstream(t *testing.T) {
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{drop: loseOnce(true, 7)})
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	defer cam.roll(1000)()
	checkVideo(t, cam, scr, 300)
	if s := r.Stats(); s.NACKsSent == 0 {
		t.Errorf("nothing was asked for again: %+v", s)
	}
}

// TestLossDownstream loses packets on the way to a subscriber: the stage sends them again.
func TestLossDownstream(t *testing.T) {
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{drop: loseOnce(false, 7)})
	defer cam.roll(1000)()
	checkVideo(t, cam, scr, 300)
	if s := r.Stats(); s.NACKsReceived == 0 || s.PacketsResent == 0 {
		t.Errorf("nothing was sent again: %+v", s)
	}
}

// loseOnce loses every nth H.264 packet the first time that it is sent.
func loseOnce(outgoing bool, n uint16) func(bool, *rtp.Header) bool {
	var mu sync.Mutex
	seen := map[uint16]bool{}
	var ssrc uint32
	return func(out bool, h *rtp.Header) bool {
		mu.Lock()
		defer mu.Unlock()
		if out != outgoing || !h.Marker { // only the test's video has markers
			return false
		}
		if ssrc == 0 {
			ssrc = h.SSRC
			return false // the first packet begins the picture
		}
		if h.SSRC != ssrc || h.SequenceNumber%n != 0 || seen[h.SequenceNumber] {
			return false
		}
		seen[h.SequenceNumber] = true
		return true
	}
}

// TestKeyFrameRequests has many subscribers ask for key frames: the publisher sees few.
func TestKeyFrameRequests(t *testing.T) {
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	began := time.Now()
	defer cam.roll(1)()
	var screens []*screen
	for _, id := range []string{"b", "c", "d"} {
		s := r.subscribe(t, "stage1."+id+".s", "alice", clientOptions{}, webrtc.RTPCodecTypeVideo)
		next(t, s.video)
		screens = append(screens, s)
	}
	done := time.After(2 * time.Second)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	tracks := make([]*webrtc.TrackRemote, len(screens))
	for i, s := range screens {
		tracks[i] = <-s.videoTrack
	}
asking:
	for {
		select {
		case <-done:
			break asking
		case <-ticker.C:
			for i, s := range screens {
				if err := s.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(tracks[i].SSRC())}}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	eventually(t, "requests are counted", func() bool { return r.Stats().KeyFramesRequested > 50 })
	if n := cam.checkRequests(began); n < 2 {
		t.Errorf("publisher was asked %d times", n)
	}
}

// checkRequests checks that of the requests for key frames, of which the first one was sent after began, none came sooner than
// they may be sent, and counts them. How far apart two of them arrive says nothing: one may be delayed more than the next.
func (c *camera) checkRequests(began time.Time) (n int) {
	c.t.Helper()
	for ; len(c.pliTimes) > 0; n++ {
		if at := (<-c.pliTimes).Sub(began); at < time.Duration(n)*keyFrameInterval {
			c.t.Errorf("%d key frames were requested within %v", n+1, at)
		}
	}
	return n
}

// TestVanish cuts a publisher's cable: it is gone within 10 s, its subscribers with it.
func TestVanish(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	stop := cam.roll(1)
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	next(t, scr.video)
	cam.conn.dead.Store(true)
	cut := time.Now()
	e := r.observer.wait(t, PublishStopped, "alice", 1)
	stop()
	t.Logf("gone after %v: %s", e.Time.Sub(cut), e.Reason)
	if e.Reason == "" {
		t.Error("no reason")
	}
	r.observer.wait(t, Left, "alice", 1)
	r.observer.wait(t, SubscribeStopped, "bob", 1)
	closed(t, "the subscriber's connection ends", scr.ended)
}

// TestSilentPublisher stops sending but keeps the connection: the publisher stays.
func TestSilentPublisher(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes longer than the time-out of a publisher that vanished")
	}
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	cam.roll(1)()
	select {
	case <-cam.ended:
	case <-time.After(iceDisconnected + iceFailed + 2*time.Second):
	}
	stop := cam.roll(500)
	defer stop()
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	next(t, scr.video)
}

// TestGarbageRTP publishes payloads that are not H.264 and headers that lie.
func TestGarbageRTP(t *testing.T) {
	r := newRig(t, nil)
	bad := r.publish(t, "stage1.mallory.p", clientOptions{})
	good := r.publish(t, "stage1.alice.p", clientOptions{})
	stop := good.roll(1)
	defer stop()
	r.subscribe(t, "stage1.bob.s", "mallory", clientOptions{})
	for i := range 500 {
		p := &rtp.Packet{
			Header:  rtp.Header{Version: 2, SequenceNumber: uint16(i * i * 77), Timestamp: uint32(i * 12345)},
			Payload: body(uint16(i))[:i%50],
		}
		if i%3 == 0 {
			p.Header.Padding, p.PaddingSize = true, byte(i)
		}
		_ = bad.video.WriteRTP(p)
		_ = bad.audio.WriteRTP(p)
	}
	scr := r.subscribe(t, "stage1.carol.s", "alice", clientOptions{})
	checkVideo(t, good, scr, 50)
}

// TestBitRateLimit has a publisher that sends too much, and one that does not.
func TestBitRateLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *Server) { s.MaxBitRate = 300_000 })
	greedy := r.publish(t, "stage1.alice.p", clientOptions{})
	if !strings.Contains(greedy.answer, "\r\nb=AS:300\r\n") {
		t.Errorf("the answer does not say what is allowed:\n%s", greedy.answer)
	}
	modest := r.publish(t, "stage1.carol.p", clientOptions{})
	modest.sendVideo(1)
	defer greedy.roll(1)() // about 1 Mbit/s
	e := r.observer.wait(t, PublishError, "alice", 1)
	if e.ErrorCode != BitrateExceeded || !strings.Contains(e.Reason, "300 kbit/s") {
		t.Errorf("event %+v", e)
	}
	r.observer.wait(t, PublishStopped, "alice", 1)
	closed(t, "publishing ends", greedy.ended)
	select {
	case <-modest.ended:
		t.Error("another publisher was ended too")
	default:
	}
	scr := r.subscribe(t, "stage1.bob.s", "carol", clientOptions{})
	if strings.Contains(scr.answer, "b=AS") {
		t.Error("a subscriber is told a limit")
	}
}
