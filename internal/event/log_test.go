package event

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/store"
)

const (
	arnA = "arn:aws:ivs:us-east-1:123456789012:composition/aaaaaaaaaaaa"
	arnB = "arn:aws:ivs:us-east-1:123456789012:stage/bbbbbbbbbbbb"
)

// open starts a log in a directory; the function closes it.
func open(t *testing.T, dir string, l *Log) (*Log, func()) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	l.Store = s
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l, func() {
		l.Close()
		s.Close()
	}
}

func publish(t *testing.T, l *Log, resource, name string) {
	t.Helper()
	detail, err := json.Marshal(map[string]string{"event_name": name})
	if err != nil {
		t.Fatal(err)
	}
	err = l.Publish(t.Context(), Event{ID: IDOf(resource, name), DetailType: "IVS Composition State Change", Time: time.Now(),
		Resources: []string{resource}, Detail: detail})
	if err != nil {
		t.Fatal(err)
	}
}

// name is what publish called an event.
func name(t *testing.T, body []byte) string {
	t.Helper()
	var e Event
	var detail struct {
		Name string `json:"event_name"`
	}
	if err := errors.Join(json.Unmarshal(body, &e), json.Unmarshal(e.Detail, &detail)); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return detail.Name
}

func names(t *testing.T, l *Log, q Query) (all []string) {
	t.Helper()
	err := l.Read(t.Context(), q, func(e Entry) error {
		all = append(all, name(t, e.Body))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLog(t *testing.T) {
	dir := t.TempDir()
	l, end := open(t, dir, &Log{})
	if got := names(t, l, Query{}); got != nil {
		t.Errorf("an empty log has %v", got)
	}
	for _, n := range []string{"one", "two"} {
		publish(t, l, arnA, n)
	}
	publish(t, l, arnB, "other")
	publish(t, l, arnA, "two") // again, as after an answer that got lost
	end()
	l, end = open(t, dir, &Log{})
	defer end()
	publish(t, l, arnA, "three")
	for what, test := range map[string]struct {
		q    Query
		want []string
	}{
		"everything":  {Query{}, []string{"one", "two", "other", "three"}},
		"one of them": {Query{Resource: arnA}, []string{"one", "two", "three"}},
		"the rest":    {Query{After: 2}, []string{"other", "three"}},
		"since":       {Query{Since: time.Now().Add(-time.Hour)}, []string{"one", "two", "other", "three"}},
		"future":      {Query{Since: time.Now().Add(time.Hour)}, nil},
		"nothing":     {Query{Resource: arnA + "x"}, nil},
	} {
		if diff := cmp.Diff(test.want, names(t, l, test.q)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

// TestEnvelope: what is published has the members of spec/composition.md §3, no more and no less.
func TestEnvelope(t *testing.T) {
	l, end := open(t, t.TempDir(), &Log{})
	defer end()
	messages, err := l.Store.JetStream().Conn().SubscribeSync("footlight.events.ivs.composition.aaaaaaaaaaaa")
	if err != nil {
		t.Fatal(err)
	}
	e := Event{ID: "11111111-2222-4333-8444-555555555555", DetailType: "IVS Composition State Change",
		Time: time.Date(2026, 1, 1, 13, 0, 0, 5e8, time.FixedZone("", 3600)), Resources: []string{arnA}, Detail: json.RawMessage(`{"event_name":"Session Start"}`)}
	if err := l.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	m, err := messages.NextMsg(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":"0","id":"11111111-2222-4333-8444-555555555555","detail-type":"IVS Composition State Change","source":"aws.ivs",` +
		`"account":"123456789012","time":"2026-01-01T12:00:00Z","region":"us-east-1","resources":["` + arnA + `"],"detail":{"event_name":"Session Start"}}`
	if got := string(m.Data); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestPublishRefuses(t *testing.T) {
	l, end := open(t, t.TempDir(), &Log{})
	defer end()
	for what, e := range map[string]Event{
		"no resource": {DetailType: "x", Time: time.Now()},
		"no ARN":      {DetailType: "x", Time: time.Now(), Resources: []string{"me"}},
		"no type":     {Time: time.Now(), Resources: []string{arnA}},
		"no time":     {DetailType: "x", Resources: []string{arnA}},
		"bad detail":  {DetailType: "x", Time: time.Now(), Resources: []string{arnA}, Detail: json.RawMessage("{")},
	} {
		if err := l.Publish(t.Context(), e); err == nil {
			t.Errorf("%s: published", what)
		}
	}
	if got := names(t, l, Query{}); got != nil {
		t.Errorf("the log has %v", got)
	}
}

func TestFollow(t *testing.T) {
	l, end := open(t, t.TempDir(), &Log{})
	defer end()
	publish(t, l, arnA, "one")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	idle := make(chan struct{}, 1)
	got := make(chan string)
	ended := make(chan error)
	go func() {
		ended <- l.Read(ctx, Query{Follow: true, IdleTime: time.Millisecond, Idle: func() error {
			select {
			case idle <- struct{}{}:
			default:
			}
			return nil
		}}, func(e Entry) error {
			got <- string(e.Body)
			return nil
		})
	}()
	for _, want := range []string{"one", "two"} {
		if body := <-got; name(t, []byte(body)) != want {
			t.Errorf("got %s, want %s", body, want)
		}
		<-idle
		publish(t, l, arnA, "two")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func get(t *testing.T, url string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func TestHandler(t *testing.T) {
	l, end := open(t, t.TempDir(), &Log{})
	defer end()
	server := httptest.NewServer(l.Handler())
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	publish(t, l, arnA, "one")
	publish(t, l, arnB, "other")

	body, err := io.ReadAll(get(t, server.URL+"?since=1h&resource="+arnA).Body)
	if lines := strings.Split(strings.TrimSpace(string(body)), "\n"); err != nil || len(lines) != 1 || name(t, []byte(lines[0])) != "one" {
		t.Errorf("%s, %v", body, err)
	}

	following := get(t, server.URL+"?follow=true")
	defer following.Body.Close() // before the server, which waits for it
	if got := following.Header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("content type %s", got)
	}
	decoder := json.NewDecoder(following.Body)
	for _, want := range []string{"one", "other", "later"} {
		if want == "later" {
			publish(t, l, arnA, "later")
		}
		var line json.RawMessage
		if err := decoder.Decode(&line); err != nil || name(t, line) != want {
			t.Fatalf("%s: %s, %v", want, line, err)
		}
	}

	for query, want := range map[string]string{"since=yesterday": "10m", "resource=me": "resource", "follow=perhaps": "follow", "sinse=1h": "sinse", "since=-1h": "since"} {
		response := get(t, server.URL+"?"+query)
		var problem struct{ Error, Code string }
		if err := json.NewDecoder(response.Body).Decode(&problem); err != nil || response.StatusCode != http.StatusBadRequest ||
			problem.Code != "ValidationException" || !strings.Contains(problem.Error, want) {
			t.Errorf("%s: %s %+v %v", query, response.Status, problem, err)
		}
	}
	response, err := http.Post(server.URL, "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", response.Status)
	}
}

func TestIDOf(t *testing.T) {
	if a, b := IDOf("ab", "c"), IDOf("a", "bc"); a == b || a != IDOf("ab", "c") || len(a) != 36 {
		t.Errorf("%s, %s", a, b)
	}
	if a, b := NewID(), NewID(); a == b {
		t.Error("two new ids are the same")
	}
}

// FuzzQuery: whatever is asked is understood or refused, and what is understood can be read.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{"", "since=10m&follow=true", "since=2026-01-31T12:00:00Z&resource=" + arnA, "follow=%zz", "since=9e99h", "resource=arn:aws:ivs:::/."} {
		f.Add(query)
	}
	l := &Log{Now: time.Now}
	f.Fuzz(func(t *testing.T, query string) {
		q, err := l.query(&http.Request{URL: &url.URL{RawQuery: query}})
		if err != nil {
			return
		}
		config, err := q.consumer()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range config.FilterSubjects {
			if !strings.HasPrefix(s, "footlight.events.ivs.") || strings.ContainsAny(s, " *>") || strings.Count(s, ".") != 4 {
				t.Errorf("%q reads %q", query, s)
			}
		}
	})
}
