package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
)

// Times of a reader over HTTP.
const (
	idleLine     = 15 * time.Second // an empty line then, so that nobody between takes the connection for dead
	writeTimeout = 30 * time.Second // of one line: who does not read is let go
)

// Handler serves the log: GET answers with one event per line, oldest first. Query parameters, all optional:
//
//	since     a time (RFC 3339) or how long ago (90s, 10m, 24h); default: everything
//	resource  an ARN: only what happened to it
//	follow    true: go on with what happens from then on; an empty line every 15 s shows that the connection lives
//
// Who may read is for the caller to decide.
func (l *Log) Handler() http.Handler { return http.HandlerFunc(l.serve) }

func (l *Log) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "events are read with GET")
		return
	}
	q, err := l.query(r)
	if err != nil {
		fail(w, http.StatusBadRequest, "ValidationException", err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // reverse proxies pass lines on as they come
	if r.Method == http.MethodHead {
		return
	}
	out := http.NewResponseController(w)
	line := func(b []byte) error {
		// Where there are no deadlines, the connection's own end has to do.
		_ = out.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := w.Write(append(b, '\n')); err != nil {
			return err
		}
		if q.Follow {
			return out.Flush()
		}
		return nil
	}
	if q.Follow {
		q.Idle, q.IdleTime = func() error { return line(nil) }, idleLine
		if out.Flush() != nil { // the head, at once
			return
		}
	}
	err = l.Read(r.Context(), q, func(e Entry) error { return line(e.Body) })
	if err != nil && r.Context().Err() == nil {
		l.Log.Warn("a reader of events is let go", "remote", r.RemoteAddr, "error", err)
		panic(http.ErrAbortHandler) // so that what was sent does not look complete
	}
}

func (l *Log) query(r *http.Request) (q Query, err error) {
	values := r.URL.Query()
	for name := range values {
		if name != "since" && name != "resource" && name != "follow" {
			return q, fmt.Errorf("there is no parameter %q: since, resource and follow are understood", name)
		}
	}
	if since := values.Get("since"); since != "" {
		if q.Since, err = ParseSince(since, l.Now()); err != nil {
			return q, err
		}
	}
	if q.Resource = values.Get("resource"); q.Resource != "" {
		if _, err := arn.Parse(q.Resource); err != nil {
			return q, fmt.Errorf("resource: %w", err)
		}
	}
	if follow := values.Get("follow"); follow != "" {
		if q.Follow, err = strconv.ParseBool(follow); err != nil {
			return q, errors.New("follow: want true or false")
		}
	}
	return q, nil
}

// ParseSince reads a point in time: RFC 3339, or how long before now.
func ParseSince(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, errors.New("since: want a time like 2026-01-31T12:00:00Z, or how long ago like 90s, 10m or 24h")
	}
	return t, nil
}

func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// Nobody is left to tell when this fails.
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message, "code": code})
}
