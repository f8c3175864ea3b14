package extension

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/control"
	"github.com/footlight-live/footlight/internal/leak"
	"github.com/footlight-live/footlight/internal/store"
)

// TestMain also plays the composer program: a preview runs this very program.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "preview" {
		os.Exit(drawPreview())
	}
	leak.Main(m)
}

// drawPreview answers with a picture of the size asked for, as many bright pixels in its first row as there are
// participants, and as many in its second as bytes of images; or misbehaves as the first participant's id says.
func drawPreview() int {
	var job previewJob
	if err := json.NewDecoder(os.Stdin).Decode(&job); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if len(job.Participants) > 0 {
		switch job.Participants[0].ID {
		case "refuse":
			fmt.Fprintln(os.Stderr, "the words of the composer")
			return 1
		case "crash":
			return 2
		case "hang":
			select {}
		case "flood":
			for range 2 * previewLimit >> 20 {
				os.Stdout.Write(make([]byte, 1<<20))
			}
			return 0
		}
	}
	img := image.NewGray(image.Rect(0, 0, job.Width, job.Height))
	for x := range job.Count + len(job.Participants) {
		img.SetGray(x, 0, color.Gray{Y: 255})
	}
	for x := range len(job.Images["logo"]) {
		img.SetGray(x, 1, color.Gray{Y: 255})
	}
	if err := png.Encode(os.Stdout, img); err != nil {
		return 3
	}
	return 0
}

const (
	keyID  = "AKIAIOSFODNN7EXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

type oneKey struct{}

func (oneKey) Lookup(id string) (string, bool) { return secret, id == keyID }

// troupe are compositions by id.
type troupe map[string]composition.Status

func (t troupe) List(context.Context) (list []composition.Record, err error) {
	for _, s := range t {
		list = append(list, s.Record)
	}
	return list, nil
}

func (t troupe) Status(id string) (composition.Status, bool) {
	s, ok := t[id]
	return s, ok
}

func (t troupe) SetScene(_ context.Context, id string, document json.RawMessage) error {
	s, ok := t[id]
	if !ok {
		return store.ErrNotFound
	}
	if s.Record.State.Ended() {
		return &composition.Refusal{Kind: composition.ErrConflict, Message: "It has ended"}
	}
	s.Record.Scene = document
	t[id] = s
	return nil
}

// waves are live streams by channel.
type waves map[string]channel.StreamStats

func (w waves) StreamStats(channelARN string) (channel.StreamStats, bool) {
	s, ok := w[channelARN]
	return s, ok
}

// house is a Handler on loopback over a real store.
type house struct {
	*Handler
	t            testing.TB
	web          *httptest.Server
	compositions troupe
	streams      waves
}

func newHouse(t testing.TB, change ...func(*Handler)) *house {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c := &control.Control{Store: s, URLs: func() control.URLs { return control.URLs{HTTP: "http://127.0.0.1:4080"} }}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, compositions: troupe{}, streams: waves{}}
	h.Handler = &Handler{Control: c, Compositions: h.compositions, Streams: h.streams, Keys: oneKey{}, Composer: self}
	for _, f := range change {
		f(h.Handler)
	}
	h.web = httptest.NewServer(h.Handler)
	t.Cleanup(h.web.Close)
	return h
}

// send asks with the key, by HTTP Basic.
func (h *house) send(method, path string, body []byte) (int, http.Header, []byte) {
	h.t.Helper()
	return h.do(method, path, body, func(r *http.Request) { r.SetBasicAuth(keyID, secret) })
}

func (h *house) do(method, path string, body []byte, change func(*http.Request)) (int, http.Header, []byte) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.web.URL+path, bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	change(r)
	response, err := h.web.Client().Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response.StatusCode, response.Header, data
}

// must sends and reads the answer, which is a success, into v unless that is nil.
func (h *house) must(method, path, body string, v any) {
	h.t.Helper()
	status, _, data := h.send(method, path, []byte(body))
	if status >= 300 {
		h.t.Fatalf("%s %s: status %d: %s", method, path, status, data)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(data, v); err != nil {
		h.t.Fatalf("%s %s: %v in %s", method, path, err, data)
	}
}

// refused sends and compares the refusal: its status, its code, and words of its text.
func (h *house) refused(method, path string, body []byte, status int, code, words string) {
	h.t.Helper()
	got, header, data := h.send(method, path, body)
	h.same(method+" "+path, got, header, data, status, code, words)
}

func (h *house) same(what string, got int, header http.Header, data []byte, status int, code, words string) {
	h.t.Helper()
	var f failure
	if err := json.Unmarshal(data, &f); err != nil || header.Get("Content-Type") != "application/json" {
		h.t.Errorf("%s: %v in %s (%s)", what, err, data, header.Get("Content-Type"))
		return
	}
	if got != status || f.Code != code || !strings.Contains(f.Error, words) {
		h.t.Errorf("%s: status %d, %s, %q; want %d, %s and the words %q", what, got, f.Code, f.Error, status, code, words)
	}
}

// picture is a PNG of that size.
func picture(t testing.TB, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const (
	testID      = "AbCdEf123456"
	testChannel = "arn:aws:ivs:us-east-1:000000000000:channel/ChAnNeL12345"
)

// play puts a composition on.
func (h *house) play(id string, state composition.State) {
	h.compositions[id] = composition.Status{Record: composition.Record{
		ID: id, StageARN: "arn:aws:ivs:us-east-1:000000000000:stage/StAgE1234567", State: state,
		Started: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Layout: json.RawMessage(`{"grid":{"gridGap":2}}`),
		Destinations: []composition.Destination{{
			ID: "DeStInAtIoN1", ChannelARN: testChannel, State: state,
			Video: composition.Video{Width: 1280, Height: 720, FrameRate: 30, BitRate: 2_500_000},
		}},
	}}
}
