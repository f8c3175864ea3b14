package hls

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// blocked asks in the background and reports the answer.
func (s *source) blocked(target string) <-chan *httptest.ResponseRecorder {
	c := make(chan *httptest.ResponseRecorder, 1)
	go func() { c <- s.request("GET", target) }()
	return c
}

func pending(c <-chan *httptest.ResponseRecorder) bool {
	synctest.Wait()
	return len(c) == 0
}

func TestBlockingReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, MPEGTS, 30, 1, 60)
		s.run(60 + 15) // the segments of the first two seconds, then two parts and a half
		last, parts := s.m.current.Load().last()
		if parts != 2 {
			t.Fatalf("segment %d has %d parts", last, parts)
		}
		for _, at := range []string{"0", "1"} {
			if w := s.request("GET", fmt.Sprintf("live.m3u8?_HLS_msn=%d&_HLS_part=%s", last, at)); w.Code != 200 {
				t.Errorf("part %s that is there: status %d", at, w.Code)
			}
		}
		next := s.blocked(fmt.Sprintf("live.m3u8?viewer=x&_HLS_msn=%d&_HLS_part=2", last))
		// Safari asks without a part (OvenMediaEngine pull request 2207): it means part 0, and blocks.
		segment := s.blocked(fmt.Sprintf("live.m3u8?_HLS_msn=%d", last+1))
		far := s.blocked(fmt.Sprintf("live.m3u8?_HLS_msn=%d&_HLS_part=0", last+2))
		// A part past the segment's end is part 0 of the next one.
		past := s.blocked(fmt.Sprintf("live.m3u8?_HLS_msn=%d&_HLS_part=10", last))
		hint := s.blocked(s.playlist().PreloadHint.URI)
		if !pending(next) || !pending(segment) || !pending(past) || !pending(far) || !pending(hint) {
			t.Fatal("answered before its time")
		}
		s.run(3)
		if pending(next) || pending(hint) {
			t.Fatal("not answered with its part")
		}
		w := <-next
		m := parse(t, w.Body.Bytes())
		if n := len(m.Parts); n != 3 {
			t.Errorf("%d parts", n)
		}
		if got := (<-hint).Body.String(); got != s.request("GET", m.Parts[2].URI).Body.String() || got == "" {
			t.Error("the hint led to another part")
		}
		s.run(60 - 18) // to the end of the segment: its last part is there, the next segment's first is not
		if !pending(segment) || !pending(past) {
			t.Fatal("answered before the next segment has a part")
		}
		s.run(6)
		if pending(segment) || pending(past) || !pending(far) {
			t.Fatal("part 0 of the next segment is there")
		}
		s.run(60)
		if pending(far) {
			t.Fatal("the segment after that is there")
		}
	})
}

func TestBlockingBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, MPEGTS, 30, 1, 60)
		s.run(66)
		last, _ := s.m.current.Load().last()
		for _, target := range []string{fmt.Sprintf("live.m3u8?_HLS_msn=%d&_HLS_part=1", last), s.playlist().PreloadHint.URI} {
			start := time.Now()
			w := s.request("GET", target)
			if w.Code != http.StatusServiceUnavailable || time.Since(start) != 6*time.Second {
				t.Errorf("%s: status %d after %v", target, w.Code, time.Since(start))
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Error("a failure may be cached")
			}
		}
		// A client that leaves is let go at once.
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.do(httptest.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://host/live.m3u8?_HLS_msn=%d", last+1), nil))
		}()
		synctest.Wait()
		start := time.Now()
		cancel()
		<-done
		if time.Since(start) != 0 {
			t.Errorf("let go after %v", time.Since(start))
		}
		// The end answers everyone.
		c := s.blocked(fmt.Sprintf("live.m3u8?_HLS_msn=%d", last+1))
		h := s.blocked(s.playlist().PreloadHint.URI)
		if !pending(c) {
			t.Fatal("answered")
		}
		s.m.End()
		if w := <-c; w.Code != 200 || !strings.Contains(w.Body.String(), "#EXT-X-ENDLIST") {
			t.Errorf("status %d at the end", w.Code)
		}
		if w := <-h; w.Code != 404 {
			t.Errorf("status %d for the part that never came", w.Code)
		}
		if w := s.request("GET", "live.m3u8?_HLS_msn=999999"); w.Code != 200 {
			t.Errorf("status %d after the end", w.Code)
		}
	})
}

func TestAbandon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, MPEGTS, 30, 1, 60)
		s.run(66)
		last, _ := s.m.current.Load().last()
		c := s.blocked(fmt.Sprintf("live.m3u8?_HLS_msn=%d", last+1))
		if !pending(c) {
			t.Fatal("answered")
		}
		s.m.Abandon()
		if w := <-c; w.Code != http.StatusServiceUnavailable {
			t.Errorf("status %d", w.Code)
		}
	})
}

func TestBadDirectives(t *testing.T) {
	s := newSource(t, MPEGTS, 30, 1, 60)
	s.run(66)
	last, _ := s.m.current.Load().last()
	for _, q := range []string{
		"_HLS_msn=x", "_HLS_msn=-1", "_HLS_msn=", "_HLS_msn=99999999999999999999", "_HLS_part=1", "_HLS_part=0",
		fmt.Sprintf("_HLS_msn=%d&_HLS_part=-1", last), fmt.Sprintf("_HLS_msn=%d&_HLS_part=99999999999", last),
		fmt.Sprintf("_HLS_msn=%d", last+3), "_HLS_msn=4611686018427387903",
	} {
		if w := s.request("GET", "live.m3u8?"+q); w.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d", q, w.Code)
		}
	}
	for _, q := range []string{"", "_HLS_skip=NO", "other=1", "_HLS_msn=0", "_HLS_msn=0&_HLS_part=700", fmt.Sprintf("_HLS_msn=%d", last)} {
		if w := s.request("GET", "live.m3u8?"+q); w.Code != http.StatusOK {
			t.Errorf("%s: status %d", q, w.Code)
		}
	}
}

func TestHeaders(t *testing.T) {
	inBoth(t, func(t *testing.T, container Container) {
		s := newSource(t, container, 30, 1, 60)
		s.run(600)
		last, _ := s.m.current.Load().last()
		m := s.playlist()
		immutable := "public, max-age=31536000, immutable"
		media, init := "video/mp2t", ""
		if container == FragmentedMP4 {
			media, init = "video/mp4", m.Map.URI
		}
		for _, c := range []struct{ target, kind, cache string }{
			{"live.m3u8", "application/vnd.apple.mpegurl", "no-cache"},
			{"live.m3u8?_HLS_skip=YES", "application/vnd.apple.mpegurl", "no-cache"},
			{fmt.Sprintf("live.m3u8?_HLS_msn=%d&_HLS_part=0", last), "application/vnd.apple.mpegurl", "public, max-age=1"},
			{init, media, immutable},
			{m.Segments[0].URI, media, immutable},
			{m.Parts[0].URI, media, immutable},
		} {
			if c.target == "" {
				continue
			}
			for _, method := range []string{"GET", "HEAD"} {
				w := s.request(method, c.target)
				h := w.Header()
				if w.Code != 200 || h.Get("Content-Type") != c.kind || h.Get("Cache-Control") != c.cache {
					t.Errorf("%s %s: status %d, header %v", method, c.target, w.Code, h)
				}
				if method == "HEAD" && w.Body.Len() != 0 {
					t.Errorf("HEAD %s has a body", c.target)
				}
				if h.Get("Content-Length") == "" || h.Get("Content-Length") == "0" {
					t.Errorf("%s %s: content length %q", method, c.target, h.Get("Content-Length"))
				}
			}
		}
		whole := s.request("GET", m.Segments[0].URI).Body.String()
		if w := s.request("GET", m.Segments[0].URI, "Range", "bytes=4-7"); w.Code != http.StatusPartialContent || w.Body.String() != whole[4:8] {
			t.Errorf("range: status %d, %q", w.Code, w.Body)
		}
		if w := s.request("GET", "live.m3u8?_HLS_skip=YES"); !strings.Contains(w.Body.String(), "#EXT-X-SKIP:SKIPPED-SEGMENTS=") {
			t.Error("no delta update")
		}
		ext, other := ".ts", ".m4s"
		if container == FragmentedMP4 {
			ext, other = other, ext
		}
		for _, name := range []string{
			"abc_p99999" + ext, "abc_p" + ext, "abc_p-1" + ext, "abc_s1" + ext, "abc_init9.mp4", "abc_init0" + ext, "xyz_p1" + ext, "abc_", "", "abc_p1", "abc_q1" + ext,
			strings.TrimSuffix(m.Segments[0].URI, ext) + other,
		} {
			if w := s.request("GET", name); w.Code != 404 {
				t.Errorf("%q: status %d", name, w.Code)
			}
		}
	})
}

// TestWaitersAreCheap parks many dead clients: they must leave nothing behind (goleak looks).
func TestWaitersAreCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, MPEGTS, 30, 1, 60)
		s.run(66)
		last, _ := s.m.current.Load().last()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan int, 1000)
		for range 1000 {
			go func() {
				r := httptest.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://host/live.m3u8?_HLS_msn=%d", last+1), nil)
				done <- s.do(r).Code
			}()
		}
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("answered")
		}
		cancel()
		synctest.Wait()
		if len(done) != 1000 {
			t.Errorf("%d of 1000 have left", len(done))
		}
	})
}

func FuzzDirectives(f *testing.F) {
	f.Add("_HLS_msn=5&_HLS_part=3&_HLS_skip=YES")
	f.Add("_HLS_part=&&==")
	f.Fuzz(func(t *testing.T, query string) {
		if d, err := parseDirectives(query); err == nil && (d.sequence < 0 || d.part < 0) {
			t.Errorf("%+v", d)
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("abc_p5.m4s")
	f.Add("abc_init0.mp4")
	v := view{prefix: "abc", format: format{extension: ".m4s"}}
	f.Fuzz(func(t *testing.T, name string) {
		if _, n, ok := v.parseName(name); ok && n < 0 {
			t.Errorf("%q is %d", name, n)
		}
	})
}
