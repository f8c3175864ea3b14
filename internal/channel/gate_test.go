package channel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// gate lets in who says the word. The test's goroutine alone uses it.
type gate struct {
	grant   Grant
	err     error
	seen    []Viewing
	revoked int64 // sessions up to this version; -1: none
}

func (g *gate) AdmitViewer(_ context.Context, v Viewing) (Grant, error) {
	g.seen = append(g.seen, v)
	if v.Token != "word" {
		return Grant{}, Denied{"token_invalid", "say the word"}
	}
	return g.grant, g.err
}

func (g *gate) ViewerRevoked(channelARN, viewer string, version int64) bool {
	return channelARN == testARN && viewer == "ann" && version <= g.revoked
}

// guardedBench is a private channel that is live.
func guardedBench(t *testing.T, g *gate) *bench {
	b := newBench(t, directory{authorized: true, fragmented: true})
	if g != nil {
		b.Gate = g
	}
	e := b.mustConnect(plainKey)
	e.run(6)
	return b
}

// enter loads the multivariant playlist and returns the folder of the session in it.
func (b *bench) enter(header ...string) string {
	b.t.Helper()
	w := b.get(testPath+"?token=word", header...)
	if w.Code != http.StatusOK {
		b.t.Fatalf("status %d %s", w.Code, w.Body)
	}
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	folder, ok := strings.CutSuffix(lines[len(lines)-1], mediaPlaylist)
	if !ok || !strings.HasPrefix(folder, testName+"/") {
		b.t.Fatalf("the media playlist is %s", lines[len(lines)-1])
	}
	return playbackRoot + folder
}

// denied expects a refusal that the page can read.
func denied(t *testing.T, what string, w *httptest.ResponseRecorder, code string) {
	t.Helper()
	h := w.Header()
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), `"error_code":"`+code+`"`) ||
		h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "application/json" {
		t.Errorf("%s: status %d, %v, %s; want %s", what, w.Code, h, w.Body, code)
	}
}

// children are the addresses of everything in a session's media playlist.
func (b *bench) children(folder string, header ...string) []string {
	b.t.Helper()
	w := b.get(folder+mediaPlaylist, header...)
	p, err := playlist.Unmarshal(w.Body.Bytes())
	if err != nil || w.Code != http.StatusOK {
		b.t.Fatalf("status %d %s: %v", w.Code, w.Body, err)
	}
	m := p.(*playlist.Media)
	all := []string{folder + m.Map.URI}
	for _, s := range m.Segments {
		all = append(all, folder+s.URI)
		for _, part := range s.Parts {
			all = append(all, folder+part.URI)
		}
	}
	return all
}

func TestPrivateChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{revoked: -1}
		b := guardedBench(t, g)
		denied(t, "no token", b.get(testPath), "token_invalid")
		denied(t, "another token", b.get(testPath+"?token=sesame"), "token_invalid")
		folder := b.enter("Origin", "https://a.example")
		if last := g.seen[len(g.seen)-1]; last.ChannelARN != testARN || last.Origin != "https://a.example" || !last.Address.IsValid() || last.Probe {
			t.Errorf("the gate saw %+v", last)
		}
		children := b.children(folder)
		if len(children) < 10 {
			t.Fatalf("%d children", len(children))
		}
		for _, u := range children {
			w := b.get(u)
			if h := w.Header(); w.Code != 200 || h.Get("Cache-Control") != "private, max-age=31536000, immutable" || h.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: status %d, %v", u, w.Code, h)
			}
			// The same file without the session, and with another one.
			name := u[strings.LastIndex(u, "/")+1:]
			denied(t, "no session", b.get(playbackRoot+testName+"/"+name), "session_invalid")
			denied(t, "made-up session", b.get(playbackRoot+testName+"/"+strings.Repeat("A", 64)+"/"+name), "session_invalid")
		}
		denied(t, "no session", b.get(playbackRoot+testName+"/"+mediaPlaylist), "session_invalid")
		denied(t, "the token in place of a session", b.get(playbackRoot+testName+"/"+mediaPlaylist+"?token=word"), "session_invalid")
		if h := b.get(folder + mediaPlaylist).Header(); h.Get("Cache-Control") != "private, no-cache" {
			t.Errorf("playlist: %v", h)
		}
		if w := b.get(folder + "nothing.m4s"); w.Code != 404 {
			t.Errorf("status %d", w.Code)
		}
		if s, _ := b.Stream(testARN); s.ViewerCount != 1 {
			t.Errorf("%d viewers, want 1", s.ViewerCount)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodHead, testPath+"?token=word", nil)
		b.Handler().ServeHTTP(httptest.NewRecorder(), r)
		if !g.seen[len(g.seen)-1].Probe {
			t.Error("HEAD plays")
		}
		time.Sleep(sessionLength)
		denied(t, "over", b.get(folder+mediaPlaylist), "session_invalid")
	})
}

func TestPrivateChannelWithoutGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := guardedBench(t, nil)
		denied(t, "multivariant", b.get(testPath+"?token=word"), "unauthorized")
		denied(t, "media", b.get(playbackRoot+testName+"/"+mediaPlaylist), "session_invalid")
	})
}

func TestRevocationCutsPlayback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{grant: Grant{Viewer: "ann", Version: 3}, revoked: -1}
		b := guardedBench(t, g)
		folder := b.enter()
		all := append(b.children(folder), folder+mediaPlaylist)
		g.revoked = 2
		for _, u := range all {
			if w := b.get(u); w.Code != 200 {
				t.Errorf("%s: status %d", u, w.Code)
			}
		}
		g.revoked = 3
		for _, u := range all {
			denied(t, u, b.get(u), "session_revoked")
		}
		g.grant.Version = 4
		if w := b.get(b.enter() + mediaPlaylist); w.Code != 200 {
			t.Errorf("a higher version: status %d", w.Code)
		}
	})
}

func TestOriginEnforcement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const home = "https://home.example"
		g := &gate{grant: Grant{Origin: home}, revoked: -1}
		b := guardedBench(t, g)
		allowed := func(what string, w *httptest.ResponseRecorder, want string) {
			t.Helper()
			if h := w.Header(); w.Code != 200 || h.Get("Access-Control-Allow-Origin") != want || (want != "*") != (h.Get("Vary") == "Origin") {
				t.Errorf("%s: status %d, %v", what, w.Code, h)
			}
		}
		allowed("multivariant", b.get(testPath+"?token=word", "Origin", home), home)
		for _, u := range b.children(b.enter()) {
			allowed(u, b.get(u, "Origin", "https://other.example"), "*")
		}
		g.grant.Strict = true
		folder := b.enter("Origin", home)
		for _, u := range append(b.children(folder, "Origin", home), folder+mediaPlaylist) {
			allowed(u, b.get(u, "Origin", home), home)
			denied(t, u, b.get(u), "origin_not_allowed")
			denied(t, u, b.get(u, "Origin", "https://other.example"), "origin_not_allowed")
		}
	})
}

func TestMaximumResolution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{grant: Grant{Limit: SD}, revoked: -1}
		b := guardedBench(t, g)
		if w := b.get(b.enter() + mediaPlaylist); w.Code != 200 {
			t.Errorf("180 lines in SD: status %d", w.Code)
		}
	})
	for _, c := range []struct {
		limit         Resolution
		width, height int
		want          bool
	}{
		{SD, 854, 480, true}, {SD, 480, 854, true}, {SD, 856, 482, false}, {HD, 1280, 720, true}, {HD, 1920, 1080, false},
		{FullHD, 1920, 1080, true}, {FullHD, 2560, 1440, false}, {"", 3840, 2160, true}, {SD, 0, 0, true},
	} {
		if got := c.limit.holds(c.width, c.height); got != c.want {
			t.Errorf("%s holds %dx%d: %v", c.limit, c.width, c.height, got)
		}
	}
}

func TestPictureTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{revoked: -1}
		b := guardedBench(t, g)
		l := b.find(testARN)
		folder := playbackRoot + testName + "/" + b.seals.seal(testARN, newSession(Grant{Limit: SD}, time.Now())) + "/"
		list := slices.Clone(*l.renditions.Load())
		list[0].width, list[0].height = 1280, 720
		l.renditions.Store(&list)
		g.grant.Limit = SD
		denied(t, "multivariant", b.get(testPath+"?token=word"), "resolution_not_allowed")
		denied(t, "media", b.get(folder+mediaPlaylist), "resolution_not_allowed")
		g.grant.Limit = HD
		b.enter()
	})
}

func TestGateFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{err: errors.New("the store is away"), revoked: -1}
		b := guardedBench(t, g)
		w := b.get(testPath + "?token=word")
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "store") {
			t.Errorf("status %d %s", w.Code, w.Body)
		}
		g.err = ErrUnknownChannel
		if w := b.get(testPath + "?token=word"); w.Code != 404 || w.Body.String() != offlineBody {
			t.Errorf("status %d %s", w.Code, w.Body)
		}
	})
}

// TestSessionOutlivesRestart watches on with a server that has the same key.
func TestSessionOutlivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := ""
		for _, key := range []string{"one", "one", "two"} {
			b := newBench(t, directory{restricted: true})
			b.Gate, b.seals.key = &gate{revoked: -1}, []byte(key)
			b.mustConnect(plainKey).run(2)
			if folder == "" {
				folder = b.enter()
			}
			w := b.get(folder + mediaPlaylist)
			if want := map[string]int{"one": 200, "two": 403}[key]; w.Code != want {
				t.Errorf("key %s: status %d", key, w.Code)
			}
			b.Close()
		}
	})
}

func TestSessionSeal(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	k := seals{key: []byte("key")}
	for _, g := range []Grant{
		{}, {Viewer: "ann", Version: 1 << 62, Origin: "https://a.example:8443", Strict: true, Limit: FullHD}, {Limit: SD},
		{Viewer: strings.Repeat("ü", 40), Version: -1, Origin: "https://" + strings.Repeat("a", 290)},
	} {
		s := newSession(g, now)
		text := k.seal(testARN, s)
		got, ok := k.open(testARN, text, now)
		if !ok || got.Grant != g || got.id != s.id || !got.expires.Equal(s.expires) {
			t.Errorf("%+v became %+v, %v", s, got, ok)
		}
		if _, ok := k.open(testARN+"x", text, now); ok {
			t.Error("opens another channel")
		}
		if _, ok := (seals{key: []byte("other")}).open(testARN, text, now); ok {
			t.Error("another key's")
		}
		if _, ok := k.open(testARN, text, now.Add(sessionLength)); ok {
			t.Error("over, and opens")
		}
		for i := range len(text) {
			c := byte('A')
			if text[i] == c {
				c = 'B'
			}
			if _, ok := k.open(testARN, text[:i]+string(c)+text[i+1:], now); ok {
				t.Errorf("character %d can be changed", i)
			}
			for _, more := range []string{"\n", "\r", "="} {
				if _, ok := k.open(testARN, text[:i]+more+text[i:], now); ok {
					t.Errorf("%q can stand before character %d", more, i)
				}
			}
		}
	}
}

func FuzzSession(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	k := seals{key: []byte("key")}
	f.Add([]byte(k.seal(testARN, newSession(Grant{Viewer: "ann", Origin: "https://a.example"}, now))), []byte("x"))
	f.Fuzz(func(t *testing.T, text, body []byte) {
		k.open(testARN, string(text), now)
		if s, ok := parseSession(body); ok && len(s.id) != viewerIDLength {
			t.Errorf("%+v", s)
		}
	})
}

// BenchmarkSession is what a private channel costs with every request.
func BenchmarkSession(b *testing.B) {
	now := time.Now()
	k := seals{key: make([]byte, 32)}
	text := k.seal(testARN, newSession(Grant{Viewer: "ann", Origin: "https://a.example"}, now))
	for b.Loop() {
		if _, ok := k.open(testARN, text, now); !ok {
			b.Fatal("not ours")
		}
	}
}

func TestMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		if err := b.PutMetadata(testARN, "x"); !errors.Is(err, ErrNotLive) {
			t.Errorf("offline: %v", err)
		}
		e := b.mustConnect(plainKey)
		if err := b.PutMetadata(testARN, "x"); !errors.Is(err, ErrNotLive) {
			t.Errorf("nothing playable: %v", err)
		}
		e.run(3)
		if err := b.PutMetadata(testARN, "goal"); err != nil {
			t.Fatal(err)
		}
		e.run(1)
		m := b.playlist()
		found := 0
		for _, s := range m.Segments {
			found += strings.Count(b.get(playbackRoot+testName+"/"+s.URI).Body.String(), "goal")
		}
		for _, p := range m.Parts {
			found += strings.Count(b.get(playbackRoot+testName+"/"+p.URI).Body.String(), "goal")
		}
		if found != 1 {
			t.Errorf("the text is in %d segments and parts", found)
		}
		e.leave(true)
		if err := b.PutMetadata(testARN, "x"); !errors.Is(err, ErrNotLive) {
			t.Errorf("ended: %v", err)
		}
	})
}

func TestInsertAdBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, directory{})
		if _, err := b.InsertAdBreak(testARN, "break0000001", time.Second); !errors.Is(err, ErrNotLive) {
			t.Errorf("offline: %v", err)
		}
		e := b.mustConnect(plainKey)
		e.run(3)
		a, err := b.InsertAdBreak(testARN, "break0000001", 2*time.Second)
		if err != nil || a.ID != "break0000001" || a.Duration != 2*time.Second || time.Since(a.Start).Abs() > time.Second {
			t.Fatalf("%+v, %v", a, err)
		}
		text := b.get(playbackRoot + testName + "/live.m3u8").Body.String()
		if !strings.Contains(text, fmt.Sprintf(`START-DATE=%q,PLANNED-DURATION=2.00000,SCTE35-OUT=0x`, a.Start.UTC().Format("2006-01-02T15:04:05.000Z"))) || strings.Contains(text, "SCTE35-IN") {
			t.Errorf("playlist\n%s", text)
		}
		e.run(1)
		if _, err := b.InsertAdBreak(testARN, "break0000002", time.Second); !errors.Is(err, ErrInAdBreak) {
			t.Errorf("a second break: %v", err)
		}
		e.run(1.2)
		if text := b.get(playbackRoot + testName + "/live.m3u8").Body.String(); strings.Count(text, "#EXT-X-DATERANGE") != 1 || !strings.Contains(text, "SCTE35-IN=0x") {
			t.Errorf("playlist\n%s", text)
		}
		if _, err := b.InsertAdBreak(testARN, "break0000003", time.Second); err != nil {
			t.Errorf("after the break: %v", err)
		}
		events := b.events.await(t, 4)
		if x := events[2]; x.Kind != AdBreakInserted || x.AdBreak == nil || *x.AdBreak != a {
			t.Errorf("event %+v", x)
		}
		e.run(30)
		if text := b.get(playbackRoot + testName + "/live.m3u8").Body.String(); strings.Contains(text, "DATERANGE") {
			t.Errorf("long over:\n%s", text)
		}
	})
}
