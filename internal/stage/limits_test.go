package stage

import (
	"bytes"
	"math/rand/v2"
	"os/exec"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestDurations: nobody publishes or subscribes for longer than a day, but composers.
func TestDurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := newQuietServer(t)
		f := onAir(t, s, "stage1.ann.p")
		subscribe := func(token string) *subscriber {
			g, _ := testAdmission{}.Admit(t.Context(), token)
			st := s.lookup("stage1")
			u := &subscriber{session: s.newSession(st, g, "", nil, nil), publisher: f.publisher}
			if err := ask(t.Context(), st, func(reply chan<- error) request { return addSubscriber{u, reply} }); err != nil {
				t.Fatal(err)
			}
			st.tell(t.Context(), subscriberConnected{u})
			return u
		}
		time.Sleep(2 * time.Hour)
		composer := subscribe("stage1.composer.sh")
		subscribe("stage1.bob.s")
		subscribe("stage1.short.s").cancel()
		time.Sleep(defaultDuration - 2*time.Hour - time.Second)
		synctest.Wait()
		if slices.ContainsFunc(o.kinds(), func(k string) bool { return k == "PUBLISH_ERROR ann" }) {
			t.Error("the publisher is ended too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if e := o.wait(t, PublishError, "ann", 1); e.ErrorCode != StreamDurationExceeded || e.SessionID == "" {
			t.Errorf("event %+v", e)
		}
		o.wait(t, PublishStopped, "ann", 1)
		if composer.ctx.Err() == nil {
			t.Error("a subscriber outlives its publisher")
		}

		// Subscribers have a day of their own, whatever the publisher does.
		f = onAir(t, s, "stage1.ann.p")
		s.MaxDuration = time.Hour // of those who come now
		composer = subscribe("stage1.composer.sh")
		subscribe("stage1.bob.s")
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if e := o.wait(t, SubscribeError, "bob", 1); e.ErrorCode != StreamDurationExceeded || e.RemoteParticipant != "ann" {
			t.Errorf("event %+v", e)
		}
		o.wait(t, SubscribeStopped, "bob", 2)
		if composer.ctx.Err() != nil {
			t.Error("a composer is ended")
		}
	})
}

// TestPictureLimits: who sends pictures that are too large, or out of order, is ended.
func TestPictureLimits(t *testing.T) {
	large := []byte{0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58}
	idr, b := []byte{0x65, 0x88}, []byte{0x01, 0x9c, 0}
	type pictures [][][]byte // by picture and packet
	garbage := make(pictures, 300)
	for i, random := 0, rand.NewChaCha8([32]byte{}); i < len(garbage); i++ {
		noise := make([]byte, 1000)
		_, _ = random.Read(noise) // never fails
		garbage[i] = [][]byte{noise}
	}
	for _, c := range []struct {
		name  string
		shows pictures
		lines int
		want  Code
	}{
		{"1080p", pictures{{large, idr}}, 0, ResolutionExceeded},
		{"1080p in one packet", pictures{{aggregate(large, idr)}}, 0, ResolutionExceeded},
		{"1080p, repaired", pictures{{idr, large}}, 0, ResolutionExceeded},
		{"1080p where it is allowed", pictures{{large, idr}}, 1080, ""},
		{"1080p without a key frame", pictures{{large}, {idr}}, 0, ""},
		{"B slices", pictures{{b}, {b}, {b}, {b}}, 0, BFramePresent},
		{"what looks like a B slice, now and then", pictures{{b}, {b}, {b}}, 0, ""},
		{"a P slice", pictures{{{0x41, 0x9a, 0}}}, 0, ""},
		{"garbage", garbage, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, o := newQuietServer(t)
				s.MaxLines = c.lines
				f := onAir(t, s, "stage1.ann.p")
				for i, picture := range c.shows {
					f.Video(0, time.Duration(i)*time.Second/30, picture)
				}
				time.Sleep(2 * measureInterval)
				synctest.Wait()
				if c.want == "" {
					if slices.Contains(o.kinds(), "PUBLISH_ERROR ann") {
						t.Errorf("it is refused: %v", o.kinds())
					}
					return
				}
				if e := o.wait(t, PublishError, "ann", 1); e.ErrorCode != c.want {
					t.Errorf("event %+v", e)
				}
				o.wait(t, PublishStopped, "ann", 1)
			})
		})
	}
}

func TestCheckPicture(t *testing.T) {
	for is, want := range map[size]bool{
		{}: true, {1280, 720}: true, {720, 1280}: true, {960, 720}: true, {160, 90}: true,
		{1920, 1080}: false, {1282, 720}: false, {1280, 722}: false, {722, 1280}: false, {1280, 960}: false,
	} {
		if e := new(Server).CheckPicture(is.width, is.height); (e == nil) != want {
			t.Errorf("%v: %v", is, e)
		}
	}
	large := &Server{MaxLines: 1080}
	if e := large.CheckPicture(1920, 1080); e != nil {
		t.Error(e)
	}
	if e := large.CheckPicture(3840, 2160); e == nil || e.Code != ResolutionExceeded {
		t.Error(e)
	}
}

func TestStartsB(t *testing.T) {
	for _, c := range []struct {
		name    string
		payload []byte
		want    bool
	}{
		{"empty", nil, false},
		{"a header only", []byte{0x01}, false},
		{"B", []byte{0x01, 0xa0, 0}, true},
		{"all slices B", []byte{0x01, 0x9c, 0}, true},
		{"B, a later slice", []byte{0x01, 0x14, 0x80, 0}, true},
		{"P", []byte{0x41, 0xc0, 0}, false},
		{"I", []byte{0x41, 0xb0, 0}, false},
		{"IDR", []byte{0x65, 0x88, 0}, false},
		{"FU-A, start of a B", []byte{0x1c, 0x81, 0x9c, 0}, true},
		{"FU-A, middle", []byte{0x1c, 0x01, 0x9c, 0}, false},
		{"FU-A, nothing in it", []byte{0x1c, 0x81}, false},
		{"STAP-A with a B", []byte{0x18, 0, 2, 0x68, 0xce, 0, 3, 0x01, 0x9c, 0}, true},
		{"STAP-A, lies about a length", []byte{0x18, 0xff, 0xff, 0x01, 0x9c}, false},
	} {
		if got := startsB(c.payload); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestBSlicesOfEncoder looks for B slices in what x264 makes with and without them.
func TestBSlicesOfEncoder(t *testing.T) {
	for _, c := range []struct {
		frames string
		want   bool
	}{{"0", false}, {"2", true}} {
		stream, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=2",
			"-c:v", "libx264", "-preset", "fast", "-bf", c.frames, "-b_strategy", "0", "-slices", "2", "-f", "h264", "-").Output()
		if err != nil {
			t.Fatal(err)
		}
		units, found := 0, false
		for unit := range bytes.SplitSeq(stream, []byte{0, 0, 1}) {
			if len(unit) > 0 {
				units++
				found = found || startsB(unit)
			}
		}
		if units < 60 || found != c.want {
			t.Errorf("with -bf %s B slices are %v in %d units", c.frames, found, units)
		}
	}
}

func FuzzStartsB(f *testing.F) {
	f.Add([]byte{0x01, 0x9c, 0})
	f.Add([]byte{0x1c, 0x81, 0x9c, 0})
	f.Add([]byte{0x18, 0, 2, 0x68, 0xce, 0, 3, 0x01, 0x9c, 0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		before := bytes.Clone(payload)
		startsB(payload)
		if !bytes.Equal(before, payload) {
			t.Fatal("the payload was changed")
		}
	})
}

// TestAudience: who subscribes to several publishers is one subscriber.
func TestAudience(t *testing.T) {
	r := newRig(t, func(s *Server) { s.MaxSubscribers = 1 })
	r.publish(t, "stage1.alice.p", clientOptions{})
	r.publish(t, "stage1.carol.p", clientOptions{})
	first := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	r.subscribe(t, "stage1.bob.s", "carol", clientOptions{})
	full := func() bool {
		res, _ := r.newScreen(t, clientOptions{}).connect("/whip/subscribe/alice", "stage1.dave.s")
		return res != nil && res.StatusCode == 503
	}
	if !full() {
		t.Error("a second subscriber of one is let in")
	}
	if e := r.observer.wait(t, SubscribeError, "dave", 1); e.ErrorCode != QuotaExceeded || e.RemoteParticipant != "alice" {
		t.Errorf("event %+v", e)
	}
	r.do(t, "DELETE", first.location, "")
	closed(t, "one of bob's ends", first.ended)
	if !full() {
		t.Error("while bob is there")
	}
	r.Disconnect("stage1", "bob", "make room")
	r.subscribe(t, "stage1.dave.s", "alice", clientOptions{})
}
