package console

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/control"
	"github.com/footlight-live/footlight/internal/extension"
	"github.com/footlight-live/footlight/internal/store"
)

const (
	deskKey    = "AKIAIOSFODNN7EXAMPLE"
	deskSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

type deskKeys struct{}

func (deskKeys) Lookup(id string) (string, bool) { return deskSecret, id == deskKey }

// cast are compositions that the test writes, by id.
type cast struct {
	mu  sync.Mutex
	all map[string]composition.Status
}

func (c *cast) List(context.Context) (list []composition.Record, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range maps.Values(c.all) {
		list = append(list, s.Record)
	}
	return list, nil
}

// Status gives each answer a newer heartbeat.
func (c *cast) Status(id string) (composition.Status, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.all[id]
	if ok && s.Heartbeat != nil {
		now := *s.Heartbeat
		now.Time = time.Now()
		now.Frames += 30
		s.Heartbeat = &now
		c.all[id] = s
	}
	return s, ok
}

func (c *cast) SetScene(_ context.Context, id string, document json.RawMessage) error {
	c.change(id, func(s *composition.Status) { s.Record.Scene = document })
	return nil
}

func (c *cast) change(id string, f func(*composition.Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.all[id]
	f(&s)
	c.all[id] = s
}

// desk is the page of compositions with the real API behind it. Compositions and their streams are the test's.
type desk struct {
	*studio
	cast  *cast
	web   *httptest.Server
	stage string // the ARN of the stage of all compositions, which is called evening
}

const (
	deskFirst  = "FirstOne1234"
	deskSecond = "SecondOne123"
)

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{studio: newStudio(t), cast: &cast{all: map[string]composition.Status{}}}
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	// A preview is a picture of one pixel, and what it was asked for is an argument of the program that draws it.
	painter := filepath.Join(t.TempDir(), "painter")
	script := "#!/bin/sh\ncat > " + painter + ".job\nprintf '%s' '" + onePixel + "' | base64 -d\n"
	if err := os.WriteFile(painter, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	c := &control.Control{Store: s, URLs: func() control.URLs { return control.URLs{HTTP: "http://192.0.2.1"} }}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	stage, err := c.RealTime().CreateStage(t.Context(), &ivsrealtime.CreateStageRequest{Name: new("evening")})
	if err != nil {
		t.Fatal(err)
	}
	d.stage = *stage.Stage.Arn
	mux := http.NewServeMux()
	mux.Handle("/console/", Handler())
	mux.Handle("/api/video/v1/", d.live.Handler())
	mux.Handle(extension.Root, &extension.Handler{Control: c, Compositions: d.cast, Streams: d.live, Keys: deskKeys{}, Composer: painter})
	d.web = httptest.NewServer(mux)
	t.Cleanup(d.web.Close)
	d.play(deskFirst, time.Now().Add(-time.Minute))
	d.play(deskSecond, time.Now().Add(-time.Hour))
	return d
}

const onePixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="

// play puts a composition of two on.
func (d *desk) play(id string, since time.Time) {
	d.cast.change(id, func(s *composition.Status) {
		*s = composition.Status{
			ComposerPID: 77,
			Record: composition.Record{
				ID: id, StageARN: d.stage, State: composition.Active, Started: since, Layout: json.RawMessage(`{"grid":{}}`),
				Destinations: []composition.Destination{{
					ID: "d-" + id, ChannelARN: oneChannel{}.channel().ARN, State: composition.Active,
					Video: composition.Video{Width: 1280, Height: 720, FrameRate: 30, BitRate: 2_500_000},
				}},
			},
			Heartbeat: &wire.Heartbeat{
				Frames: 1000, CPU: 0.42, Memory: 91e6, Publishing: 2, Latency: wire.Timing{Count: 300, P50: 41, P99: 78},
				Participants: []wire.Input{
					{ID: "p1", Label: "<b>Ada</b>", Video: "live", Audio: "live", Width: 640, Height: 360, Received: 999, Lost: 1, Level: -30, Speaking: true},
					{ID: "p2", Label: "Grace", Video: "muted", Audio: "live", Level: -120},
				},
				Canvases: []wire.Canvas{{
					Destinations: []string{"d-" + id}, Width: 1280, Height: 720, FrameRate: 30, Encoder: "x264",
					Tiles: []wire.Tile{
						{ParticipantID: "p1", Width: 640, Height: 720, Shows: "video", Age: 12},
						{ParticipantID: "p2", X: 640, Y: 180, Width: 640, Height: 360, Shows: "placeholder"},
					},
				}},
				Destinations: []wire.DestinationFigure{{ID: "d-" + id, Bytes: 1e6}},
			},
		}
	})
}

// signIn fills in the form of the page of compositions.
func (p *page) signIn(id, secret string) {
	p.t.Helper()
	p.run(fmt.Sprintf(`document.getElementById("key-id").value = %q; document.getElementById("key-secret").value = %q`, id, secret))
	p.run(`document.querySelector("#signin button").click()`)
}

func (d *desk) open(v view) *page {
	p := open(d.t, d.web.URL+"/console/compositions", v)
	p.signIn(deskKey, deskSecret)
	p.awaitText("name", deskFirst)
	return p
}

func TestCompositionsPage(t *testing.T) {
	d := newDesk(t)
	p := open(t, d.web.URL+"/console/compositions", desktop)
	p.signIn(deskKey, "wrong")
	p.awaitText("signin-message", "its secret is another one")
	if evaluate[bool](p, `!document.getElementById("detail").hidden || sessionStorage.length > 0`) {
		t.Error("a wrong secret opens the page, or is kept")
	}
	p.signIn(deskKey, deskSecret)
	p.awaitText("name", deskFirst) // the newest

	// The layout, in per cent of the picture, and who is in it; labels are text.
	p.await("two tiles are drawn", `document.querySelectorAll(".box").length === 2`)
	got := evaluate[string](p, `[...document.querySelectorAll(".box")].map((b) => [b.style.left, b.style.top, b.style.width, b.style.height,
		b.classList.contains("speaking"), b.classList.contains("faceless"), b.querySelector("b").textContent].join(" ")).join("; ")`)
	if want := "0% 0% 50% 100% true false <b>Ada</b>; 50% 25% 50% 50% false true Grace"; got != want {
		t.Errorf("tiles %s, want %s", got, want)
	}
	p.awaitText("list", "stage evening")
	p.awaitText("stage", "stage evening")
	p.awaitText("outputs", "channel "+oneChannel{}.channel().ID) // it has no name
	p.awaitText("figures", "0.42 cores")
	p.awaitText("figures", "99 % within 78 ms")
	p.awaitText("inputs", "0.10 %")
	p.awaitText("outputs", "1280×720 at 30")
	p.await("lines grow", `document.querySelector(".figure polyline").points.length > 2`)

	// What goes wrong is said, and over.
	d.cast.change(deskFirst, func(s *composition.Status) {
		s.Heartbeat.Overloaded, s.Heartbeat.Alert, s.Restarts, s.LastExit = true, "black", 2, "no heartbeat"
		s.IdleSince, s.StopsAt = time.Now(), time.Now().Add(time.Minute)
	})
	for _, words := range []string{"The machine is too slow", "It is black", "replaced 2 times", "no heartbeat", "stops by itself in"} {
		p.awaitText("banners", words)
	}
	d.play(deskFirst, time.Now())
	p.await("the banners go", `document.getElementById("banners").innerText === ""`)

	// Another composition, by key and by link; what has gone is left.
	p.run(`document.activeElement.blur(); document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "j", bubbles: true}))`)
	p.awaitText("name", deskSecond)
	if hash := evaluate[string](p, `location.hash`); hash != "#"+deskSecond {
		t.Errorf("at %s", hash)
	}
	d.cast.mu.Lock()
	delete(d.cast.all, deskSecond)
	d.cast.mu.Unlock()
	p.awaitText("name", deskFirst)

	// The key is kept over a reload, and forgotten on leaving.
	p.run(`window.before = true; location.reload()`)
	p.await("the page is another", `window.before === undefined && document.getElementById("name")?.textContent === "`+deskFirst+`"`)
	p.click("sign-out")
	p.await("the form is back", `!document.getElementById("signin").hidden && document.getElementById("detail").hidden && sessionStorage.length === 0`)
}

func TestLookEditor(t *testing.T) {
	d := newDesk(t)
	p := d.open(desktop)
	p.await("the present layout is in the editor", `document.getElementById("scene").value.includes("grid")`)
	write := func(text string) {
		p.run(fmt.Sprintf(`document.getElementById("scene").value = %q; document.getElementById("scene").dispatchEvent(new Event("input"))`, text))
	}
	wears := func() string {
		s, _ := d.cast.Status(deskFirst)
		return string(s.Record.Scene)
	}
	write(`{"backgruond":{}}`)
	p.awaitText("on-air", "not on the air")
	p.click("apply")
	p.awaitText("look-message", "backgruond")
	write(`{"background":{"color":"#203040"}}`)
	p.click("apply")
	p.awaitText("look-message", "On the air.")
	if got := wears(); got != `{"background":{"color":"#203040"}}` {
		t.Errorf("wears %s", got)
	}
	p.click("draw")
	p.await("the preview is there", `!document.getElementById("preview").hidden && document.getElementById("preview").naturalWidth === 1`)
	p.run(`document.getElementById("scene-name").value = "blue"`)
	p.click("keep")
	p.awaitText("look-message", "footlight:scene=blue")
	p.click("plain")
	p.awaitText("look-message", "Back to the plain layout.")
	if got := wears(); got != "" {
		t.Errorf("wears %s", got)
	}
	p.await("the kept scene can be chosen", `[...document.getElementById("scene-pick").options].some((o) => o.value === "blue")`)
	// What somebody types is not overwritten by what the server says.
	write(`{"mine":1}`)
	d.cast.change(deskFirst, func(s *composition.Status) { s.Record.Scene = json.RawMessage(`{"background":{"color":"#ffffff"}}`) })
	frames := evaluate[string](p, `document.getElementById("figures").innerText`)
	p.await("another answer came", fmt.Sprintf(`document.getElementById("figures").innerText !== %q`, frames))
	if got := evaluate[string](p, `document.getElementById("scene").value`); got != `{"mine":1}` {
		t.Errorf("the editor has %s", got)
	}
}

// Every example of the editor is a scene.
func TestStarters(t *testing.T) {
	d := newDesk(t)
	p := d.open(desktop)
	p.await("the examples are there", `document.getElementById("scene-pick").options.length > 3`)
	for _, name := range evaluate[[]string](p, `[...document.getElementById("scene-pick").options].map((o) => o.value).filter((v) => v !== "")`) {
		p.run(`document.getElementById("scene").value = ""`)
		p.run(fmt.Sprintf(`document.getElementById("scene-pick").value = %q; document.getElementById("scene-pick").dispatchEvent(new Event("change"))`, name))
		p.await("the example is in the editor", `document.getElementById("scene").value !== ""`)
		p.click("apply")
		p.await("it is on the air or refused", `!document.getElementById("look-message").hidden`)
		if said := evaluate[string](p, `document.getElementById("look-message").textContent`); said != "On the air." {
			t.Errorf("%s: %s", name, said)
		}
	}
}

func TestCompositionsOnAPhone(t *testing.T) {
	d := newDesk(t)
	p := d.open(views["phone-light"])
	p.await("two tiles are drawn", `document.querySelectorAll(".box").length === 2`)
	if wide := evaluate[int](p, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("the page is %d wide: %s", wide, evaluate[string](p, `[...document.querySelectorAll("main *")].filter((e) =>
			e.getBoundingClientRect().right > 390 && !e.closest("table")).map((e) => e.tagName + "#" + e.id + "." + e.className).join(", ")`))
	}
	labels := evaluate[[]string](p, `[...document.querySelectorAll("button, input, select, textarea")].filter((e) =>
		(e.innerText || e.getAttribute("aria-label") || e.labels?.[0]?.innerText || "").trim() === "").map((e) => e.id)`)
	if len(labels) > 0 {
		t.Errorf("without a name: %s", strings.Join(slices.Sorted(slices.Values(labels)), ", "))
	}
}

// TestRecordingsOnAPhone: the player is below the list there, not squeezed beside it.
func TestRecordingsOnAPhone(t *testing.T) {
	d := newDesk(t)
	for width, columns := range map[int64]int{390: 1, 900: 1, 1280: 2} {
		p := open(t, d.web.URL+"/console/recordings", view{width: width, height: 844, phone: width == 390})
		p.run(`document.getElementById("list-card").hidden = document.getElementById("detail").hidden = false`)
		p.run(`document.getElementById("where").textContent = "recordings/" + "abcdeABCDE12/".repeat(3) + "composite"`)
		if got := evaluate[int](p, `getComputedStyle(document.querySelector(".desk")).gridTemplateColumns.split(" ").length`); got != columns {
			t.Errorf("%d pixels wide: %d columns, want %d", width, got, columns)
		}
		if wide := evaluate[int64](p, `document.documentElement.scrollWidth`); wide > width {
			t.Errorf("the page is %d wide on a screen of %d", wide, width)
		}
	}
}
