package record

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestLinks(t *testing.T) {
	store := folder(t)
	b, err := store.Bucket("recordings")
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("0123456789"), 1000)
	for key, body := range map[string][]byte{"a/b/media/hls/x/0.mp4": data, "a/b/media/hls/master.m3u8": []byte("#EXTM3U\n"), "a/secret.json": []byte("{}")} {
		if err := b.Put(t.Context(), key, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	links := &Links{Key: []byte("0123456789abcdef0123456789abcdef"), Objects: store, Find: func(_ context.Context, id string) (string, string, bool) {
		return "recordings", "a/b", id == "one"
	}}
	server := httptest.NewServer(links)
	defer server.Close()
	get := func(path string, header ...string) (*http.Response, []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = path // as it is
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, body
	}
	good := links.Of("one", time.Now().Add(time.Hour))
	if r, body := get(good + "media/hls/x/0.mp4"); r.StatusCode != 200 || !bytes.Equal(body, data) || r.Header.Get("Content-Type") != "video/mp4" || r.Header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("whole: %s %d bytes, %v", r.Status, len(body), r.Header)
	}
	for given, want := range map[string]string{"bytes=5-9": "56789", "bytes=9995-": "56789", "bytes=-3": "789"} {
		if r, body := get(good+"media/hls/x/0.mp4", "Range", given); r.StatusCode != 206 || string(body) != want {
			t.Errorf("%s: %s %q", given, r.Status, body)
		}
	}
	if r, _ := get(good+"media/hls/x/0.mp4", "Range", "bytes=10000-"); r.StatusCode != 416 {
		t.Errorf("a range behind the end: %s", r.Status)
	}
	if r, _ := get(good + "media/hls/master.m3u8"); r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/vnd.apple.mpegurl" || r.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("playlist: %s %v", r.Status, r.Header)
	}
	late := links.Of("one", time.Now().Add(-time.Second))
	for name, path := range map[string]string{
		"too late": late + "media/hls/master.m3u8", "no permission": "/recordings/one//media/hls/master.m3u8", "another recording": strings.Replace(good, "one", "two", 1) + "media/hls/master.m3u8",
		"a later end": strings.Replace(good, "-", "0-", 1) + "media/hls/master.m3u8", "nothing": "/recordings/", "no file": "/recordings/one",
	} {
		if r, _ := get(path); r.StatusCode != 403 {
			t.Errorf("%s: %s", name, r.Status)
		}
	}
	for _, file := range []string{"", "../secret.json", "%2e%2e/secret.json", "media/../../secret.json", "media/hls", "media/hls/none.mp4", "media//hls/master.m3u8", `..\secret.json`} {
		if r, body := get(good + file); r.StatusCode != 404 {
			t.Errorf("%q: %s %q", file, r.Status, body)
		}
	}
	if r, _ := get(links.Of("two", time.Now().Add(time.Hour)) + "media/hls/master.m3u8"); r.StatusCode != 404 {
		t.Errorf("no such recording: %s", r.Status)
	}
}
