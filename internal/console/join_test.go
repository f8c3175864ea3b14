package console

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/token"
)

// tile is the video of a participant in a page's grid.
func tile(participant string) string {
	return fmt.Sprintf(`document.querySelector('[data-participant="%s"] video')`, participant)
}

// awaitPicture waits until a participant's picture moves in a page.
func (p *page) awaitPicture(participant string) {
	p.t.Helper()
	p.await(participant+" has a picture", fmt.Sprintf(`%s?.videoWidth > 0`, tile(participant)))
	at := evaluate[float64](p, tile(participant)+".currentTime")
	p.await(participant+"'s picture moves", fmt.Sprintf(`%s?.currentTime > %f + 0.5`, tile(participant), at))
}

// awaitSound waits until sound other than silence arrives from a participant.
func (p *page) awaitSound(participant string) {
	p.t.Helper()
	p.await(participant+" is heard", level(participant)+" > 0.001")
}

// level is the loudness of a participant in a page.
func level(participant string) string {
	return fmt.Sprintf(`(await footlight.room.members.find((m) => m.id === %q)?.subscriber?.audioLevel())`, participant)
}

func TestJoin(t *testing.T) {
	h := newHouse(t, nil)
	ann := h.join("ann", "camera")
	ann.awaitText("status", "On stage")
	ben := h.join("ben", "pattern")

	ann.awaitPicture("ann") // the local preview
	ann.awaitPicture("ben")
	ann.awaitSound("ben")
	ben.awaitPicture("ann")
	ben.awaitSound("ann")
	ann.awaitText("count", "2")
	if names := evaluate[string](ann, `document.getElementById("grid").innerText`); !strings.Contains(names, "ann (you)") || !strings.Contains(names, "ben") {
		t.Errorf("the grid names %q", names)
	}
	if width := evaluate[int](ben, `footlight.source.stream.getVideoTracks()[0].getSettings().width ?? `+tile("ben")+`.videoWidth`); width != 640 {
		t.Errorf("ben sends a picture %d wide, want the 640 of the chosen quality", width)
	}

	ben.click("leave")
	ben.awaitText("message", "You left the stage")
	ann.await("ben is gone", `document.querySelectorAll("[data-participant]").length === 1`)
	ann.awaitText("count", "1")
	if on := evaluate[bool](ben, `footlight.room !== undefined`); on {
		t.Error("the room outlived leaving")
	}

	// Again, by the same page and the same token.
	ben.click("join")
	ann.awaitPicture("ben")
	ann.click("leave")
	ann.awaitText("message", "You left the stage")
}

func TestMute(t *testing.T) {
	h := newHouse(t, nil)
	ann := h.join("ann", "pattern")
	ben := h.join("ben", "pattern")
	ben.awaitPicture("ann")
	ben.awaitSound("ann")

	ann.click("mute-mic")
	ann.awaitText("mute-mic", "Unmute")
	ben.await("ann is silent", level("ann")+" < 0.001")
	ben.await("ann's tile says that she is muted", marks("ann")+` === "#i-mic-off"`)
	ann.run(`document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "m", bubbles: true }))`)
	ben.awaitSound("ann")
	ben.await("ann's tile says nothing of muting", marks("ann")+` === ""`)

	ann.click("mute-camera")
	ann.await("ann's own tile shows initials", `document.querySelector("[data-participant=ann].faceless .avatar")?.textContent === "A"`)
	// What others get is black, and keeps coming.
	ben.await("ann's picture is black", `(() => {
		const c = new OffscreenCanvas(16, 9).getContext("2d");
		c.drawImage(`+tile("ann")+`, 0, 0, 16, 9);
		return c.getImageData(0, 0, 16, 9).data.every((v, i) => i % 4 === 3 || v < 24);
	})()`)
	ben.await("ben sees initials in its place", `document.querySelector("[data-participant=ann].faceless .avatar")?.textContent === "A"`)
	ben.await("ben sees that the camera is off", marks("ann")+` === "#i-camera-off"`)
	// Who comes later sees the same.
	zoe := h.join("zoe", "pattern")
	zoe.await("a newcomer sees initials", `document.querySelector("[data-participant=ann].faceless .avatar") !== null`)
	ann.click("mute-camera")
	ben.awaitPicture("ann")
	ben.await("ann's picture is shown", `document.querySelector("[data-participant=ann].faceless") === null`)

	// A participant that comes back is not muted any more.
	ann.click("mute-mic")
	ben.await("ann is muted again", marks("ann")+` === "#i-mic-off"`)
	ann.click("leave")
	ann.awaitText("message", "You left the stage")
	ann.click("join")
	ben.awaitSound("ann")
	ben.await("ann is not muted any more", marks("ann")+` === ""`)
}

// A screen takes the camera's place, or is a participant of its own where the link has a token for it.
func TestShare(t *testing.T) {
	h := newHouse(t, nil)
	ben := h.join("ben", "pattern")
	ben.awaitText("status", "On stage")
	ann := h.join("ann", "pattern")
	ben.awaitPicture("ann")
	const width = 640 // of the chosen quality; a browser sends less at first
	ben.await("ann's picture has its size", fmt.Sprintf("%s.videoWidth === %d", tile("ann"), width))

	ann.click("share")
	ann.awaitText("share", "Stop sharing")
	ben.await("ann's screen is in her tile", fmt.Sprintf("%s.videoWidth !== %d && %s.videoWidth > 0", tile("ann"), width, tile("ann")))
	ben.awaitPicture("ann")
	ben.awaitSound("ann")
	ann.click("share")
	ann.awaitText("share", "Share screen")
	ben.await("ann's face is back", fmt.Sprintf("%s.videoWidth === %d", tile("ann"), width))
	ben.awaitPicture("ann")
	ann.close()

	zoe := open(t, h.link(h.token("zoe", nil), "pattern")+"&screen="+h.token("slides", func(c *token.Claims) {
		c.Attributes["screen-share"] = "true"
	}), desktop)
	zoe.click("join")
	ben.awaitPicture("zoe")
	zoe.click("share")
	ben.awaitPicture("slides")
	ben.awaitPicture("zoe")
	ben.await("slides are large", `document.querySelector("[data-participant=slides].large") !== null`)
	ben.run(`document.querySelector("[data-participant=zoe] .tile-pin").click()`)
	ben.await("zoe is large", `document.querySelector("[data-participant=zoe].large") && !document.querySelector("[data-participant=slides].large")`)
	ben.run(`document.querySelector("[data-participant=zoe] .tile-pin").click()`)
	ben.await("all are alike", `!document.querySelector(".large")`)
	ben.await("the connection is rated", `document.querySelector("[data-participant=zoe] .tile-bars").dataset.bars === "3"`)
	zoe.click("leave")
	ben.await("zoe and her slides are gone", `document.querySelectorAll("[data-participant]").length === 1`)
}

// marks names the icons on a participant's tile.
func marks(participant string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("[data-participant=%s] .tile-marks use")].map((u) => u.getAttribute("href")).join(" ")`, participant)
}

func TestWatchOnly(t *testing.T) {
	h := newHouse(t, nil)
	ann := h.join("ann", "pattern")
	zoe := open(t, h.link(h.token("zoe", func(c *token.Claims) { c.Capabilities.AllowPublish = false }), "camera"), desktop)
	zoe.awaitText("join", "Watch stage")
	zoe.awaitText("token-facts", "subscribe")
	zoe.click("join")
	zoe.awaitText("status", "Watching")
	zoe.awaitPicture("ann")
	zoe.await("zoe cannot mute", `document.getElementById("mute-mic").disabled && document.getElementById("mute-camera").disabled`)
	ann.await("zoe is there without a picture", `document.querySelector("[data-participant=zoe] .tile-note")?.textContent === "Not publishing"`)
}

func TestPublishOnly(t *testing.T) {
	h := newHouse(t, nil)
	ann := h.join("ann", "pattern")
	pub := open(t, h.link(h.token("pub", func(c *token.Claims) { c.Capabilities.AllowSubscribe = false }), "pattern"), desktop)
	pub.click("join")
	pub.awaitText("status", "On stage")
	pub.awaitText("banner", "may only publish")
	ann.awaitPicture("pub")
}

func TestRefusedTokens(t *testing.T) {
	h := newHouse(t, func(s *stage.Server) { s.MaxPublishers = 1 })
	expired := h.token("late", func(c *token.Claims) { c.Expires = time.Now().Add(-time.Minute).Unix() })
	good := h.token("ann", nil)
	for _, c := range []struct{ name, token, want string }{
		{"none", "", "No token"},
		{"garbage", "hello", "This is not a participant token"},
		{"cut off", good[:len(good)/2], "This is not a participant token"},
		{"expired", expired, "This token has expired"},
		{"tampered", good[:len(good)-8] + "AAAAAAAA", "The server does not accept this token"},
		{"deleted stage", h.token("eve", func(c *token.Claims) { c.StageID = "Deleted12345" }), "This stage does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, source := range []string{"pattern", "none"} {
				p := open(t, h.link(c.token, source), desktop)
				p.click("join")
				p.awaitText("message", c.want)
				p.await("the lobby is back", `document.getElementById("stage").hidden`)
			}
		})
	}
	t.Run("full", func(t *testing.T) {
		first := h.join("first", "pattern")
		first.awaitText("status", "On stage")
		second := h.join("second", "pattern")
		second.awaitText("banner", "The stage is full")
		second.awaitPicture("first") // watching goes on
		first.click("leave")
		second.await("first is gone", `document.querySelectorAll("[data-participant]").length === 1`)
		second.click("banner-action")
		second.awaitText("status", "On stage")
	})
}

func TestThrownOut(t *testing.T) {
	h := newHouse(t, nil)
	ann := h.join("ann", "pattern")
	ann.awaitText("status", "On stage")
	h.disconnect("ann")
	ann.awaitText("message", "You were removed from the stage")

	ben := h.join("ben", "pattern")
	ben.awaitText("status", "On stage")
	again := h.join("ben", "none") // another token for the same participant
	again.awaitText("status", "Watching")
	ben.awaitText("message", "This token joined somewhere else")

	h.stage.CloseStage(testStage, "deleted")
	again.awaitText("message", "The stage was deleted")
}

func TestCameraRefused(t *testing.T) {
	h := newHouse(t, nil)
	p := open(t, h.link(h.token("ann", nil), "camera"), desktop)
	for name, want := range map[string]string{
		"NotAllowedError":  "Camera and microphone are blocked",
		"NotFoundError":    "No camera or microphone found",
		"NotReadableError": "The camera is in use",
	} {
		p.run(fmt.Sprintf(`navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", %q))`, name))
		p.run(`document.getElementById("quality").dispatchEvent(new Event("change", { bubbles: true }))`)
		p.run(`document.querySelector("[value=none][name=source]").click()`)
		p.run(`document.querySelector("[value=camera][name=source]").click()`)
		p.click("join")
		p.awaitText("message", want)
	}
	p.run(`document.querySelector("[value=pattern][name=source]").click()`)
	p.click("join")
	p.awaitText("status", "On stage")
}

func TestServerRestart(t *testing.T) {
	h := newHouse(t, nil)
	ann := h.join("ann", "pattern")
	ben := h.join("ben", "pattern")
	ann.awaitPicture("ben")
	ben.awaitPicture("ann")

	h.stop()
	ann.awaitText("status", "Reconnecting")
	ben.awaitText("status", "Reconnecting")
	h.start()
	for _, p := range []*page{ann, ben} {
		p.awaitText("status", "On stage")
	}
	ann.awaitPicture("ben")
	ben.awaitPicture("ann")
}

// A page that goes away ends its sessions by itself, rather than leaving a ghost until the stage notices.
func TestPageClosed(t *testing.T) {
	h := newHouse(t, nil)
	ann := h.join("ann", "pattern")
	ben := h.join("ben", "pattern")
	ann.awaitPicture("ben")
	ben.awaitPicture("ann")
	ann.do(chromedp.Navigate("about:blank"))
	for _, session := range []string{"publishing", "receiving ben"} {
		select {
		case <-h.deleted:
		case <-time.After(patience):
			t.Fatalf("the page did not end %s", session)
		}
	}
	ben.await("ann is gone", `document.querySelectorAll("[data-participant]").length === 1`)
}

// A token in the query is moved to the fragment, so that it is in no log after a reload and no referrer.
func TestTokenLeavesTheQuery(t *testing.T) {
	web := httptest.NewServer(Handler())
	t.Cleanup(web.Close)
	p := open(t, web.URL+"/console/join?token=a.b.c", desktop)
	p.await("the token is in the fragment", `location.search === "" && location.hash === "#token=a.b.c"`)
	p.awaitText("message", "This is not a participant token")
}

// The pages ask nobody but this server for anything.
func TestNoForeignRequests(t *testing.T) {
	web := httptest.NewServer(http.Handler(Handler()))
	t.Cleanup(web.Close)
	for _, path := range []string{"/console/", "/console/join", "/console/watch"} {
		p := open(t, web.URL+path, desktop)
		p.await("the page is loaded", `document.readyState === "complete"`)
		for _, url := range evaluate[[]string](p, `performance.getEntriesByType("resource").map((e) => e.name)`) {
			if !strings.HasPrefix(url, web.URL) {
				t.Errorf("%s loads %s", path, url)
			}
		}
	}
}
