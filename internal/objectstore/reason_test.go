package objectstore

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A store that cannot be asked says why, within the time that a request waits for it.
func TestReason(t *testing.T) {
	for _, name := range []string{"AWS_PROFILE", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<p>no S3", http.StatusBadGateway) }))
	defer plain.Close()
	trusted := httptest.NewTLSServer(nil)
	defer trusted.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for endpoint, words := range map[string]string{
		gone.URL:    "refused",
		plain.URL:   "status 502",
		trusted.URL: "certificate",
		"https" + strings.TrimPrefix(plain.URL, "http"): "HTTP response to HTTPS",
		"http://nowhere.invalid":                        "nowhere.invalid",
	} {
		store, err := Open(t.Context(), Config{URL: "s3://?path-style=true&endpoint=" + url.QueryEscape(endpoint)})
		if err != nil {
			t.Fatal(err)
		}
		bucket, err := store.Bucket("abc")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		err = Check(ctx, bucket)
		cancel()
		if said := Reason(err); err == nil || !strings.Contains(said, words) || strings.Contains(said, "very-secret") {
			t.Errorf("%s: %q of %v", endpoint, said, err)
		}
	}
	for want, err := range map[string]error{
		"":                          errors.New("some secret"),
		"it did not answer in time": fail("put", "b", "k", context.DeadlineExceeded),
		"no space left on device":   fail("put", "b", "k", &fs.PathError{Op: "write", Path: "/a", Err: syscall.ENOSPC}),
	} {
		if got := Reason(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
