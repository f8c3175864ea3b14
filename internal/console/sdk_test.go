package console

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/internal/token"
)

// apps serves testdata/apps from an origin of its own, as an app's pages are; SDK in them stands for the address of the
// house's stage client.
func (h *house) apps() *httptest.Server {
	h.t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := filepath.Base(r.URL.Path)
		data, err := os.ReadFile(filepath.Join("testdata", "apps", name))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", contentTypes[filepath.Ext(name)])
		_, _ = w.Write([]byte(strings.ReplaceAll(string(data), "SDK/", "http://"+h.httpAddr+"/sdk/")))
	}))
	h.t.Cleanup(web.Close)
	return web
}

// app opens one of the apps with a token, and what else its fragment holds.
func (h *house) app(web *httptest.Server, name, token string, more ...string) *page {
	h.t.Helper()
	fragment := url.Values{"token": {token}}
	for i := 0; i+1 < len(more); i += 2 {
		fragment.Set(more[i], more[i+1])
	}
	return open(h.t, fmt.Sprintf("%s/%s#%s", web.URL, name, fragment.Encode()), desktop)
}

// awaitLog waits until the app's stage has told something.
func (p *page) awaitLog(line string) {
	p.t.Helper()
	p.await("the stage tells: "+line, fmt.Sprintf(`window.judge?.log.includes(%q)`, line))
}

func (p *page) awaitSeen(participant string) {
	p.t.Helper()
	p.await(participant+" is seen", fmt.Sprintf(`await judge.seen(%q)`, participant))
}

func (p *page) awaitHeard(participant string) {
	p.t.Helper()
	p.await(participant+" is heard", fmt.Sprintf(`await judge.heard(%q)`, participant))
}

// checkOrder fails unless the app's stage told these lines in this order, others between them or not.
func (p *page) checkOrder(lines ...string) {
	p.t.Helper()
	log := evaluate[[]string](p, "judge.log")
	rest := log
	for _, line := range lines {
		for len(rest) > 0 && rest[0] != line {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			p.t.Fatalf("the stage did not tell %q in its place; it told:\n%s", line, strings.Join(log, "\n"))
		}
		rest = rest[1:]
	}
}

func TestSDKHello(t *testing.T) {
	h := newHouse(t, nil)
	web := h.apps()
	ann := h.app(web, "hello.html", h.token("ann", nil))
	ann.awaitLog("publish ann published")
	ben := h.app(web, "hello.html", h.token("ben", nil))
	for p, other := range map[*page]string{ann: "ben", ben: "ann"} {
		p.awaitSeen(other)
		p.awaitHeard(other)
	}
	ann.checkOrder("connection connecting", "connection connected", "joined ann", "publish ann attempting_publish", "added ann audio+video",
		"publish ann published", "joined ben", "publish ben published", "subscribe ben attempting_subscribe", "subscribe ben subscribed", "added ben audio+video")
	ann.await("our own preview plays", `judge.frames("ann") > 0`)

	// Muting, at the app's and at the other's end.
	ben.run(`app.microphone.setMuted(true)`)
	ben.awaitLog("muted ben audio")
	ann.awaitLog("muted ben audio")
	ann.await("ben is silent", `!(await judge.heard("ben"))`)
	ben.run(`app.microphone.setMuted(false)`)
	ann.awaitLog("unmuted ben audio")
	ann.awaitHeard("ben")

	// Sound only from now on: the same connection goes on.
	ben.run(`app.strategy.stageStreamsToPublish = () => [app.microphone]; app.stage.refreshStrategy()`)
	ben.awaitLog("removed ben video")
	ann.awaitLog("muted ben video")
	ann.awaitHeard("ben")

	// The server goes and comes back: everybody is together again, without the app's doing.
	h.stop()
	ann.await("the stage is away", `!app.connected`)
	h.start()
	ann.await("the stage is back", `app.connected`)
	ann.awaitHeard("ben")
	ben.awaitSeen("ann")

	ben.run(`app.stage.leave()`)
	ben.awaitLog("stage left user-initiated")
	ben.checkOrder("publish ben not_published", "removed ann audio+video", "left ann", "connection disconnected", "stage left user-initiated")
	ann.awaitLog("left ben")
	ann.await("nothing is left of ben", `judge.kinds("ben") === ""`)

	// Again, by the same object.
	ben.run(`app.stage.join()`)
	ann.awaitHeard("ben")

	h.disconnect("ann")
	ann.awaitLog("stage left participant-disconnected")
	ann.awaitLog("error JOIN_ERROR 10")
	ben.awaitLog("left ann")
}

func TestSDKAudience(t *testing.T) {
	h := newHouse(t, nil)
	web := h.apps()
	mute := func(c *token.Claims) { c.Capabilities = token.Capabilities{AllowSubscribe: true} }
	zoe := h.app(web, "listen.html", h.token("zoe", mute))
	ann := h.app(web, "hello.html", h.token("ann", nil))
	ann.awaitLog("publish ann published")
	zoe.awaitSeen("ann")
	zoe.awaitHeard("ann")
	zoe.run(`app.take("audio_only")`)
	zoe.await("only sound comes", `judge.kinds("ann") === "audio"`)
	zoe.awaitHeard("ann")
	zoe.run(`app.take("none")`)
	zoe.await("nothing comes", `judge.kinds("ann") === ""`)
	zoe.awaitLog("subscribe ann not_subscribed")
	zoe.run(`app.take("audio_video")`)
	zoe.awaitSeen("ann")
	if log := strings.Join(evaluate[[]string](ann, "judge.log"), "\n"); !strings.Contains(log, "joined zoe") || strings.Contains(log, "publish zoe") {
		t.Errorf("ann was told of zoe:\n%s", log)
	}

	// The same token in a second page takes the place of the first.
	again := h.app(web, "listen.html", h.token("zoe", mute))
	again.awaitSeen("ann")
	zoe.awaitLog("stage left token-reused")
}

func TestSDKShare(t *testing.T) {
	h := newHouse(t, nil)
	web := h.apps()
	zoe := h.app(web, "listen.html", h.token("zoe", nil))
	ann := h.app(web, "share.html", h.token("ann", nil), "second", h.token("screen", nil))
	ann.awaitLog("joined person")
	ann.awaitLog("joined share")
	zoe.awaitHeard("ann")
	zoe.awaitSeen("screen")
	// What somebody does not send is no stream.
	zoe.await("ann is a voice", `judge.kinds("ann") === "audio"`)
	zoe.await("the screen is a picture", `judge.kinds("screen") === "video"`)
	ann.run(`app.replace()`)
	zoe.awaitLog("publish screen not_published")
	zoe.await("the screen is gone", `judge.kinds("screen") === ""`)
	ann.run(`app.stopSharing()`)
	ann.awaitLog("stage left share user-initiated")
	zoe.awaitHeard("ann")
}

func TestSDKLayersAndMessages(t *testing.T) {
	h := newHouse(t, nil)
	web := h.apps()
	ann := h.app(web, "layers.html", h.token("ann", nil), "publish", "1")
	ben := h.app(web, "layers.html", h.token("ben", nil))
	ben.awaitSeen("ann")
	ann.await("two layers flow", `(await app.layers()) === "hi 640x360, low 320x180"`)
	if !evaluate[bool](ann, "IVSBroadcastClient.isSupported().seiMessages") {
		t.Fatal("this browser has no encoded transforms")
	}
	ann.run(`app.say("cue 1 \u{1F3AC}\0\0\0\1", { repeatCount: 3 })`)
	ben.await("the message came", `app.messages.includes("ann 666f6f74-6c69-6768-742d-7365692d7631 cue 1 \u{1F3AC}\0\0\0\1")`)
	ben.awaitSeen("ann")
	for _, wrong := range []string{`app.say("")`, `app.say("x".repeat(1024))`, `app.say("x", { repeatCount: 31 })`, `app.say("x".repeat(1000), { repeatCount: 30 })`} {
		if evaluate[bool](ann, fmt.Sprintf(`(() => { try { %s; return true } catch { return false } })()`, wrong)) {
			t.Errorf("%s was taken", wrong)
		}
	}
}

func TestSDKExchange(t *testing.T) {
	h := newHouse(t, nil)
	web := h.apps()
	zoe := h.app(web, "listen.html", h.token("zoe", nil))
	ann := h.app(web, "hello.html", h.token("ann", nil))
	zoe.awaitSeen("ann")
	exchange := func(change func(*token.Claims)) string {
		return fmt.Sprintf(`app.stage.exchangeToken(%q).then(() => "taken", (e) => e.category + " " + e.code)`, h.token("ann", change))
	}
	featured := func(c *token.Claims) { c.Attributes["featured"] = "true" }
	if got := evaluate[string](ann, exchange(featured)); got != "taken" {
		t.Fatalf("the exchange: %s", got)
	}
	zoe.awaitLog("metadata ann true")
	ann.awaitLog("metadata ann true")
	zoe.awaitSeen("ann")
	// The new token is the one that counts from now on, also after a restart of the media connection.
	ann.run(`app.strategy.stageStreamsToPublish = () => []; app.stage.refreshStrategy(); app.strategy.stageStreamsToPublish = () => [app.camera, app.microphone]; app.stage.refreshStrategy()`)
	ann.awaitLog("publish ann not_published")
	zoe.awaitSeen("ann")
	// Without the right to publish the picture ends at once, and the stage is not left.
	if got := evaluate[string](ann, exchange(func(c *token.Claims) { c.Capabilities.AllowPublish = false })); got != "taken" {
		t.Fatalf("the exchange: %s", got)
	}
	zoe.awaitLog("publish ann not_published")
	if evaluate[bool](ann, `!app.connected`) {
		t.Error("ann is off the stage")
	}
	for script, want := range map[string]string{
		`app.stage.exchangeToken("nonsense").catch((e) => e.category + " " + e.code)`: "TOKEN_EXCHANGE_ERROR 11",
		exchange(func(c *token.Claims) { c.ParticipantID = "ben" }):                   "TOKEN_EXCHANGE_ERROR 12",
	} {
		if got := evaluate[string](ann, script); got != want {
			t.Errorf("a wrong exchange: %s, want %s", got, want)
		}
	}
}

// TestSDKManual runs the page of docs/web-sdk.md as it stands there.
func TestSDKManual(t *testing.T) {
	h := newHouse(t, nil)
	manual, err := os.ReadFile("../../docs/web-sdk.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(manual), "```html\n")
	html, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/web-sdk.md has no page")
	}
	html = strings.ReplaceAll(html, "127.0.0.1:4080", h.httpAddr)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentTypes[".html"])
		_, _ = w.Write([]byte(html))
	}))
	t.Cleanup(web.Close)
	ann := open(t, web.URL+"/#token="+h.token("ann", nil), desktop)
	ann.await("our own picture", `document.getElementById("person-ann")?.videoWidth > 0`)
	ben := open(t, web.URL+"/#token="+h.token("ben", nil), desktop)
	for p, other := range map[*page]string{ann: "ben", ben: "ann"} {
		p.await(other+" moves", fmt.Sprintf(`document.getElementById("person-%s")?.currentTime > 0.5`, other))
	}
	ben.close()
	ann.await("ben is gone", `!document.getElementById("person-ben")`)
	expired := h.token("cid", func(c *token.Claims) { c.Expires = c.IssuedAt - 10 })
	open(t, web.URL+"/#token="+expired, desktop).await("why nobody joins", `document.body.innerText.includes("expired")`)
}

func TestSDKRefusals(t *testing.T) {
	h := newHouse(t, nil)
	web := h.apps()
	expired := h.token("ann", func(c *token.Claims) { c.Expires = c.IssuedAt - 10 })
	for token, want := range map[string]string{"nonsense": "join rejected 1", expired: "join rejected 2"} {
		p := h.app(web, "listen.html", token)
		p.awaitLog(want)
	}
	deaf := h.token("deaf", func(c *token.Claims) { c.Capabilities = token.Capabilities{AllowPublish: true} })
	ann := h.app(web, "hello.html", h.token("ann", nil))
	ann.awaitLog("publish ann published")
	p := h.app(web, "hello.html", deaf)
	p.awaitLog("publish deaf published")
	ann.awaitSeen("deaf")
	if evaluate[string](p, `judge.kinds("ann")`) != "" {
		t.Error("who may not subscribe did")
	}
}
