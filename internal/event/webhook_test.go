package event

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const patience = 90 * time.Second // for anything that must happen on a loaded machine

// receiver is a webhook's other end.
type receiver struct {
	*httptest.Server
	got chan string // what it took, "resource name"

	mu     sync.Mutex
	refuse func(resource string) int // the status for a resource, 0 to take it
	known  map[string]bool           // ids of events, and whether they were taken
}

func newReceiver(t *testing.T, secret string) *receiver {
	r := &receiver{got: make(chan string, 1000), known: map[string]bool{}, refuse: func(string) int { return 0 }}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		seconds, _, _ := strings.Cut(strings.TrimPrefix(q.Header.Get("Footlight-Signature"), "t="), ",")
		at, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil || Sign([]byte(secret), time.Unix(at, 0), body) != q.Header.Get("Footlight-Signature") {
			t.Errorf("signature %s of %s", q.Header.Get("Footlight-Signature"), body)
		}
		resource := "a"
		if strings.Contains(string(body), arnB) {
			resource = "b"
		}
		r.mu.Lock()
		status := r.refuse(resource)
		id := q.Header.Get("Footlight-Event-Id")
		known := r.known[id]
		r.known[id] = known || status == 0
		r.mu.Unlock()
		switch {
		case status != 0:
			http.Error(w, "not now", status)
		case !known: // at least once is promised, so a receiver looks at the id
			r.got <- resource + " " + name(t, body)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answer(refuse func(resource string) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = refuse
}

// take waits for n events.
func (r *receiver) take(t *testing.T, n int) (got []string) {
	t.Helper()
	timeout := time.After(patience)
	for range n {
		select {
		case e := <-r.got:
			got = append(got, e)
		case <-timeout:
			t.Fatalf("%d events are missing after %v", n-len(got), got)
		}
	}
	return got
}

const secret = "0123456789abcdef0123456789abcdef"

func hooked(urls ...string) *Log {
	return &Log{Webhooks: urls, Secret: []byte(secret), retryAfter: time.Millisecond}
}

// of keeps what happened to one resource.
func of(resource string, all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return !strings.HasPrefix(s, resource+" ") })
}

func numbered(resource string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(resource, " ", i))
	}
	return all
}

// TestWebhook: a receiver gets what is published after its first start, each resource's events in order.
func TestWebhook(t *testing.T) {
	dir := t.TempDir()
	l, end := open(t, dir, &Log{})
	publish(t, l, arnA, "before")
	end()
	r := newReceiver(t, secret)
	l, end = open(t, dir, hooked(r.URL, r.URL))
	defer func() { end() }()
	for i := range 20 {
		publish(t, l, arnA, strconv.Itoa(i))
		publish(t, l, arnB, strconv.Itoa(i))
	}
	got := r.take(t, 40)
	for _, resource := range []string{"a", "b"} {
		if diff := cmp.Diff(numbered(resource, 20), of(resource, got)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestWebhookRefuses: a receiver that cannot take the events of one resource gets those of others meanwhile, and
// those of that one in order afterwards.
func TestWebhookRefuses(t *testing.T) {
	r := newReceiver(t, secret)
	l, end := open(t, t.TempDir(), hooked(r.URL))
	defer end()
	refusals := make(chan struct{}, 1)
	r.answer(func(resource string) int {
		if resource == "b" {
			return 0
		}
		select {
		case refusals <- struct{}{}:
		default:
		}
		return http.StatusInternalServerError
	})
	for i := range 5 {
		publish(t, l, arnA, strconv.Itoa(i))
		publish(t, l, arnB, strconv.Itoa(i))
	}
	if diff := cmp.Diff(numbered("b", 5), r.take(t, 5)); diff != "" {
		t.Error(diff)
	}
	for range 3 {
		<-refusals
	}
	r.answer(func(string) int { return 0 })
	if diff := cmp.Diff(numbered("a", 5), r.take(t, 5)); diff != "" {
		t.Error(diff)
	}
}

// TestWebhookRestart: what a receiver did not take while it was down it gets after a restart of the server.
func TestWebhookRestart(t *testing.T) {
	dir := t.TempDir()
	r := newReceiver(t, secret)
	l, end := open(t, dir, hooked(r.URL))
	refused := make(chan struct{}, 100)
	r.answer(func(resource string) int {
		if resource == "b" {
			return 0
		}
		refused <- struct{}{}
		return http.StatusServiceUnavailable
	})
	for i := range 3 {
		publish(t, l, arnA, strconv.Itoa(i))
		publish(t, l, arnB, strconv.Itoa(i))
	}
	r.take(t, 3)
	<-refused
	r.answer(func(string) int { return http.StatusBadGateway })
	end()
	l, end = open(t, dir, hooked(r.URL))
	publish(t, l, arnB, "3")
	publish(t, l, arnA, "3")
	r.answer(func(string) int { return 0 })
	got := r.take(t, 5)
	if diff := cmp.Diff(numbered("a", 4), of("a", got)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"b 3"}, of("b", got)); diff != "" {
		t.Error(diff)
	}
	end()
}

// TestWebhookHangs: a receiver that never answers holds up neither publishing, nor another receiver, nor the end.
func TestWebhookHangs(t *testing.T) {
	asked := make(chan struct{}, 1)
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-release
	}))
	defer hanging.Close()
	defer close(release)
	r := newReceiver(t, secret)
	l, end := open(t, t.TempDir(), hooked(hanging.URL, r.URL))
	for i := range 3 {
		publish(t, l, arnA, strconv.Itoa(i))
	}
	<-asked
	if diff := cmp.Diff(numbered("a", 3), r.take(t, 3)); diff != "" {
		t.Error(diff)
	}
	end()
}

// TestWebhookForgotten: a receiver that was left out once begins anew.
func TestWebhookForgotten(t *testing.T) {
	dir := t.TempDir()
	r := newReceiver(t, secret)
	_, end := open(t, dir, hooked(r.URL))
	end()
	l, end := open(t, dir, hooked())
	publish(t, l, arnA, "unseen")
	end()
	l, end = open(t, dir, hooked(r.URL))
	defer func() { end() }()
	publish(t, l, arnA, "seen")
	if got := r.take(t, 1); got[0] != "a seen" {
		t.Errorf("got %v", got)
	}
}

func TestProgress(t *testing.T) {
	p := progress{Through: 9, Owed: []uint64{4, 7}}
	if p.from() != 3 || (progress{Through: 9}).from() != 9 {
		t.Error("reads from the wrong place")
	}
	for position, has := range map[uint64]bool{3: true, 4: false, 5: true, 7: false, 9: true, 10: false} {
		if p.has(position) != has {
			t.Errorf("%d: %v", position, !has)
		}
	}
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	first, err := Secret(dir)
	if err != nil || len(first) != 64 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := Secret(dir); err != nil || again != first {
		t.Errorf("%q, %v", again, err)
	}
	path := filepath.Join(dir, secretFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Secret(dir); err == nil {
		t.Error("a short secret is taken")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// TestPause: pauses end with their context.
func TestPause(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if !pause(ctx, 0) {
		t.Error("an empty pause was cut short")
	}
	cancel()
	if pause(ctx, time.Hour) {
		t.Error("a pause outlasted its context")
	}
}
