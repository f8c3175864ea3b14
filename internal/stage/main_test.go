package stage

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// patience is how long tests wait for what must happen. It only passes when something is broken.
const patience = 60 * time.Second

// testAdmission admits tokens of the form stage/participant/rights, with the rights p (publish),
// s (subscribe), h (hidden) and k (self-signed), or a code to be refused with. Rights may be followed by = and the
// attribute name.
type testAdmission struct{}

func (testAdmission) Admit(_ context.Context, bearer string) (Grant, error) {
	part := strings.Split(bearer, ".")
	if len(part) != 3 {
		return Grant{}, refuse(Code(bearer), "refused by the test")
	}
	rights, name, named := strings.Cut(part[2], "=")
	if !named {
		name = part[1]
	}
	if strings.Contains(rights, "x") {
		return Grant{StageID: part[0], ParticipantID: part[1]}, refuse(TokenExpired, "refused by the test")
	}
	return Grant{
		StageID: part[0], StageARN: "arn:aws:ivs:us-east-1:000000000000:stage/" + part[0],
		ParticipantID: part[1], UserID: "user-" + part[1], Attributes: map[string]string{"name": name},
		Publish: strings.Contains(rights, "p"), Subscribe: strings.Contains(rights, "s"), Hidden: strings.Contains(rights, "h"),
		SelfSigned: strings.Contains(rights, "k"), WHIPURL: strings.Repeat("w", strings.Count(rights, "w")),
	}, nil
}

// testObserver records events.
type testObserver struct {
	mu      sync.Mutex
	events  []Event
	changed chan struct{} // closed and replaced with every event
}

func newTestObserver() *testObserver { return &testObserver{changed: make(chan struct{})} }

func (o *testObserver) Observe(e Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
	close(o.changed)
	o.changed = make(chan struct{})
}

// wait returns the nth event (from 1) of a kind and participant.
func (o *testObserver) wait(t testing.TB, kind EventKind, participant string, nth int) Event {
	t.Helper()
	timeout := time.After(patience)
	for {
		o.mu.Lock()
		changed, n := o.changed, 0
		for _, e := range o.events {
			if e.Kind == kind && e.Grant.ParticipantID == participant {
				if n++; n == nth {
					o.mu.Unlock()
					return e
				}
			}
		}
		o.mu.Unlock()
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no event %s #%d of %q; have %v", kind, nth, participant, o.kinds())
		}
	}
}

// kinds lists what happened, as KIND participant.
func (o *testObserver) kinds() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []string
	for _, e := range o.events {
		out = append(out, strings.TrimSpace(string(e.Kind)+" "+e.Grant.ParticipantID))
	}
	return out
}

// rig is a real server on loopback.
type rig struct {
	*Server
	observer *testObserver
	http     *httptest.Server
}

func newRig(t testing.TB, configure func(*Server)) *rig {
	t.Helper()
	r := &rig{observer: newTestObserver()}
	r.Server = &Server{
		UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0",
		Admission: testAdmission{}, Observer: r.observer, Log: testLog(),
	}
	if configure != nil {
		configure(r.Server)
	}
	if err := r.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.http = httptest.NewServer(r.Handler())
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		r.http.Close()
	})
	return r
}

// testLog is silent unless STAGE_LOG is set.
func testLog() *slog.Logger {
	if os.Getenv("STAGE_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// do sends a request and returns the response with its body read. header is in pairs.
func (r *rig) do(t testing.TB, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = r.http.URL + path
	}
	req, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := r.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// eventually waits for a condition that no channel tells of.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
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
