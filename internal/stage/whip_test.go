package stage

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// TestAnswer checks everything that clients rely on in a 201.
func TestAnswer(t *testing.T) {
	r := newRig(t, func(s *Server) {
		s.PublicURL = func() string { return "https://live.example/" }
		s.PublicIPs = []string{"203.0.113.9"}
		s.ICEServers = []ICEServer{{URL: "stun:stun.example"}, {URL: "turn:turn.example?transport=udp", Username: "u", Credential: "p"}}
	})
	for _, path := range []string{"/", "/whip", "/whip/"} {
		c := r.newCamera(t, clientOptions{}) // its transceivers are sendrecv
		res, answer := r.do(t, "POST", path, c.offer(), "Content-Type", typeSDP, "Authorization", "bearer stage1.alice.p")
		if res.StatusCode != http.StatusCreated || !strings.HasPrefix(answer, "v=") {
			t.Fatalf("POST %s: %s\n%s", path, res.Status, answer)
		}
		for name, want := range map[string]string{
			"Content-Type": typeSDP, "Accept-Patch": typeFragment,
			"Link":                          `<stun:stun.example>; rel="ice-server",<turn:turn.example?transport=udp>; rel="ice-server"; username="u"; credential="p"; credential-type="password"`,
			"Access-Control-Allow-Origin":   "*",
			"Access-Control-Expose-Headers": "Location, ETag, Link, Accept-Patch",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if l := res.Header.Get("Location"); !strings.HasPrefix(l, "https://live.example/whip/sessions/") {
			t.Errorf("Location %q", l)
		}
		var desc sdp.SessionDescription
		if err := desc.UnmarshalString(answer); err != nil {
			t.Fatal(err)
		}
		if n := len(desc.MediaDescriptions); n != 2 {
			t.Fatalf("%d sections", n)
		}
		for _, m := range desc.MediaDescriptions {
			var candidates []string
			for _, a := range m.Attributes {
				if a.Key == "candidate" {
					candidates = append(candidates, a.Value)
				}
			}
			if len(candidates) != 4 || !strings.Contains(candidates[0], " udp ") || !strings.Contains(candidates[0], " 203.0.113.9 ") ||
				!strings.Contains(candidates[1], " 127.0.0.1 ") || !strings.HasSuffix(candidates[3], "typ host tcptype passive") {
				t.Errorf("candidates of %s: %q", m.MediaName.Media, candidates)
			}
			if _, ok := m.Attribute("recvonly"); !ok {
				t.Errorf("%s is not recvonly", m.MediaName.Media)
			}
			if ufrag, _ := m.Attribute("ice-ufrag"); res.Header.Get("ETag") != `"`+ufrag+`"` {
				t.Errorf("ETag %s, ufrag %s", res.Header.Get("ETag"), ufrag)
			}
			for _, a := range m.Attributes {
				if _, value, _ := strings.Cut(a.Value, " "); a.Key == "rtpmap" && !strings.HasPrefix(value, "H264/") && !strings.HasPrefix(value, "rtx/") && !strings.HasPrefix(value, "opus/") {
					t.Errorf("answer has %s", value)
				}
			}
		}
	}
}

// TestSubscribeAnswer checks directions and names of a subscriber's answer.
func TestSubscribeAnswer(t *testing.T) {
	r := newRig(t, nil)
	r.publish(t, "stage1.alice.p", clientOptions{})
	s := r.subscribe(t, "stage1.composer.sh", "alice", clientOptions{})
	if n := strings.Count(s.answer, "a=sendonly"); n != 2 {
		t.Errorf("%d sections are sendonly:\n%s", n, s.answer)
	}
	if !strings.Contains(s.answer, "msid:alice audio") || !strings.Contains(s.answer, "msid:alice video") {
		t.Errorf("tracks are not in one stream named after the publisher:\n%s", s.answer)
	}
	if !strings.HasPrefix(s.location, r.http.URL+"/whip/sessions/") {
		t.Errorf("Location %q", s.location)
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t, nil)
	offer := r.newCamera(t, clientOptions{}).offer()
	vp8Only := func(o string) string {
		var desc sdp.SessionDescription
		if err := desc.UnmarshalString(o); err != nil {
			t.Fatal(err)
		}
		for _, m := range desc.MediaDescriptions {
			var kept []sdp.Attribute
			for _, a := range m.Attributes {
				if !strings.Contains(a.Value, "H264/") {
					kept = append(kept, a)
				}
			}
			m.Attributes = kept
		}
		b, err := desc.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}(offer)
	audioOnly := r.newScreen(t, clientOptions{}, webrtc.RTPCodecTypeAudio).offer()
	for _, c := range []struct {
		name, path, token, body string
		typ                     string
		status                  int
		code                    Code
	}{
		{"no token", "/whip", "", offer, typeSDP, 401, TokenMissing},
		{"bad token", "/whip", string(TokenMalformed), offer, typeSDP, 401, TokenMalformed},
		{"expired token", "/", string(TokenExpired), offer, typeSDP, 401, TokenExpired},
		{"disconnected", "/", string(ParticipantDisconnected), offer, typeSDP, 403, ParticipantDisconnected},
		{"deleted stage", "/", string(StageNotFound), offer, typeSDP, 404, StageNotFound},
		{"subscribe-only token publishes", "/whip", "stage1.a.s", offer, typeSDP, 403, InsufficientCapability},
		{"publish-only token subscribes", "/whip/subscribe/x", "stage1.a.p", offer, typeSDP, 403, InsufficientCapability},
		{"garbage", "/whip", "stage1.a.p", "garbage", typeSDP, 400, InvalidInput},
		{"empty", "/whip", "stage1.a.p", "", typeSDP, 400, InvalidInput},
		{"no sections", "/whip", "stage1.a.p", "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", typeSDP, 400, InvalidInput},
		{"no fingerprint", "/whip", "stage1.a.p", strings.ReplaceAll(offer, "a=fingerprint", "a=x-nothing"), typeSDP, 400, InvalidInput},
		{"no credentials", "/whip", "stage1.a.p", strings.ReplaceAll(offer, "a=ice-ufrag", "a=x-nothing"), typeSDP, 400, InvalidInput},
		{"too long", "/whip", "stage1.a.p", offer + strings.Repeat("a=x\r\n", maxOffer/5), typeSDP, 413, InvalidInput},
		{"JSON", "/whip", "stage1.a.p", "{}", "application/json", 415, InvalidInput},
		{"no H.264", "/whip", "stage1.a.p", vp8Only, typeSDP, 400, InvalidVideoCodec},
		{"no video", "/whip", "stage1.a.p", audioOnly, typeSDP, 400, InvalidVideoCodec},
		{"no Opus", "/whip", "stage1.a.p", strings.ReplaceAll(offer, "opus/48000/2", "speex/48000/2"), typeSDP, 400, InvalidAudioCodec},
		{"no such publisher", "/whip/subscribe/nobody", "stage1.a.s", audioOnly, typeSDP, 404, PublisherNotFound},
		{"subscribe without H.264", "/whip/subscribe/nobody", "stage1.a.s", vp8Only, typeSDP, 400, InvalidVideoCodec},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := []string{"Content-Type", c.typ}
			if c.token != "" {
				headers = append(headers, "Authorization", "Bearer "+c.token)
			}
			res, body := r.do(t, "POST", c.path, c.body, headers...)
			var e struct {
				Code    Code
				Message string
			}
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				t.Fatalf("%s: %s: %v", res.Status, body, err)
			}
			if res.StatusCode != c.status || e.Code != c.code || e.Message == "" {
				t.Errorf("got %d %s %q, want %d %s", res.StatusCode, e.Code, e.Message, c.status, c.code)
			}
			if res.Header.Get("Content-Type") != "application/json" {
				t.Errorf("Content-Type %q", res.Header.Get("Content-Type"))
			}
			if (res.Header.Get("WWW-Authenticate") != "") != (c.status == 401) {
				t.Errorf("WWW-Authenticate: %q", res.Header.Get("WWW-Authenticate"))
			}
			if res.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Error("the page that asked cannot read the refusal")
			}
		})
	}
	if res, _ := r.do(t, "POST", "/whip", offer, "Content-Type", typeSDP, "Authorization", "Basic stage1.a.p"); res.StatusCode != 401 {
		t.Errorf("a token in Basic: %s", res.Status)
	}
	// Nothing is left of all that.
	eventually(t, "no stage is live", func() bool { return r.Stats().Stages == 0 && r.Stats().Publishers == 0 })
}

func TestOptions(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/", "/whip", "/whip/subscribe/x", "/whip/sessions/x"} {
		res, _ := r.do(t, "OPTIONS", path, "")
		if res.StatusCode != 200 || res.Header.Get("Access-Control-Allow-Origin") != "*" ||
			res.Header.Get("Access-Control-Allow-Headers") != "authorization, content-type, if-match" ||
			res.Header.Get("Access-Control-Allow-Methods") != "GET, POST, PUT, PATCH, DELETE, OPTIONS" {
			t.Errorf("OPTIONS %s: %s %v", path, res.Status, res.Header)
		}
	}
}

func TestDelete(t *testing.T) {
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	r.observer.wait(t, SubscribeStarted, "bob", 1)
	if res, body := r.do(t, "DELETE", cam.location, ""); res.StatusCode != 200 {
		t.Fatalf("%s: %s", res.Status, body)
	}
	if e := r.observer.wait(t, PublishStopped, "alice", 1); e.Reason == "" {
		t.Error("no reason")
	}
	closed(t, "the publisher's connection ends", cam.ended)
	closed(t, "the subscriber's connection ends", scr.ended)
	for _, location := range []string{cam.location, scr.location, r.http.URL + "/whip/sessions/unknown"} {
		for _, method := range []string{"DELETE", "PATCH"} {
			if res, _ := r.do(t, method, location, "", "Content-Type", typeFragment); res.StatusCode != 404 {
				t.Errorf("%s of a session that is over: %s", method, res.Status)
			}
		}
	}
}

// TestTrickle sends the client's candidates after the offer.
func TestTrickle(t *testing.T) {
	r := newRig(t, nil)
	c := r.newCamera(t, clientOptions{})
	full := c.offer()
	var bare, candidates []string
	for line := range strings.Lines(full) {
		if strings.HasPrefix(line, "a=candidate") {
			candidates = append(candidates, line)
		} else if !strings.HasPrefix(line, "a=end-of-candidates") {
			bare = append(bare, line)
		}
	}
	res, answer := r.do(t, "POST", "/whip", strings.Join(bare, ""), "Content-Type", typeSDP, "Authorization", "Bearer stage1.alice.p")
	if res.StatusCode != 201 {
		t.Fatal(res.Status, answer)
	}
	location, etag := res.Header.Get("Location"), res.Header.Get("ETag")
	frag := "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + strings.Join(candidates, "") + "a=end-of-candidates\r\n"
	for _, p := range []struct {
		name, match, typ, body string
		status                 int
	}{
		{"no If-Match", "", typeFragment, frag, 428},
		{"old If-Match", `"old"`, typeFragment, frag, 412},
		{"new credentials without *", etag, typeFragment, "a=ice-ufrag:abcdefgh\r\na=ice-pwd:0123456789012345678901\r\n" + frag, 412},
		{"wrong type", etag, typeSDP, frag, 415},
		{"not a fragment", etag, typeFragment, "hello\r\n", 400},
		{"bad candidate", etag, typeFragment, "a=mid:0\r\na=candidate:nonsense\r\n", 400},
		{"good", etag, typeFragment, frag, 204},
	} {
		headers := []string{"Content-Type", p.typ}
		if p.match != "" {
			headers = append(headers, "If-Match", p.match)
		}
		if res, body := r.do(t, "PATCH", location, p.body, headers...); res.StatusCode != p.status {
			t.Errorf("%s: %s %s, want %d", p.name, res.Status, body, p.status)
		}
	}
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	r.observer.wait(t, PublishStarted, "alice", 1)
}

// TestPublisherLimit fills a stage.
func TestPublisherLimit(t *testing.T) {
	r := newRig(t, func(s *Server) { s.MaxPublishers = 2 })
	first := r.publish(t, "stage1.a.p", clientOptions{})
	r.publish(t, "stage1.b.p", clientOptions{})
	c := r.newCamera(t, clientOptions{})
	res, body := c.connect("/whip", "stage1.c.p")
	if res == nil || res.StatusCode != 503 || !strings.Contains(body, string(QuotaExceeded)) {
		t.Fatalf("third publisher of two: %v %s", res, body)
	}
	if e := r.observer.wait(t, PublishError, "c", 1); e.ErrorCode != QuotaExceeded || e.SessionID == "" {
		t.Errorf("event %+v", e)
	}
	// One that is there already may come again, on another stage there is room, and after a leave here too.
	r.publish(t, "stage1.a.p", clientOptions{})
	closed(t, "the older publisher's connection ends", first.ended)
	r.publish(t, "stage2.x.p", clientOptions{})
	r.Disconnect("stage1", "b", "make room")
	r.publish(t, "stage1.c2.p", clientOptions{})
	if defaults := new(Server); defaults.maxPublishers() != 12 {
		t.Errorf("limit of IVS is 12, ours %d", defaults.maxPublishers())
	}
}

// TestLimitOfAllStages fills the server with publishers and with subscriptions, over two stages.
func TestLimitOfAllStages(t *testing.T) {
	r := newRig(t, func(s *Server) { s.MaxAllPublishers, s.MaxSubscriptions = 2, 2 })
	first := r.publish(t, "stage1.a.p", clientOptions{})
	r.publish(t, "stage2.b.p", clientOptions{})
	res, body := r.newCamera(t, clientOptions{}).connect("/whip", "stage1.c.p")
	if res == nil || res.StatusCode != 503 || !strings.Contains(body, "all stages together") {
		t.Fatalf("third publisher of two: %v %s", res, body)
	}
	if e := r.observer.wait(t, PublishError, "c", 1); e.ErrorCode != QuotaExceeded {
		t.Errorf("event %+v", e)
	}
	// One that is there already may come again, without another seat; who leaves makes room for one.
	r.publish(t, "stage1.a.p", clientOptions{})
	closed(t, "the older publisher's connection ends", first.ended)
	r.Disconnect("stage1", "a", "make room")
	r.publish(t, "stage3.c.p", clientOptions{})
	if res, body := r.newCamera(t, clientOptions{}).connect("/whip", "stage1.d.p"); res == nil || res.StatusCode != 503 {
		t.Fatalf("third publisher of two, after one has left: %v %s", res, body)
	}

	r.subscribe(t, "stage2.x.s", "b", clientOptions{})
	r.subscribe(t, "stage3.y.s", "c", clientOptions{})
	r.subscribe(t, "stage3.composer.sh", "c", clientOptions{})
	if res, body := r.newScreen(t, clientOptions{}).connect("/whip/subscribe/b", "stage2.z.s"); res == nil || res.StatusCode != 503 || !strings.Contains(body, "all stages together") {
		t.Fatalf("third subscription of two: %v %s", res, body)
	}
	r.Disconnect("stage3", "y", "make room")
	r.subscribe(t, "stage2.z.s", "b", clientOptions{})
}

// TestResuming: a participant whose newer publish session is not connected yet resumes, for those who asked for the
// extended snapshot.
func TestResuming(t *testing.T) {
	st := newStage(&Server{Log: slog.New(slog.DiscardHandler)}, "stage1")
	p := &participant{grant: Grant{ParticipantID: "alice"}, publisher: &publisher{}}
	st.present = append(st.present, p)
	resumes := func(extended bool) bool { return strings.Contains(string(st.state(extended)), `"resuming":true`) }
	if resumes(true) {
		t.Error("resumes with a first session")
	}
	p.publisher.resumes = true
	if !resumes(true) || resumes(false) {
		t.Errorf("resumes: extended %v, plain %v", resumes(true), resumes(false))
	}
	p.publisher.connected = true
	if resumes(true) {
		t.Error("resumes although it is connected")
	}
}

// TestReplacedPublisher publishes twice with one token: the participant stays, its subscribers do not.
func TestReplacedPublisher(t *testing.T) {
	r := newRig(t, nil)
	watcher := r.mustOpen(t, "stage1.composer.sh")
	send(t, watcher, `{"type":"HELLO","ext":1}`)
	old := r.publish(t, "stage1.alice.p", clientOptions{})
	awaitPeople(t, watcher, "alice*")
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	r.observer.wait(t, SubscribeStarted, "bob", 1)
	fresh := r.publish(t, "stage1.alice.p", clientOptions{})
	closed(t, "the older publisher's connection ends", old.ended)
	closed(t, "its subscriber's connection ends", scr.ended)
	if e := r.observer.wait(t, PublishStopped, "alice", 1); !strings.Contains(e.Reason, "took over") {
		t.Errorf("reason %q", e.Reason)
	}
	again := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	defer fresh.roll(1)()
	next(t, again.video)
	want := []string{
		"SESSION_STARTED", "JOINED alice", "PUBLISH_STARTED alice", "SUBSCRIBE_STARTED bob",
		"PUBLISH_STOPPED alice", "SUBSCRIBE_STOPPED bob", "PUBLISH_STARTED alice", "SUBSCRIBE_STARTED bob",
	}
	r.observer.wait(t, SubscribeStarted, "bob", 2)
	if got := r.observer.kinds(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("events %v\nwant   %v", got, want)
	}
	// To those who asked for it, alice publishes or resumes all the time until she leaves.
	r.Disconnect("stage1", "alice", "the test is over")
	for {
		s, err := read(t, watcher)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Payload.Participants) == 0 {
			break
		}
		if p := s.Payload.Participants[0]; !p.IsPublishing && !p.Resuming {
			t.Errorf("snapshot %+v", p)
		}
	}
}

// TestMaxSubscribers bounds the sessions of a stage, but not the composer's.
func TestMaxSubscribers(t *testing.T) {
	r := newRig(t, func(s *Server) { s.MaxSubscribers = 1 })
	r.publish(t, "stage1.alice.p", clientOptions{})
	r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	if res, _ := r.newScreen(t, clientOptions{}).connect("/whip/subscribe/alice", "stage1.carol.s"); res == nil || res.StatusCode != 503 {
		t.Fatalf("second subscriber of one: %v", res)
	}
	r.subscribe(t, "stage1.composer.sh", "alice", clientOptions{})
}
