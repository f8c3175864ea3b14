package console

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/token"
)

const (
	testStage    = "StAgE1234567"
	testStageARN = "arn:aws:ivs:us-east-1:000000000000:stage/" + testStage
)

// house is a real stage with the pages before it, on loopback. Tokens are real ones; only the control plane is missing.
type house struct {
	t     *testing.T
	ring  *token.Keyring
	setup func(*stage.Server)

	httpAddr, mediaAddr string // kept over a restart
	web                 *httptest.Server
	stage               *stage.Server

	deleted chan string // paths of DELETE requests

	mu   sync.Mutex
	gone map[string]bool // participants that may not come back
}

func newHouse(t *testing.T, setup func(*stage.Server)) *house {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		t: t, ring: token.NewKeyring(key), setup: setup,
		httpAddr: "127.0.0.1:0", mediaAddr: "127.0.0.1:0", gone: make(map[string]bool),
		deleted: make(chan string, 100),
	}
	h.start()
	t.Cleanup(h.stop)
	return h
}

func (h *house) start() {
	h.t.Helper()
	h.stage = &stage.Server{UDPAddr: h.mediaAddr, TCPAddr: "127.0.0.1:0", Admission: h, Log: slog.New(slog.DiscardHandler)}
	if h.setup != nil {
		h.setup(h.stage)
	}
	if err := h.stage.Start(context.Background()); err != nil {
		h.t.Fatal(err)
	}
	h.mediaAddr = h.stage.UDPAddress().String()
	ln, err := net.Listen("tcp", h.httpAddr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.httpAddr = ln.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("/console/", Handler())
	mux.Handle("/sdk/", Handler())
	whip := h.stage.Handler()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		whip.ServeHTTP(w, r)
		if r.Method == http.MethodDelete {
			h.deleted <- r.URL.Path
		}
	})
	h.web = httptest.NewUnstartedServer(mux)
	h.web.Listener.Close()
	h.web.Listener = ln
	h.web.Start()
}

func (h *house) stop() {
	h.web.CloseClientConnections()
	if err := h.stage.Close(); err != nil {
		h.t.Error(err)
	}
	h.web.Close()
}

// Admit is the control plane's part (stage.Admission).
func (h *house) Admit(_ context.Context, bearer string) (stage.Grant, error) {
	c, err := h.ring.Verify(bearer)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case errors.Is(err, token.ErrExpired):
		return stage.Grant{}, &stage.Error{Code: stage.TokenExpired, Message: err.Error()}
	case err != nil:
		return stage.Grant{}, &stage.Error{Code: stage.TokenMalformed, Message: err.Error()}
	case c.StageID != testStage:
		return stage.Grant{}, &stage.Error{Code: stage.StageNotFound, Message: "there is no such stage"}
	case h.gone[c.ParticipantID]:
		return stage.Grant{}, &stage.Error{Code: stage.ParticipantDisconnected, Message: "the participant was disconnected"}
	}
	return stage.Grant{
		StageID: c.StageID, StageARN: c.StageARN, ParticipantID: c.ParticipantID, UserID: c.UserID, Attributes: c.Attributes,
		Publish: c.Capabilities.AllowPublish, Subscribe: c.Capabilities.AllowSubscribe, Expires: c.ExpiresAt(),
		SelfSigned: true, EventsURL: c.EventsURL, WHIPURL: c.WHIPURL,
	}, nil
}

// disconnect is what DisconnectParticipant does.
func (h *house) disconnect(participantID string) {
	h.mu.Lock()
	h.gone[participantID] = true
	h.mu.Unlock()
	h.stage.Disconnect(testStage, participantID, "the test wants it so")
}

// token mints a token for somebody; the participant's id is the name without spaces. Change adapts the claims before.
func (h *house) token(name string, change func(*token.Claims)) string {
	h.t.Helper()
	now := time.Now()
	c := token.Claims{
		Expires: now.Add(time.Hour).Unix(), IssuedAt: now.Unix(),
		ParticipantID: strings.ReplaceAll(name, " ", "-"), StageARN: testStageARN, StageID: testStage,
		EventsURL: "ws://" + h.httpAddr + "/events", WHIPURL: "http://" + h.httpAddr + "/whip",
		Attributes:   map[string]string{"username": name},
		Capabilities: token.Capabilities{AllowPublish: true, AllowSubscribe: true},
	}
	if change != nil {
		change(&c)
	}
	signed, err := h.ring.Mint(c)
	if err != nil {
		h.t.Fatal(err)
	}
	return signed
}

// link is a join link. Source is camera, pattern or none.
func (h *house) link(token, source string) string {
	return fmt.Sprintf("http://%s/console/join#token=%s&source=%s&quality=360", h.httpAddr, token, source)
}

// join opens the page and joins by the button.
func (h *house) join(name, source string) *page {
	h.t.Helper()
	p := open(h.t, h.link(h.token(name, nil), source), desktop)
	p.click("join")
	return p
}
