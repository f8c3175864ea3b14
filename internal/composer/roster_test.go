package composer

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestRosterReconnects: snapshots come in, other messages do not matter, and after the server has hung up the
// next connection goes on. The log holds no token.
func TestRosterReconnects(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"secret-token"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		nth := connections.Add(1)
		if _, hello, err := conn.Read(r.Context()); err != nil || string(hello) != `{"type":"HELLO","ext":1}` || conn.Subprotocol() != "secret-token" {
			t.Errorf("greeting %s, subprotocol %q, %v", hello, conn.Subprotocol(), err)
		}
		for _, m := range []string{`{"type":"PONG"}`, `nonsense`, `{"type":"NEWS","payload":7}`,
			`{"type":"STAGE_STATE","payload":{"stageId":"s","participants":[{"id":"b","isPublishing":true,"audioMuted":true,"attributes":{"k":"v"}},{"id":"a","userId":"u"}]}}`} {
			if err := conn.Write(r.Context(), websocket.MessageText, []byte(m)); err != nil {
				t.Error(err)
			}
		}
		if nth > 1 {
			conn.Read(r.Context()) // until the client leaves
		}
	}))
	defer server.Close()
	var log strings.Builder
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := 0
	r := &roster{url: "ws" + strings.TrimPrefix(server.URL, "http") + "/events/s", token: "secret-token", log: slog.New(slog.NewTextHandler(&log, nil)),
		update: func(_ context.Context, ms []member) {
			if len(ms) != 2 || ms[0].ID != "b" || !ms[0].Publishing || !ms[0].AudioMuted || ms[0].VideoStopped || ms[0].Attributes["k"] != "v" || ms[1].UserID != "u" || ms[1].Publishing {
				t.Errorf("snapshot %+v", ms)
			}
			if got++; got == 2 {
				cancel()
			}
		}}
	r.run(ctx)
	if got != 2 || strings.Contains(log.String(), "secret-token") {
		t.Errorf("%d snapshots, log %s", got, log.String())
	}
}

func TestRedact(t *testing.T) {
	if got := redact(io.EOF, "key"); !errors.Is(got, io.EOF) {
		t.Errorf("an error without secret became %v", got)
	}
	if got := redact(errors.New("dial rtmp://host/app/key: refused"), "key").Error(); strings.Contains(got, "key") {
		t.Errorf("the secret stayed: %s", got)
	}
}

func TestSends(t *testing.T) {
	for answer, want := range map[string]bool{
		"v=0\r\nm=audio 9 UDP\r\na=sendonly\r\nm=video 9 UDP\r\na=sendonly\r\n": true,
		"v=0\r\nm=audio 9 UDP\r\na=sendonly\r\nm=video 9 UDP\r\na=inactive\r\n": false,
		"v=0\r\nm=audio 9 UDP\r\na=inactive\r\nm=video 9 UDP\r\na=sendonly\r\n": true,
		"v=0\r\nm=audio 9 UDP\r\na=sendonly\r\nm=video 0 UDP\r\n":               false,
		"v=0\r\nm=audio 9 UDP\r\na=sendonly\r\n":                                false,
		"":                                                                      false,
	} {
		if got := sends(answer, "video"); got != want {
			t.Errorf("%q: %v", answer, got)
		}
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{first: time.Nanosecond, most: 3 * time.Nanosecond}
	for _, want := range []time.Duration{1, 2, 3, 3} {
		if b.wait(t.Context(), nil); b.next != want {
			t.Errorf("pause %v, want %v", b.next, want)
		}
	}
	if b.reset(); b.next != 0 {
		t.Error("reset")
	}
}
