package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// waitTargets bounds a blocked request, in target durations (rfc8216bis §6.2.5.2).
const waitTargets = 3

var (
	errTimeout = errors.New("the stream has stalled")
	errGone    = errors.New("the stream is gone")
)

// Ready tells whether there is something to play.
func (m *Muxer) Ready() bool { return len(m.current.Load().segments) > 0 }

// Settled tells whether there is a whole segment to play.
func (m *Muxer) Settled() bool {
	v := m.current.Load()
	return len(v.segments) > 0 && v.segments[0].complete()
}

// BitRates returns the peak and the mean bits per second of what the playlist holds.
func (m *Muxer) BitRates() (peak, mean int) {
	v := m.current.Load()
	return v.peak, v.mean
}

// Position returns the newest segment's media sequence number, and the number of parts since the start.
func (m *Muxer) Position() (sequence, parts int64) {
	v := m.current.Load()
	sequence, _ = v.last()
	return sequence, v.nextPart
}

// wait blocks until ready says yes of the newest view, and returns that view.
func (m *Muxer) wait(ctx context.Context, ready func(*view) bool) (*view, error) {
	v := m.current.Load()
	if ready(v) {
		return v, nil
	}
	bound := time.NewTimer(ticks(waitTargets * v.target))
	defer bound.Stop()
	for !ready(v) {
		if v.gone {
			return nil, errGone
		}
		select {
		case <-v.changed:
			v = m.current.Load()
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-bound.C:
			return nil, errTimeout
		}
	}
	return v, nil
}

// Audience says which caches may keep what is served: the first word of Cache-Control.
type Audience string

// The audiences.
const (
	Public  Audience = "public"  // any cache, for everyone
	Private Audience = "private" // the player's own: each session has addresses of its own
)

// ServePlaylist answers a GET or HEAD of the media playlist, blocking where the delivery directives ask for it.
func (m *Muxer) ServePlaylist(w http.ResponseWriter, r *http.Request, a Audience) {
	d, err := parseDirectives(r.URL.RawQuery)
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	v := m.current.Load()
	if d.blocking {
		// Asking for more than the next segment but one cannot be met in time (rfc8216bis §6.2.5.2).
		if last, _ := v.last(); !v.ended && d.sequence > last+2 {
			fail(w, http.StatusBadRequest, fmt.Errorf("_HLS_msn=%d, but the newest segment is %d", d.sequence, last))
			return
		}
		v, err = m.wait(r.Context(), func(v *view) bool { return v.has(d.sequence, d.part) })
		if err != nil {
			unavailable(w, err)
			return
		}
	}
	h := w.Header()
	h.Set("Content-Type", "application/vnd.apple.mpegurl")
	switch {
	case d.blocking:
		h.Set("Cache-Control", string(a)+", max-age=1")
	case a == Private:
		h.Set("Cache-Control", "private, no-cache")
	default:
		h.Set("Cache-Control", "no-cache")
	}
	body := v.full
	if d.skip {
		body = v.delta
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// Has tells whether a file's name is one of the muxer's, past and future ones too.
func (m *Muxer) Has(name string) bool {
	_, _, ok := m.current.Load().parseName(name)
	return ok
}

// ServeFile answers a GET or HEAD of an initialisation section, a segment or a part. A GET of the part that comes
// next blocks until it is there. It reports false, having written nothing, for a name that it does not have.
func (m *Muxer) ServeFile(w http.ResponseWriter, r *http.Request, name string, a Audience) bool {
	v := m.current.Load()
	kind, n, ok := v.parseName(name)
	if !ok || kind == 'p' && v.whole {
		return false
	}
	if kind == 'p' && n == v.nextPart && !v.ended {
		var err error
		if v, err = m.wait(r.Context(), func(v *view) bool { return v.nextPart > n || v.ended }); err != nil {
			unavailable(w, err)
			return true
		}
	}
	data := v.file(kind, n)
	if data == nil {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", v.format.mediaType)
	h.Set("Cache-Control", string(a)+", max-age=31536000, immutable")
	// The zero time leaves Last-Modified out; the name alone tells versions apart.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	return true
}

// file returns the bytes behind a name, or nil.
func (v *view) file(kind byte, n int64) []byte {
	if kind == 'i' {
		return v.inits[n]
	}
	for _, list := range [][]segment{v.segments, v.older} {
		for i := len(list) - 1; i >= 0; i-- {
			s := &list[i]
			if kind == 's' {
				if s.sequence == n {
					return s.data
				}
				continue
			}
			if len(s.parts) > 0 && s.parts[0].id <= n {
				if i := n - s.parts[0].id; i < int64(len(s.parts)) {
					return s.parts[i].data
				}
				break // the part that this list begins with is older, and no later segment has it
			}
		}
	}
	return nil
}

// parseName takes a name of ours apart: 'i' for an initialisation section, 's' for a segment, 'p' for a part.
func (v *view) parseName(name string) (kind byte, n int64, ok bool) {
	rest, ok := strings.CutPrefix(name, v.prefix+"_")
	if !ok {
		return 0, 0, false
	}
	for _, form := range []struct{ kind, ext string }{{"init", ".mp4"}, {"s", v.format.extension}, {"p", v.format.extension}} {
		digits, ok := strings.CutPrefix(rest, form.kind)
		if !ok {
			continue
		}
		digits, ok = strings.CutSuffix(digits, form.ext)
		n, err := strconv.ParseUint(digits, 10, 63)
		if !ok || err != nil {
			return 0, 0, false
		}
		return form.kind[0], int64(n), true
	}
	return 0, 0, false
}

// directives are the delivery directives of a playlist request (rfc8216bis §6.2.5).
type directives struct {
	blocking bool
	sequence int64
	part     int
	skip     bool
}

// parseDirectives reads the query of a playlist request. A segment without a part means its first part: answering
// only at its end would leave a player that asks so two seconds behind, and at once would make it spin.
func parseDirectives(query string) (d directives, err error) {
	part := ""
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "_HLS_msn":
			n, err := strconv.ParseUint(value, 10, 62)
			if err != nil {
				return directives{}, fmt.Errorf("_HLS_msn=%q is not a media sequence number", value)
			}
			d.blocking, d.sequence = true, int64(n)
		case "_HLS_part":
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return directives{}, fmt.Errorf("_HLS_part=%q is not a part number", value)
			}
			part, d.part = value, int(n)
		case "_HLS_skip":
			d.skip = value == "YES" || value == "v2"
		}
	}
	if part != "" && !d.blocking {
		return directives{}, errors.New("_HLS_part without _HLS_msn")
	}
	return d, nil
}

func fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, err.Error(), status)
}

// unavailable answers a request whose wait failed. Nobody reads the answer to a request that is gone.
func unavailable(w http.ResponseWriter, err error) {
	if errors.Is(err, errTimeout) || errors.Is(err, errGone) {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	fail(w, http.StatusRequestTimeout, err)
}
