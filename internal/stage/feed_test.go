package stage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// grantOf is the grant of a test token.
func grantOf(t *testing.T, token string) Grant {
	t.Helper()
	g, err := testAdmission{}.Admit(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// openFeed opens a feed with a test token's grant.
func (r *rig) openFeed(t *testing.T, token string) *Feed {
	t.Helper()
	f, err := r.OpenFeed(t.Context(), grantOf(t, token), FeedOptions{Protocol: "RTMP"})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// show publishes a picture of two packets: number n at n/30 s. Every 30th is a key frame.
func show(f *Feed, n int) {
	first := []byte{0x41, 0xe0, byte(n)}
	if n%30 == 0 {
		first = []byte{nalSTAPA, 0, 3, 0x67, 1, byte(n), 0, 2, 0x68, 1}
	}
	f.Video(0, time.Duration(n)*time.Second/30, [][]byte{first, {0x65, 0x88, byte(n)}})
}

// collect waits for n packets from a number on, in whichever order they come, and puts them in order.
func collect(t *testing.T, c <-chan *rtp.Packet, first uint16, n int) []*rtp.Packet {
	t.Helper()
	all, have := make([]*rtp.Packet, n), 0
	for have < n {
		p := next(t, c)
		if i := int(p.SequenceNumber - first); i < n && all[i] == nil {
			all[i] = p
			have++
		}
	}
	return all
}

func TestFeed(t *testing.T) {
	r := newRig(t, nil)
	f := r.openFeed(t, "stage1.alice.p")
	joined := r.observer.wait(t, Joined, "alice", 1)
	if joined.Protocol != "RTMP" || joined.SessionID == "" {
		t.Errorf("joined: %+v", joined)
	}
	scr := r.newScreen(t, clientOptions{})
	if res, _ := scr.connect("/whip/subscribe/alice", "stage1.bob.s"); res == nil || res.StatusCode != http.StatusNotFound {
		t.Error("a feed that has not started can be subscribed to")
	}
	f.Start()
	f.Start() // changes nothing
	r.observer.wait(t, PublishStarted, "alice", 1)
	scr = r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	r.observer.wait(t, SubscribeStarted, "bob", 1)
	eventually(t, "the subscriber is attached", func() bool {
		return attached(f.publisher.video) == 1 && attached(f.publisher.audio) == 1
	})
	firstPicture, firstSound := f.video[0].sequence, f.audio.sequence
	for n := range 40 {
		show(f, n)
		f.Audio(time.Duration(n)*time.Second/30, []byte{0xf8, byte(n)})
	}
	pictures := collect(t, scr.video, firstPicture, 80)
	for i, p := range pictures {
		if p.Timestamp != pictures[0].Timestamp+uint32(i/2)*3000 || p.Marker != (i%2 == 1) {
			t.Fatalf("packet %d: %v", i, p.Header)
		}
	}
	sounds := collect(t, scr.audio, firstSound, 40)
	for i, p := range sounds {
		if p.Timestamp != sounds[0].Timestamp+uint32(i)*1600 || p.Payload[1] != byte(i) {
			t.Fatalf("sound %d: %v %v", i, p.Header, p.Payload)
		}
	}
	f.Report(&Error{Code: ReuseOfStreamKey, Message: "by the test"})
	if e := r.observer.wait(t, PublishError, "alice", 1); e.ErrorCode != ReuseOfStreamKey || e.Protocol != "RTMP" {
		t.Errorf("report: %+v", e)
	}
	f.Fail(&Error{Code: BFramePresent, Message: "by the test"})
	r.observer.wait(t, PublishError, "alice", 2)
	if e := r.observer.wait(t, PublishStopped, "alice", 1); e.Protocol != "RTMP" {
		t.Errorf("stopped: %+v", e)
	}
	r.observer.wait(t, Left, "alice", 1)
	closed(t, "the feed", f.Done())
	if f.Reason() != "by the test" {
		t.Errorf("reason %q", f.Reason())
	}
	show(f, 41) // goes nowhere
	f.Close("again")
}

// TestFeedLateSubscriber subscribes in the middle of a group of pictures: it is shown in quick motion, without a wait.
func TestFeedLateSubscriber(t *testing.T) {
	r := newRig(t, nil)
	f := r.openFeed(t, "stage1.alice.p")
	f.Start()
	r.observer.wait(t, PublishStarted, "alice", 1)
	group := f.video[0].sequence + 2*30
	for n := range 50 {
		show(f, n)
	}
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	all := collect(t, scr.video, group, 40) // the pictures 30 to 49
	if first := all[0].Payload; first[0] != nalSTAPA || first[5] != 30 {
		t.Errorf("it begins with %v", first)
	}
	show(f, 50)
	live := collect(t, scr.video, group+40, 1)[0]
	newest := all[len(all)-1]
	if live.Timestamp != newest.Timestamp+3000 {
		t.Errorf("live goes on with %v after %v", live.Header, newest.Header)
	}
	// 19 pictures in the time of little more than one.
	if span := newest.Timestamp - all[0].Timestamp; span > 19*3000/catchUp+1 {
		t.Errorf("the group takes %d ticks", span)
	}
	for i := 1; i < len(all); i++ {
		if step := int32(all[i].Timestamp - all[i-1].Timestamp); step < 0 || all[i].Marker == false && step == 0 {
			t.Errorf("step of %d at packet %d", step, i)
		}
	}
}

func TestFeedEnds(t *testing.T) {
	r := newRig(t, func(s *Server) { s.MaxPublishers = 1 })
	f := r.openFeed(t, "stage1.alice.p")
	if _, err := r.OpenFeed(t.Context(), grantOf(t, "stage1.carol.p"), FeedOptions{}); err == nil {
		t.Error("a second publisher is taken")
	} else if e, ok := errors.AsType[*Error](err); !ok || e.Code != QuotaExceeded {
		t.Errorf("a second publisher: %v", err)
	}
	r.Disconnect("stage1", "alice", "thrown out")
	closed(t, "the feed", f.Done())
	if f.Reason() != "thrown out" {
		t.Errorf("reason %q", f.Reason())
	}
	f = r.openFeed(t, "stage1.alice.p")
	r.CloseStage("stage1", "the stage was deleted")
	closed(t, "the feed", f.Done())
	if f.Reason() != "the stage was deleted" {
		t.Errorf("reason %q", f.Reason())
	}
	f = r.openFeed(t, "stage1.alice.p")
	for _, e := range r.Stats().Layers {
		if e.ParticipantID != "alice" {
			t.Errorf("layers %+v", e)
		}
	}
	// The session of a feed is no WHIP resource: whoever guesses its name gets nothing.
	if res, _ := r.do(t, http.MethodPatch, "/whip/sessions/"+f.publisher.id, "", "Content-Type", typeFragment); res.StatusCode != http.StatusNotFound {
		t.Errorf("PATCH of a feed: %s", res.Status)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	closed(t, "the feed", f.Done())
	f.Close("after the end")
	if _, err := r.OpenFeed(context.Background(), grantOf(t, "stage1.alice.p"), FeedOptions{}); err == nil {
		t.Error("a closed server takes a feed")
	}
}

// TestBackstage has a participant whom nobody sees: it counts for no limit and can not be subscribed to.
func TestBackstage(t *testing.T) {
	r := newRig(t, func(s *Server) { s.MaxPublishers = 1 })
	g := grantOf(t, "stage1.behind.p")
	g.Backstage = true
	f, err := r.OpenFeed(t.Context(), g, FeedOptions{Protocol: "RTMP"})
	if err != nil {
		t.Fatal(err)
	}
	f.Start()
	r.observer.wait(t, PublishStarted, "behind", 1)
	front := r.openFeed(t, "stage1.alice.p")
	front.Start()
	r.observer.wait(t, PublishStarted, "alice", 1)
	scr := r.newScreen(t, clientOptions{})
	if res, _ := scr.connect("/whip/subscribe/behind", "stage1.bob.s"); res == nil || res.StatusCode != http.StatusNotFound {
		t.Error("somebody subscribes to a participant behind the stage")
	}
	st := r.lookup("stage1")
	shown := make(chan string, 1)
	if err := st.post(t.Context(), peek{shown}); err != nil {
		t.Fatal(err)
	}
	if s := <-shown; !strings.Contains(s, "alice") || strings.Contains(s, "behind") {
		t.Errorf("the snapshot is %s", s)
	}
	f.Close("done")
	r.observer.wait(t, Left, "behind", 1)
}

// peek looks at the snapshot.
type peek struct{ shown chan<- string }

func (p peek) apply(st *stage) { p.shown <- string(st.state(true)) }

func TestFeedBitRate(t *testing.T) {
	r := newRig(t, func(s *Server) { s.MaxBitRate = 1000 })
	f := r.openFeed(t, "stage1.alice.p")
	f.Start()
	f.Video(0, 0, [][]byte{make([]byte, MaxPayload), make([]byte, MaxPayload)})
	if e := r.observer.wait(t, PublishError, "alice", 1); e.ErrorCode != BitrateExceeded {
		t.Errorf("error %+v", e)
	}
	closed(t, "the feed", f.Done())
}

// TestFedLayers adds a layer to a track that has a subscriber. Who comes in the middle of a group of pictures begins with that of
// the layer that suits, and who wants another size gets it at the next key frame of its layer.
func TestFedLayers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLadder(t)
		l.hi.fed, l.low.fed = true, true
		l.hi.size, l.low.size = size{1280, 720}, size{320, 180}
		for _, src := range []*source{l.hi, l.low} { // on one clock
			src.setReport(&rtcp.SenderReport{NTPTime: 50 << 32, RTPTime: 0})
		}
		l.track = newTrack(l.hi)
		view := func(width, height uint64) (*wire, *atomic.Uint64) {
			w, shows := newWire(), new(atomic.Uint64)
			shows.Store(width<<32 | height)
			k := newSink(l.track, w, w.writeRTCP, testLog())
			k.ssrc, k.payloadType, k.shows = 42, 100, shows
			go k.run(t.Context())
			synctest.Wait()
			return w, shows
		}
		first, firstShows := view(320, 180)
		l.send(l.hi, "S10@3000", "I11@3000!", "D12@6000")
		l.expect(first, "the only layer", "10@3000", "11@3000", "12@6000")

		l.track.add(l.low)
		l.send(l.low, "S500@3000", "I501@3000!", "D502@6000")
		l.send(l.hi, "D13@9000")
		l.send(l.low, "D503@9000")
		l.expect(first, "the other one is there", "13@9000")
		small, _ := view(320, 180)
		l.expect(small, "begins with the group of the small one", "500@8625", "501@8625", "502@8812", "503@9000")
		large, _ := view(1280, 720)
		l.expect(large, "begins with the group of the large one", "10@8625", "11@8625", "12@8812", "13@9000")
		any, _ := view(0, 0)
		l.expect(any, "wants no size", "10@8625", "11@8625", "12@8812", "13@9000")

		l.track.decide(time.Now())
		l.send(l.hi, "D14@12000")
		l.send(l.low, "D504@12000", "S505@15000", "I506@15000!")
		l.expect(first, "changes at a key frame", "14@12000", "15@15000", "16@15000")
		firstShows.Store(1280<<32 | 720)
		l.track.decide(time.Now())
		l.send(l.hi, "S15@18000", "I16@18000!")
		l.send(l.low, "D507@18000")
		l.expect(first, "and back", "17@18000", "18@18000")

		l.track.close()
		late, _ := newTestSource(t, true)
		l.track.add(late)
		feed(late, 1, keyPayload(1))
		if late.packets.Load() > 0 {
			t.Error("a layer that is added after the end takes packets")
		}
	})
}

// TestFeedLayers: subscribers and the events socket are told of all layers of a feed, by their numbers.
func TestFeedLayers(t *testing.T) {
	r := newRig(t, nil)
	f := r.openFeed(t, "stage1.alice.p")
	f.Layers(2)
	f.Layers(1) // takes none away
	f.Start()
	r.observer.wait(t, PublishStarted, "alice", 1)
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	r.observer.wait(t, SubscribeStarted, "bob", 1)
	n := 0
	send := func(layers ...int) { // a layer is silent 3 s after its newest picture
		for _, layer := range layers {
			f.Video(layer, time.Duration(n)*time.Second/30, [][]byte{{nalSTAPA, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 1}, {0x65, 0x88, 1}})
		}
		n++
	}
	eventually(t, "the first layer is seen", func() bool {
		send(1)
		return len(scr.video) > 0
	})
	var got struct {
		Layers   []layerState
		Selected *string
	}
	eventually(t, "three layers, of which one is silent", func() bool {
		send(1, 2)
		_, body := r.do(t, http.MethodGet, scr.location+"/layers", "")
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		return len(got.Layers) == 3 && got.Selected != nil && *got.Selected == "1" &&
			!got.Layers[0].Active && got.Layers[1].Active && got.Layers[2].Active && got.Layers[2].RID == "2"
	})
	if n := len(r.Stats().Layers); n != 3 {
		t.Errorf("%d layers in the statistics", n)
	}
	f.Layers(10)
	if n := len(f.video); n != MaxLayers {
		t.Errorf("a feed has %d layers", n)
	}
}
