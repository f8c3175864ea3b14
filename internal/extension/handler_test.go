package extension

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/composition"
)

func TestCompositions(t *testing.T) {
	h := newHouse(t)
	var list struct{ Compositions []Composition }
	h.must("GET", "/footlight/v1/compositions", "", &list)
	if len(list.Compositions) != 0 {
		t.Errorf("%+v", list)
	}
	h.play(testID, composition.Active)
	h.play("Stopped12345", composition.Stopped)
	s := h.compositions[testID]
	s.Record.Started = s.Record.Started.Add(time.Hour)
	s.ComposerPID, s.Restarts, s.LastExit = 77, 2, "no heartbeat"
	s.IdleSince = s.Record.Started.Add(time.Minute)
	s.StopsAt = s.IdleSince.Add(time.Minute)
	s.Heartbeat = &wire.Heartbeat{
		Frames: 900, CPU: 0.4, Memory: 90 << 20, Overloaded: true, Alert: "black", Publishing: 1,
		Latency: wire.Timing{Count: 300, P50: 40, P99: 80}, Participants: []wire.Input{{ID: "p1", Label: "<Ada>"}},
	}
	h.compositions[testID] = s
	h.streams[testChannel] = channel.StreamStats{
		Stream: channel.Stream{Source: "composition/" + testID, ViewerCount: 3},
		Delay:  hls.Delay{Count: 300, P50: 100 * time.Millisecond, P99: 166600 * time.Microsecond},
	}
	h.must("GET", "/footlight/v1/compositions", "", &list)
	if len(list.Compositions) != 2 || list.Compositions[0].ID != testID {
		t.Fatalf("the newest is not first: %+v", list)
	}
	var d Details
	h.must("GET", "/footlight/v1/compositions/"+testID, "", &d)
	if d.ARN != "arn:aws:ivs:us-east-1:000000000000:composition/"+testID || d.State != composition.Active {
		t.Errorf("%+v", d.Composition)
	}
	want := Composer{PID: 77, Restarts: 2, LastExit: "no heartbeat", CPU: 0.4, Memory: 90 << 20, Publishing: 1, Overloaded: true, Alert: "black"}
	if d.Composer != want {
		t.Errorf("%+v, want %+v", d.Composer, want)
	}
	if !d.StopsAt.Equal(s.StopsAt) || !d.IdleSince.Equal(s.IdleSince) {
		t.Errorf("idle since %v, stops at %v", d.IdleSince, d.StopsAt)
	}
	out := d.Destinations[0]
	if out.Viewers != 3 || out.PartLatency != (wire.Timing{Count: 300, P50: 100, P99: 166.6}) ||
		out.PlaybackURL != "http://127.0.0.1:4080/api/video/v1/us-east-1.000000000000.channel.ChAnNeL12345.m3u8" {
		t.Errorf("%+v", out)
	}
	if d.Measurements == nil || d.Measurements.Latency.P99 != 80 || d.Measurements.Participants[0].Label != "<Ada>" {
		t.Errorf("%+v", d.Measurements)
	}
	_, _, data := h.send("GET", "/footlight/v1/compositions/"+testID, nil)
	if text := string(data); strings.Contains(text, "null") || !strings.Contains(text, `"canvases": []`) {
		t.Errorf("lists are not lists: %s", text)
	}
	// The stream of the composition that has ended is another's.
	h.must("GET", "/footlight/v1/compositions/Stopped12345", "", &d)
	if d.Destinations[0].Viewers != 0 {
		t.Errorf("%+v", d.Destinations)
	}
	h.refused("GET", "/footlight/v1/compositions/Unknown12345", nil, 404, "ResourceNotFoundException", "Unknown12345")
	for _, id := range []string{"a.b", "arn:aws:ivs:us-east-1:0:composition%2Fx", strings.Repeat("a", 33), "%00", "%F0%9F%92%A9"} {
		h.refused("GET", "/footlight/v1/compositions/"+id, nil, 400, "ValidationException", "last part of its ARN")
	}
}

func TestCapacity(t *testing.T) {
	h := newHouse(t, func(h *Handler) {
		h.Capacity = func(context.Context) (composition.Capacity, error) {
			return composition.Capacity{Cores: 2, Used: 0.5}, nil
		}
	})
	var list Program
	h.must("GET", "/footlight/v1/compositions", "", &list)
	if list.Compositions == nil || *list.Capacity != (Capacity{Cores: 2, Used: 0.5, Free: 1.5}) {
		t.Errorf("%+v", list)
	}
}

func TestRoutes(t *testing.T) {
	h := newHouse(t, func(h *Handler) {
		h.Events = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.RawQuery) })
	})
	if status, _, data := h.send("GET", "/footlight/v1/events?follow=true", nil); status != 200 || string(data) != "follow=true" {
		t.Errorf("events: %d %s", status, data)
	}
	h.refused("GET", "/footlight/v1/nothing", nil, 404, "ResourceNotFoundException", "lists what there is")
	h.refused("GET", "/footlight/v1/compositions/"+testID+"/more/of/it", nil, 404, "ResourceNotFoundException", "")
	for path, allow := range map[string]string{
		"/footlight/v1/compositions": "GET", "/footlight/v1/scenes/a": "DELETE, GET, PUT", "/footlight/v1/preview": "POST", "/footlight/v1/": "GET",
	} {
		status, header, data := h.send("PATCH", path, nil)
		h.same("PATCH "+path, status, header, data, 405, "MethodNotAllowedException", "PATCH")
		if header.Get("Allow") != allow {
			t.Errorf("%s allows %q, want %q", path, header.Get("Allow"), allow)
		}
	}
	if status, _, _ := h.send("HEAD", "/footlight/v1/compositions", nil); status != 200 {
		t.Errorf("HEAD: status %d", status)
	}
	h.refused("GET", "/footlight/v1/scenes", []byte("{}"), 400, "ValidationException", "takes no body")
	_, header, _ := h.send("GET", "/footlight/v1/scenes", nil)
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": ""} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestScenes(t *testing.T) {
	h := newHouse(t)
	const blue = `{ "background": {"color": "#203040"} }`
	h.must("PUT", "/footlight/v1/scenes/blue", blue, nil)
	var s struct {
		Name  string
		Scene json.RawMessage
	}
	h.must("GET", "/footlight/v1/scenes/blue", "", &s)
	var compact bytes.Buffer
	if err := json.Compact(&compact, s.Scene); err != nil || s.Name != "blue" || compact.String() != `{"background":{"color":"#203040"}}` {
		t.Errorf("%v %+v", err, s)
	}
	for _, c := range []struct{ name, body, words string }{
		{"blue", ``, ""}, {"blue", `{`, ""}, {"blue", `[]`, ""}, {"blue", `{"backgruond":{}}`, "backgruond"},
		{"blue", `{} {}`, ""}, {"blue", `{"background":{"color":"blue"}}`, "color"},
		{"bl.ue", `{}`, "1 to 64 letters"}, {"%2e%2e", `{}`, "1 to 64 letters"}, {strings.Repeat("a", 65), `{}`, "1 to 64 letters"},
		{"blue", `{"background":{"image":"logo"}}`, `no image "logo"`},
		{"blue", `{"background":{"image":"` + strings.Repeat("l", 5000) + `"}}`, ""},
		{"blue", `{"name":"` + strings.Repeat("x", 70000) + `"}`, "at most 65536 bytes"},
	} {
		h.refused("PUT", "/footlight/v1/scenes/"+c.name, []byte(c.body), 400, "ValidationException", c.words)
	}
	h.refused("PUT", "/footlight/v1/scenes/blue", bytes.Repeat([]byte(" "), documentLimit+1), 413, "RequestEntityTooLargeException", "")
	var list struct{ Scenes []sceneSummary }
	h.must("GET", "/footlight/v1/scenes", "", &list)
	if len(list.Scenes) != 1 || list.Scenes[0].Name != "blue" || list.Scenes[0].Changed.IsZero() {
		t.Errorf("%+v", list)
	}
	h.must("DELETE", "/footlight/v1/scenes/blue", "", nil)
	h.refused("DELETE", "/footlight/v1/scenes/blue", nil, 404, "ResourceNotFoundException", "scene/blue")
	h.refused("GET", "/footlight/v1/scenes/blue", nil, 404, "ResourceNotFoundException", "scene/blue")
}

func TestSceneOfAComposition(t *testing.T) {
	h := newHouse(t)
	h.play(testID, composition.Active)
	path := "/footlight/v1/compositions/" + testID + "/scene"
	scene := func() string { return string(h.compositions[testID].Record.Scene) }
	h.must("PUT", path, `{"background":{"color":"#203040"}}`, nil)
	if got := scene(); got != `{"background":{"color":"#203040"}}` {
		t.Error(got)
	}
	h.must("PUT", "/footlight/v1/scenes/red", `{"background":{"color":"#ff0000"}}`, nil)
	h.must("PUT", path, `{"name":"red"}`, nil)
	h.must("DELETE", "/footlight/v1/scenes/red", "", nil) // the composition keeps it
	if got := scene(); got != `{"background":{"color":"#ff0000"}}` {
		t.Error(got)
	}
	h.refused("PUT", path, []byte(`{"name":"red"}`), 404, "ResourceNotFoundException", "scene/red")
	h.refused("PUT", path, []byte(`{"name":7}`), 400, "ValidationException", "name")
	h.refused("PUT", path, []byte(`{"overlays":[{"id":"a","image":"gone"}]}`), 400, "ValidationException", "gone")
	if got := scene(); got != `{"background":{"color":"#ff0000"}}` {
		t.Errorf("a refused scene changed it: %s", got)
	}
	h.must("DELETE", path, "", nil)
	if got := scene(); got != "" {
		t.Error(got)
	}
	h.refused("PUT", "/footlight/v1/compositions/Unknown12345/scene", []byte(`{}`), 404, "ResourceNotFoundException", "Unknown12345")
	h.play("Stopped12345", composition.Stopped)
	h.refused("PUT", "/footlight/v1/compositions/Stopped12345/scene", []byte(`{}`), 409, "ConflictException", "ended")
}

func TestImages(t *testing.T) {
	h := newHouse(t)
	logo := picture(t, 40, 20)
	h.must("PUT", "/footlight/v1/images/logo", string(logo), nil)
	status, header, data := h.send("GET", "/footlight/v1/images/logo", nil)
	if status != 200 || header.Get("Content-Type") != "image/png" || !bytes.Equal(data, logo) ||
		!strings.Contains(header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("status %d, %v, %d bytes", status, header, len(data))
	}
	for _, body := range [][]byte{nil, []byte("GIF89a"), []byte("<svg/>"), logo[:len(logo)/2], picture(t, 1921, 1), picture(t, 1, 1921)} {
		h.refused("PUT", "/footlight/v1/images/bad", body, 400, "ValidationException", "")
	}
	h.refused("PUT", "/footlight/v1/images/bad", make([]byte, 4<<20+1), 413, "RequestEntityTooLargeException", "4194304")
	h.refused("GET", "/footlight/v1/images/bad", nil, 404, "ResourceNotFoundException", "image/bad")
	h.refused("GET", "/footlight/v1/images/"+strings.Repeat("a", 5000), nil, 400, "ValidationException", "1 to 64 letters")
	h.must("PUT", "/footlight/v1/scenes/branded", `{"overlays":[{"id":"a","image":"logo"}]}`, nil)
	h.refused("DELETE", "/footlight/v1/images/logo", nil, 409, "ConflictException", "scene branded")
	h.must("DELETE", "/footlight/v1/scenes/branded", "", nil)
	h.must("DELETE", "/footlight/v1/images/logo", "", nil)
	h.refused("DELETE", "/footlight/v1/images/logo", nil, 404, "ResourceNotFoundException", "image/logo")
	var list struct{ Images []any }
	h.must("GET", "/footlight/v1/images", "", &list)
	if list.Images == nil || len(list.Images) != 0 {
		t.Errorf("%+v", list)
	}
}

func TestPreview(t *testing.T) {
	h := newHouse(t)
	logo := picture(t, 40, 20)
	h.must("PUT", "/footlight/v1/images/logo", string(logo), nil)
	h.must("PUT", "/footlight/v1/scenes/branded", `{"overlays":[{"id":"a","image":"logo"}]}`, nil)
	for body, want := range map[string]struct{ width, height, people, image int }{
		`{}`:                                   {1280, 720, 0, 0},
		`{"count":3,"width":640,"height":360}`: {640, 360, 3, 0},
		`{"layout":{"pip":{}},"participants":[{"id":"a","video":false},{"id":"b","speaking":true,"attributes":{"x":"y"}}]}`: {1280, 720, 2, 0},
		`{"scene":{"name":"branded"},"count":1}`: {1280, 720, 1, len(logo)},
	} {
		status, header, data := h.send("POST", "/footlight/v1/preview", []byte(body))
		img, err := png.Decode(bytes.NewReader(data))
		if status != 200 || err != nil || header.Get("Content-Type") != "image/png" {
			t.Errorf("%s: status %d, %v, %.200s", body, status, err, data)
			continue
		}
		count := func(y int) (n int) {
			for r, _, _, _ := img.At(n, y).RGBA(); r > 0; r, _, _, _ = img.At(n, y).RGBA() {
				n++
			}
			return n
		}
		if img.Bounds().Dx() != want.width || img.Bounds().Dy() != want.height || count(0) != want.people || count(1) != want.image {
			t.Errorf("%s: %v, %d people, %d bytes of image, want %+v", body, img.Bounds(), count(0), count(1), want)
		}
	}
	for body, words := range map[string]string{
		``: "", `{`: "", `null null`: "more than one", `{"cuont":1}`: "cuont", `{"count":13}`: "0 to 12", `{"count":-1}`: "0 to 12",
		`{"count":1,"participants":[{}]}`: "only one", `{"width":641}`: "641x720", `{"width":1922}`: "1922x720",
		`{"width":1920,"height":1920}`: "1920x1920", `{"width":1e99}`: "", `{"layout":{"gird":{}}}`: "gird",
		`{"participants":[{"videoWidth":-1}]}`: "participants[0]", `{"participants":[{"name":"x"}]}`: "name",
		`{"scene":{"background":{"color":1}}}`: "background", `{"participants":[{"id":"refuse"}]}`: "the words of the composer",
	} {
		h.refused("POST", "/footlight/v1/preview", []byte(body), 400, "ValidationException", words)
	}
	h.refused("POST", "/footlight/v1/preview", []byte(`{"scene":{"name":"nobody"}}`), 404, "ResourceNotFoundException", "nobody")
	h.refused("POST", "/footlight/v1/preview", []byte(`{"participants":[{"id":"crash"}]}`), 500, "InternalServerException", "log")
	h.refused("POST", "/footlight/v1/preview", []byte(`{"participants":[{"id":"flood"}]}`), 500, "InternalServerException", "log")
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"} {
		status, header, data := h.do("POST", "/footlight/v1/preview", []byte("{}"), func(r *http.Request) {
			r.SetBasicAuth(keyID, secret)
			r.Header.Set("Content-Type", kind)
		})
		h.same("as "+kind, status, header, data, 415, "UnsupportedMediaTypeException", "application/json")
	}
}

// Callers that leave end their previews; while two hang, a third waits for its turn and gets it.
func TestPreviewsAtOnce(t *testing.T) {
	h := newHouse(t)
	h.must("GET", Root, "", nil) // it is set up
	ask := func(r *http.Request) *httptest.ResponseRecorder {
		r.SetBasicAuth(keyID, secret)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	left := make(chan *httptest.ResponseRecorder)
	leave := make([]func(), 0, previewsAtOnce)
	for range previewsAtOnce {
		ctx, cancel := context.WithCancel(t.Context())
		leave = append(leave, cancel)
		go func() {
			left <- ask(httptest.NewRequestWithContext(ctx, "POST", "/footlight/v1/preview", strings.NewReader(`{"participants":[{"id":"hang"}]}`)))
		}()
	}
	deadline := time.After(time.Minute)
	for len(h.drawing) < previewsAtOnce {
		select {
		case <-deadline:
			t.Fatal("the previews do not begin")
		case <-time.After(time.Millisecond):
		}
	}
	third := make(chan *httptest.ResponseRecorder)
	go func() {
		third <- ask(httptest.NewRequest("POST", "/footlight/v1/preview", strings.NewReader(`{}`)))
	}()
	leave[0]()
	<-left
	if w := <-third; w.Code != 200 && w.Code != 503 { // 503 on a machine so slow that ten seconds pass
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	leave[1]()
	<-left
}

func FuzzPreview(f *testing.F) {
	for _, seed := range []string{`{}`, `{"count":3,"layout":{"grid":{"gridGap":2}}}`, `{"participants":[{"id":"a","video":false}]}`, `{"scene":{}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var p Preview
		if decode(body, &p) != nil || p.check() != nil {
			return
		}
		if p.Width%2 != 0 || p.Width*p.Height > maxArea || p.Width < 2 || p.Height < 2 || p.Count+len(p.Participants) > maxParticipants {
			t.Errorf("%+v", p)
		}
		if _, err := json.Marshal(previewJob{Preview: p}); err != nil {
			t.Errorf("%+v cannot be sent: %v", p, err)
		}
	})
}
