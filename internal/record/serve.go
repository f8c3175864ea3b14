package record

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/objectstore"
)

// Links serves recordings to whoever has a link: addresses that hold their own permission and its end, so that players
// need neither keys nor headers. The permission is for one prefix, and in the path, so that it is in all addresses that
// a playlist names.
type Links struct {
	Key     []byte // seals links; 32 bytes that nobody else knows
	Objects objectstore.Store
	// Find says where a recording is; false: there is none.
	Find func(ctx context.Context, id string) (bucket, prefix string, ok bool)
}

// Path is where links begin.
const Path = "/recordings/"

// Of is the path of a recording's files until a time, with a slash at its end.
func (l *Links) Of(id string, until time.Time) string {
	expires := strconv.FormatInt(until.Unix(), 36)
	return Path + id + "/" + expires + "-" + l.seal(id, expires) + "/"
}

func (l *Links) seal(id, expires string) string {
	mac := hmac.New(sha256.New, l.Key)
	fmt.Fprintf(mac, "%d:%s %s", len(id), id, expires)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// permits checks a link's permission.
func (l *Links) permits(id, permission string, now time.Time) bool {
	expires, seal, _ := strings.Cut(permission, "-")
	until, err := strconv.ParseInt(expires, 36, 64)
	return hmac.Equal([]byte(seal), []byte(l.seal(id, expires))) && err == nil && now.Before(time.Unix(until, 0))
}

// ServeHTTP answers GET and HEAD, with ranges.
func (l *Links) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Access-Control-Allow-Origin", "*") // a link is its own permission
	h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range")
	h.Set("Cache-Control", "no-store")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Headers", "Range")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	id, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Path), "/")
	permission, file, _ := strings.Cut(rest, "/")
	if !l.permits(id, permission, time.Now()) {
		http.Error(w, "this link is not valid, or no longer: GET /footlight/v1/recordings makes new ones", http.StatusForbidden)
		return
	}
	bucket, prefix, ok := l.Find(r.Context(), id)
	if !ok {
		http.Error(w, "there is no such recording", http.StatusNotFound)
		return
	}
	l.serve(w, r, bucket, prefix+"/"+file)
}

func (l *Links) serve(w http.ResponseWriter, r *http.Request, bucketName, key string) {
	bucket, err := l.Objects.Bucket(bucketName)
	var o objectstore.Object
	if err == nil {
		o, err = bucket.Head(r.Context(), key)
	}
	switch {
	case errors.Is(err, objectstore.ErrNotFound), errors.Is(err, objectstore.ErrNoBucket), errors.Is(err, objectstore.ErrInvalidName):
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, "the object store does not answer", http.StatusBadGateway)
		return
	}
	h := w.Header()
	h.Set("Content-Type", objectstore.TypeOf(key))
	if ext := path.Ext(key); ext == ".mp4" || ext == ".jpg" && path.Base(key) != "thumb.jpg" {
		h.Set("Cache-Control", "private, max-age=86400") // what is stored once does not change
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	body := &objectReader{ctx: r.Context(), bucket: bucket, object: o}
	defer body.close()
	http.ServeContent(w, r, "", o.Modified, body)
}

// objectReader reads an object from wherever it is sought to, in one piece as far as it is read.
type objectReader struct {
	ctx    context.Context
	bucket objectstore.Bucket
	object objectstore.Object
	at     int64
	body   io.ReadCloser // nil: to be opened at at
}

// Seek implements io.Seeker.
func (o *objectReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.object.Size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	if offset != o.at {
		o.close()
		o.at = offset
	}
	return offset, nil
}

// Read implements io.Reader.
func (o *objectReader) Read(p []byte) (int, error) {
	if o.at >= o.object.Size {
		return 0, io.EOF
	}
	if o.body == nil {
		body, _, err := o.bucket.Open(o.ctx, o.object.Key, objectstore.Range{Offset: o.at})
		if err != nil {
			return 0, err
		}
		o.body = body
	}
	n, err := o.body.Read(p)
	o.at += int64(n)
	return n, err
}

func (o *objectReader) close() {
	if o.body != nil {
		o.body.Close()
		o.body = nil
	}
}
