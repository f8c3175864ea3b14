package console

import (
	"compress/gzip"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/web/bundle"
)

func get(t *testing.T, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDistIsFresh(t *testing.T) {
	want, err := bundle.Files("../../web")
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string][]byte)
	err = fs.WalkDir(dist, "dist", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			have[strings.TrimPrefix(name, "dist/")], err = dist.ReadFile(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	names := func(m map[string][]byte) []string { return slices.Sorted(maps.Keys(m)) }
	if diff := cmp.Diff(names(want), names(have)); diff != "" {
		t.Fatalf("internal/console/dist is stale, run: go run ./web/build\n(-built +committed)\n%s", diff)
	}
	for name := range want {
		if string(want[name]) != string(have[name]) {
			t.Errorf("internal/console/dist/%s is stale, run: go run ./web/build", name)
		}
	}
}

func TestPages(t *testing.T) {
	for path, want := range map[string]string{
		"/console/":                   "The stage is yours.",
		"/console/join":               `id="token"`,
		"/console/join?token=a.b.c":   `id="token"`,
		"/console/watch?channel=/x.m": `id="video"`,
		"/console/compositions":       `id="signin"`,
		"/console/licenses.txt":       "hls.js",
	} {
		res := get(t, path)
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", path, res.StatusCode)
		}
		if !strings.Contains(body(t, res.Body), want) {
			t.Errorf("%s: does not contain %q", path, want)
		}
		if got := res.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	for _, path := range []string{"/console/", "/console/join", "/console/nothing-here", "/console"} {
		h := get(t, path).Header
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'self'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: policy %q lacks %q", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: headers %v", path, h)
		}
	}
}

// No page may hold inline code or style, nor load anything from elsewhere: the policy would block it.
func TestPagesKeepToThePolicy(t *testing.T) {
	bad := regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\sstyle=|\son[a-z]+="|(src|href)="(https?:)?//`)
	for _, path := range []string{"/console/", "/console/join", "/console/watch", "/console/compositions"} {
		if found := bad.FindString(body(t, get(t, path).Body)); found != "" {
			t.Errorf("%s contains %q", path, found)
		}
	}
}

func TestAssets(t *testing.T) {
	page := body(t, get(t, "/console/join").Body)
	assets := regexp.MustCompile(`/console/assets/[a-z]+-[0-9a-f]{10}\.(js|css|svg)`).FindAllString(page, -1)
	if len(assets) != 4 {
		t.Fatalf("the join page names %q, want style, icon, worker and script", assets)
	}
	types := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
	for _, asset := range assets {
		plain := get(t, asset)
		if plain.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", asset, plain.StatusCode)
		}
		if got, want := plain.Header.Get("Content-Type"), types[asset[strings.LastIndex(asset, ".")+1:]]; got != want {
			t.Errorf("%s: Content-Type %q, want %q", asset, got, want)
		}
		if got := plain.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("%s: Cache-Control %q", asset, got)
		}
		zipped := get(t, asset, "Accept-Encoding", "br;q=1, gzip;q=0.8")
		if zipped.Header.Get("Content-Encoding") != "gzip" {
			continue // the icon gains nothing
		}
		z, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body(t, z) != body(t, plain.Body) {
			t.Errorf("%s: gzip and plain differ", asset)
		}
		if zipped.Header.Get("ETag") == plain.Header.Get("ETag") {
			t.Errorf("%s: one etag for two encodings", asset)
		}
	}
}

func TestRevalidation(t *testing.T) {
	etag := get(t, "/console/join").Header.Get("ETag")
	if res := get(t, "/console/join", "If-None-Match", etag); res.StatusCode != http.StatusNotModified {
		t.Errorf("status %d for the same etag, want 304", res.StatusCode)
	}
	if res := get(t, "/console/join", "If-None-Match", `"another"`); res.StatusCode != http.StatusOK {
		t.Errorf("status %d for another etag, want 200", res.StatusCode)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/console", http.StatusMovedPermanently},
		{http.MethodHead, "/console/join", http.StatusOK},
		{http.MethodPost, "/console/join", http.StatusMethodNotAllowed},
		{http.MethodGet, "/console/dist/index.html", http.StatusNotFound},
		{http.MethodGet, "/console/join.html", http.StatusNotFound},
		{http.MethodGet, "/console/assets/", http.StatusNotFound},
		{http.MethodGet, "/console/../console.go", http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.want {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, w.Code, c.want)
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "gzip": true, "br, gzip": true, "GZIP": true, "gzip;q=0": false, "gzip; q=0.0": false,
		"gzip;q=0.5": true, "gzip;q=1": true, "br": false, "x-gzip": false,
	} {
		if got := acceptsGzip(accept); got != want {
			t.Errorf("acceptsGzip(%q) = %v", accept, got)
		}
	}
}
