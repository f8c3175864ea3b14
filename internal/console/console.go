// Package console serves the web pages: the start page, joining a stage, watching a channel; and at /sdk/ the stage client
// for the pages of others.
//
// The pages are built from web/ and embedded; they talk to the server only through the same public interfaces as
// any other client. Every response carries a content security policy that allows no script but our own.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

//go:generate go run -C ../.. ./web/build

//go:embed dist
var dist embed.FS

// policy lets pages run and style themselves from here only. They connect and play anywhere, because a participant
// token and a playback URL name their own servers.
const policy = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self' http: https: ws: wss:; media-src 'self' blob: http: https:; worker-src 'self'; " +
	"object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// contentTypes are ours rather than the machine's, whose tables differ.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".mjs":  "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// file is one embedded file, ready to send.
type file struct {
	contentType string
	cache       string
	etag        string
	plain       []byte
	gzipped     []byte // nil where compression gains nothing
}

// files holds every page and asset by URL path, built on the first call.
var files = sync.OnceValue(func() map[string]file {
	all := make(map[string]file)
	err := fs.WalkDir(dist, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		all[urlOf(strings.TrimPrefix(name, "dist/"))] = newFile(name, data)
		return nil
	})
	if err != nil {
		panic(err) // the embedded tree is part of the program
	}
	return all
})

// urlOf says where an embedded file is served: pages without their ending, the start page at /console/, the stage client
// at /sdk/.
func urlOf(name string) string {
	if name == "index.html" {
		return "/console/"
	}
	if strings.HasPrefix(name, "sdk/") {
		return "/" + name
	}
	return "/console/" + strings.TrimSuffix(name, ".html")
}

func newFile(name string, data []byte) file {
	sum := sha256.Sum256(data)
	f := file{
		contentType: contentTypes[path.Ext(name)],
		cache:       "no-cache", // kept, but asked for again each time: answered 304 by the etag
		etag:        `"` + hex.EncodeToString(sum[:8]) + `"`,
		plain:       data,
	}
	if strings.HasPrefix(name, "dist/assets/") {
		f.cache = "public, max-age=31536000, immutable" // the name changes with the content
	}
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression)
	w.Write(data)
	w.Close()
	if z.Len() < len(data)*9/10 {
		f.gzipped = z.Bytes()
	}
	return f
}

// Handler serves everything under /console/ and /sdk/. It keeps no state; any number of requests may run at once.
func Handler() http.Handler {
	return http.HandlerFunc(serve)
}

func serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // links carry tokens
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), geolocation=(), payment=(), usb=()")

	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == "/console" {
		http.Redirect(w, r, "/console/", http.StatusMovedPermanently)
		return
	}
	f, ok := files()[r.URL.Path]
	if strings.HasPrefix(r.URL.Path, "/sdk/") {
		h.Set("Access-Control-Allow-Origin", "*") // modules are loaded with CORS, by pages from anywhere
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	if !ok {
		h.Set("Cache-Control", "no-store")
		http.Error(w, "no such page; the console starts at /console/", http.StatusNotFound)
		return
	}
	f.send(w, r)
}

func (f file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", f.cache)
	h.Set("Vary", "Accept-Encoding")
	body, etag := f.plain, f.etag
	if f.gzipped != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body, etag = f.gzipped, strings.TrimSuffix(f.etag, `"`)+`-z"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", etag)
	// The standard library answers HEAD, If-None-Match and ranges from the headers above.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip reads Accept-Encoding (RFC 9110, section 12.5.3) as far as the choice between gzip and plain needs.
func acceptsGzip(accept string) bool {
	for coding := range strings.SplitSeq(accept, ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			weight = strings.ReplaceAll(weight, " ", "")
			return weight == "" || strings.Trim(weight, "q=0.") != ""
		}
	}
	return false
}
