package synth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	stages "github.com/footlight-live/footlight/internal/stage"
)

// house is the real stage server on loopback. Tokens are made by token.
type house struct {
	*stages.Server
	t    *testing.T
	http *httptest.Server

	mu     sync.Mutex
	events []stages.Event
}

func newHouse(t *testing.T) *house {
	h := &house{t: t}
	h.Server = &stages.Server{
		UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0", Admission: h, Observer: h, Log: slog.New(slog.DiscardHandler),
	}
	if err := h.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.http = httptest.NewServer(h.Handler())
	t.Cleanup(func() {
		if err := h.Server.Close(); err != nil {
			t.Error(err)
		}
		h.http.Close()
	})
	return h
}

// token is what the house takes for a participant token: only its claims are real.
func (h *house) token(participant string) string {
	claims, err := json.Marshal(map[string]string{
		"jti": participant, "topic": "stage1", "events_url": strings.Replace(h.http.URL, "http", "ws", 1) + "/events",
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return "x." + base64.RawURLEncoding.EncodeToString(claims) + ".x"
}

func (h *house) Admit(_ context.Context, bearer string) (stages.Grant, error) {
	parts := strings.Split(bearer, ".")
	if len(parts) != 3 {
		return stages.Grant{}, &stages.Error{Code: stages.TokenMalformed}
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return stages.Grant{}, &stages.Error{Code: stages.TokenMalformed}
	}
	var claims struct {
		ID      string `json:"jti"`
		StageID string `json:"topic"`
	}
	if err := json.Unmarshal(body, &claims); err != nil {
		return stages.Grant{}, &stages.Error{Code: stages.TokenMalformed}
	}
	return stages.Grant{StageID: claims.StageID, ParticipantID: claims.ID, UserID: claims.ID, Publish: true, Subscribe: true}, nil
}

func (h *house) Observe(e stages.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

// has tells whether something has happened to a participant.
func (h *house) has(kind stages.EventKind, participant string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if e.Kind == kind && e.Grant.ParticipantID == participant {
			return true
		}
	}
	return false
}

// person is a participant in a snapshot.
type person struct {
	ID           string `json:"id"`
	AudioMuted   bool   `json:"audioMuted"`
	VideoStopped bool   `json:"videoStopped"`
}

// look opens an events socket that hears who is muted. next returns what it says of a participant, with the rest of
// the newest snapshot passed over; ok is false where the participant is not there.
func (h *house) look() (next func(participant string) (p person, ok bool)) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	h.t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, h.http.URL+"/events/stage1", &websocket.DialOptions{Subprotocols: []string{h.token("judge")}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.CloseNow() })
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"HELLO","ext":1}`)); err != nil {
		h.t.Fatal(err)
	}
	return func(participant string) (person, bool) {
		h.t.Helper()
		_, body, err := conn.Read(ctx)
		if err != nil {
			h.t.Fatal(err)
		}
		var m struct {
			Payload struct{ Participants []person }
		}
		if err := json.Unmarshal(body, &m); err != nil {
			h.t.Fatal(err)
		}
		for _, p := range m.Payload.Participants {
			if p.ID == participant {
				return p, true
			}
		}
		return person{}, false
	}
}

// publishTo starts a publisher at the house, which ends with the test.
func (h *house) publishTo(participant string, p *Publisher) *Publisher {
	h.t.Helper()
	p.WHIPURL, p.Token, p.Name, p.Log = h.http.URL+"/whip", h.token(participant), participant, slog.New(slog.DiscardHandler)
	if err := p.Start(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = p.Close() }) // tests that care ask themselves
	return p
}

// eventually waits for a condition that no channel tells of.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(patience)
	for !ok() {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatal("never happened: ", what)
		}
	}
}

func TestMutedIsTold(t *testing.T) {
	h := newHouse(t)
	next := h.look()
	p := h.publishTo("ada", &Publisher{Width: 320, Height: 180, FrameRate: 10})
	await := func(want person) {
		t.Helper()
		want.ID = "ada"
		for got, ok := next("ada"); !ok || got != want; got, ok = next("ada") {
		}
	}
	await(person{})
	p.SetMuted(Muted{Audio: true})
	await(person{AudioMuted: true})
	p.SetMuted(Muted{Audio: true, Video: true})
	await(person{AudioMuted: true, VideoStopped: true})
	p.SetMuted(Muted{})
	await(person{})
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for _, ok := next("ada"); ok; _, ok = next("ada") {
	}
	h.publishTo("ada", &Publisher{Width: 320, Height: 180, FrameRate: 10, Muted: Muted{Video: true}})
	await(person{VideoStopped: true})
}

func TestMutedIsBlackAndSilent(t *testing.T) {
	s := newStage(t)
	p := publish(t, s, &Publisher{Index: 1, Width: 320, Height: 180})
	w := newWatcher(t, s)
	dark := func() bool {
		img, _, _ := w.next()
		for _, y := range img.Y {
			if y > 24 {
				return false
			}
		}
		return true
	}
	if dark() {
		t.Error("the picture is black before it is muted")
	}
	p.SetMuted(Muted{Audio: true, Video: true})
	for !dark() {
	}
	for len(s.next("audio").Payload) > 60 { // silence takes fewer bytes than the tone's 160
	}
	p.SetMuted(Muted{})
	for dark() {
	}
}
