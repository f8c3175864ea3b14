package objectstore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/footlight-live/footlight/internal/objectstore/s3test"
)

func bucket(t testing.TB, s Store, name string) Bucket {
	t.Helper()
	b, err := s.Bucket(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, c Config) Store {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	testBucket(t, bucket(t, s, "recordings"), bucket(t, s, "other"))
	left, err := os.ReadDir(filepath.Join(dir, incoming))
	if err != nil || len(left) != 0 {
		t.Errorf("half-written objects: %v, %v", left, err)
	}
}

// TestS3 asks a real server for the same as TestFolder.
func TestS3(t *testing.T) {
	server := s3test.Start(t)
	server.MakeBucket(t, "recordings")
	server.MakeBucket(t, "other")
	s := open(t, Config{URL: server.URL()})
	testBucket(t, bucket(t, s, "recordings"), bucket(t, s, "other"))

	missing := bucket(t, s, "not-there")
	if err := Check(t.Context(), missing); !errors.Is(err, ErrNoBucket) || !strings.Contains(err.Error(), "not-there") {
		t.Errorf("check of a missing bucket: %v", err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	denied := bucket(t, open(t, Config{URL: server.URL()}), "recordings")
	if err := Check(t.Context(), denied); !errors.Is(err, ErrDenied) {
		t.Errorf("check with a wrong secret: %v", err)
	}
	if _, err := denied.Head(t.Context(), "a"); !errors.Is(err, ErrDenied) {
		t.Errorf("head with a wrong secret: %v", err)
	}
}

// TestS3Parts stores what is larger than a part, whole and as half of it cannot be read.
func TestS3Parts(t *testing.T) {
	server := s3test.Start(t)
	server.MakeBucket(t, "recordings")
	b := bucket(t, open(t, Config{URL: server.URL()}), "recordings")
	defer func(was int64) { partSize = was }(partSize)
	partSize = 5 << 20 // no server takes less
	content := make([]byte, 12<<20)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	body := bytes.NewReader(content)
	if _, err := body.Seek(100, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "a/large.mp4", body); err != nil {
		t.Fatal(err)
	}
	r, o, err := b.Open(t.Context(), "a/large.mp4", Range{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content[100:]) || o.ContentType != "video/mp4" {
		t.Errorf("%d bytes of %s came back, %v", len(got), o.ContentType, err)
	}
	if err := b.Put(t.Context(), "a/half.mp4", torn{bytes.NewReader(content)}); err == nil {
		t.Error("a body that ends early is stored")
	}
	if _, err := b.Head(t.Context(), "a/half.mp4"); !errors.Is(err, ErrNotFound) {
		t.Errorf("half an object is there: %v", err)
	}
}

// torn cannot be read behind its first part.
type torn struct{ *bytes.Reader }

func (r torn) Read(p []byte) (int, error) {
	if at, _ := r.Seek(0, io.SeekCurrent); at >= 6<<20 {
		return 0, errors.New("torn")
	}
	return r.Reader.Read(p)
}

func TestWindow(t *testing.T) {
	w := &window{body: strings.NewReader("0123456789"), from: 3, size: 5}
	if err := iotest.TestReader(w, []byte("34567")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(&window{body: strings.NewReader("0123"), from: 2, size: 5}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that is too short: %v", err)
	}
}

func testBucket(t *testing.T, b, other Bucket) {
	ctx := t.Context()
	put := func(b Bucket, key, content string) {
		t.Helper()
		if err := b.Put(ctx, key, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(key string, r Range) (string, Object, error) {
		body, o, err := b.Open(ctx, key, r)
		if err != nil {
			return "", o, err
		}
		defer body.Close()
		data, err := io.ReadAll(body)
		return string(data), o, err
	}

	if err := Check(ctx, b); err != nil {
		t.Fatal(err)
	}
	keys := slices.Collect(func(yield func(string) bool) {
		for o, err := range b.List(ctx, "") {
			if err != nil || !yield(o.Key) {
				t.Error(err)
				return
			}
		}
	})
	if len(keys) != 0 {
		t.Errorf("Check left %v", keys)
	}

	// Write, read, ranges, overwrite.
	const key = "ivs/v1/000000000000/AbC/2026/6/media/hls/master.m3u8"
	before := time.Now().Add(-time.Minute)
	put(b, key, "0123456789")
	for _, c := range []struct {
		r    Range
		want string
	}{
		{Range{}, "0123456789"}, {Range{Offset: 3}, "3456789"}, {Range{Offset: 3, Length: 4}, "3456"}, {Range{Length: 1}, "0"},
		{Range{Offset: 9}, "9"}, {Range{Offset: 8, Length: 100}, "89"}, {Range{Offset: 1, Length: 1<<63 - 1}, "123456789"},
	} {
		if got, o, err := read(key, c.r); err != nil || got != c.want || o.Size != 10 || o.Key != key || o.ContentType != "application/vnd.apple.mpegurl" || o.Modified.Before(before) {
			t.Errorf("%+v: %q %+v %v, want %q", c.r, got, o, err, c.want)
		}
	}
	for _, r := range []Range{{Offset: 10}, {Offset: 11, Length: 2}, {Offset: -1}, {Length: -1}} {
		if _, _, err := read(key, r); !errors.Is(err, ErrRange) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	put(b, key, "new")
	if got, _, err := read(key, Range{}); got != "new" || err != nil {
		t.Errorf("overwritten: %q, %v", got, err)
	}
	put(b, "empty", "")
	if got, o, err := read("empty", Range{}); got != "" || o.Size != 0 || err != nil {
		t.Errorf("empty object: %q %+v %v", got, o, err)
	}
	body := strings.NewReader("skipped rest")
	if _, err := body.Seek(8, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(ctx, "rest", body); err != nil {
		t.Fatal(err)
	}
	if got, _, err := read("rest", Range{}); got != "rest" || err != nil {
		t.Errorf("body from its position on: %q, %v", got, err)
	}

	// Head, and what is not there.
	if o, err := b.Head(ctx, key); err != nil || o.Size != 3 || o.ContentType != "application/vnd.apple.mpegurl" || o.Modified.Before(before) {
		t.Errorf("head: %+v %v", o, err)
	}
	for _, missing := range []string{"nothing", "ivs/v1", key + "x"} {
		if _, err := b.Head(ctx, missing); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), missing) {
			t.Errorf("head %s: %v", missing, err)
		}
		if _, _, err := read(missing, Range{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("get %s: %v", missing, err)
		}
		if err := b.Delete(ctx, missing); err != nil {
			t.Errorf("delete %s: %v", missing, err)
		}
	}

	// Names that are not plain.
	for _, odd := range []string{"spaces and ümlaute/ß.json", "a+b=c&d?e#f%20", "..hidden", "x/.y/z", strings.Repeat("k", 250) + "/" + strings.Repeat("l", 250)} {
		put(b, odd, odd)
		if got, _, err := read(odd, Range{}); got != odd || err != nil {
			t.Errorf("%q: %q, %v", odd, got, err)
		}
		if err := b.Delete(ctx, odd); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "/a", "a/", "a//b", "../recordings/x", "a/../../b", ".", "a/./b", "a\\b", "a\x00b", "a\nb", "\xff", strings.Repeat("a", 256), strings.Repeat("a/", 600) + "a"} {
		if err := b.Put(ctx, bad, strings.NewReader("x")); !errors.Is(err, ErrInvalidName) {
			t.Errorf("put %q: %v", bad, err)
		}
		if _, _, err := b.Open(ctx, bad, Range{}); !errors.Is(err, ErrInvalidName) {
			t.Errorf("get %q: %v", bad, err)
		}
		if _, err := b.Head(ctx, bad); !errors.Is(err, ErrInvalidName) {
			t.Errorf("head %q: %v", bad, err)
		}
		if err := b.Delete(ctx, bad); !errors.Is(err, ErrInvalidName) {
			t.Errorf("delete %q: %v", bad, err)
		}
	}

	// Lists: in the order of bytes, by prefix, of this bucket only.
	put(other, "l/elsewhere", "x")
	want := []string{"l/a", "l/a-b", "l/a.b/c", "l/aa", "l/b/1", "l/b/10", "l/b/2"}
	for _, k := range slices.Backward(want) {
		put(b, k, k)
	}
	for _, c := range []struct {
		prefix string
		want   []string
	}{
		{"l/", want}, {"l/a", want[:4]}, {"l/b/", want[4:]}, {"l/b/1", want[4:6]}, {"l/zzz", nil}, {"nothing/here/", nil},
	} {
		var got []string
		for o, err := range b.List(ctx, c.prefix) {
			if err != nil {
				t.Fatal(err)
			}
			if int(o.Size) != len(o.Key) || o.Modified.Before(before) {
				t.Errorf("listed %+v", o)
			}
			got = append(got, o.Key)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("list %q: %v, want %v", c.prefix, got, c.want)
		}
	}
	for range b.List(ctx, "l/") { // stopping early is fine
		break
	}
	for _, err := range b.List(ctx, "../") {
		if !errors.Is(err, ErrInvalidName) {
			t.Errorf("list of another place: %v", err)
		}
	}

	// Deleting takes exactly one.
	if err := b.Delete(ctx, "l/b/1"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Head(ctx, "l/b/1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	if _, err := b.Head(ctx, "l/b/10"); err != nil {
		t.Error(err)
	}

	// Writers and readers at once see whole objects.
	versions := []string{strings.Repeat("a", 300_000), strings.Repeat("b", 200_000)}
	put(b, "race/x/playlist.m3u8", versions[0])
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			for range 10 {
				if err := b.Put(ctx, "race/x/playlist.m3u8", strings.NewReader(versions[i%2])); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		clients.Go(func() {
			for range 20 {
				if got, _, err := read("race/x/playlist.m3u8", Range{}); err != nil || !slices.Contains(versions, got) {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
			}
		})
	}
	clients.Wait()
	if got, _, err := read("race/x/playlist.m3u8", Range{}); err != nil || !slices.Contains(versions, got) {
		t.Errorf("in the end %d bytes, %v", len(got), err)
	}

	// Nobody waits any more.
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := b.Put(ended, "late", bytes.NewReader(make([]byte, 1<<20))); !errors.Is(err, context.Canceled) {
		t.Errorf("put without a caller: %v", err)
	}
	if _, err := b.Head(ctx, "late"); !errors.Is(err, ErrNotFound) {
		t.Errorf("it was put: %v", err)
	}
}

func TestBucketNames(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	for _, good := range []string{"abc", "my-bucket", "my.bucket.1", "0-0", strings.Repeat("a", 63)} {
		if _, err := s.Bucket(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "ab", strings.Repeat("a", 64), "..", "...", ".incoming", "a..b", "a.", "-ab", "ab-", "ABC", "a/b", "a b", "a_b", "bücket"} {
		if _, err := s.Bucket(bad); !errors.Is(err, ErrInvalidName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct{ url, words string }{
		{"ftp://x", "file:// or s3://"},
		{"recordings", "file:// or s3://"},
		{"%", "not a URL"},
		{"file://recordings", "absolute path"},
		{"file:recordings", "absolute path"},
		{"file:///a?b=c", "absolute path"},
		{"s3://my-bucket", "buckets are named"},
		{"s3:///my-bucket", "buckets are named"},
		{"s3://key:secret@", "AWS_ACCESS_KEY_ID"},
		{"s3://?endpoint=host:9000", "endpoint must look like"},
		{"s3://?endpoint=", "endpoint is empty"},
		{"s3://?endpoint=http%3A%2F%2Fa&endpoint=http%3A%2F%2Fb", "twice"},
		{"s3://?path-style=perhaps", "true or false"},
		{"s3://?pathstyle=true", "no parameter pathstyle"},
		{"s3://?%zz", "cannot be read"},
	} {
		if _, err := Open(t.Context(), Config{URL: c.url}); err == nil || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: %v, want %q", c.url, err, c.words)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{URL: "file://" + file}); err == nil {
		t.Error("a file is no folder")
	}
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("nothing is no folder")
	}
}

func TestFolderKeepsToItself(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{URL: "file://" + dir})
	if err := os.Symlink(outside, filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	b := bucket(t, s, "linked")
	if body, _, err := b.Open(t.Context(), "secret", Range{}); err == nil {
		body.Close()
		t.Error("a link out of the folder was read")
	}
	if err := b.Put(t.Context(), "new", strings.NewReader("x")); err == nil {
		t.Error("a link out of the folder was written")
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside: %v, %v", entries, err)
	}

	// On S3 both keys could be there; a folder says why not.
	b = bucket(t, s, "plain")
	if err := b.Put(t.Context(), "a", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "a/b", strings.NewReader("x")); !errors.Is(err, ErrInvalidName) {
		t.Errorf("below a key: %v", err)
	}
	if err := b.Put(t.Context(), "c/d", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "c", strings.NewReader("x")); !errors.Is(err, ErrInvalidName) {
		t.Errorf("above a key: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "plain", "c", "d"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestFolderSweepsWhatCrashesLeft(t *testing.T) {
	dir := t.TempDir()
	open(t, Config{Dir: dir})
	for name, age := range map[string]time.Duration{"old": stale + time.Hour, "new": 0} {
		file := filepath.Join(dir, incoming, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	open(t, Config{Dir: dir})
	left, err := os.ReadDir(filepath.Join(dir, incoming))
	if err != nil || len(left) != 1 || left[0].Name() != "new" {
		t.Errorf("left: %v, %v", left, err)
	}
}

// FuzzKey checks that what is taken as a key stays in its bucket and comes back from a list.
func FuzzKey(f *testing.F) {
	for _, key := range []string{"a", "a/b", "../a", "a/..", "\x00", "a//b", ".incoming/x", "CON", strings.Repeat("a", 300)} {
		f.Add(key)
	}
	dir := f.TempDir()
	s, err := Open(context.Background(), Config{Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key string) {
		b, err := s.Bucket("fuzz")
		if err != nil {
			t.Fatal(err)
		}
		err = b.Put(t.Context(), key, strings.NewReader(key))
		if errors.Is(err, ErrInvalidName) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for o, err := range b.List(t.Context(), key) {
			found = found || err == nil && o.Key == key
		}
		if !found {
			t.Errorf("%q is not listed", key)
		}
		if err := b.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 2 {
			t.Errorf("after %q: %v, %v", key, entries, err)
		}
	})
}

// FuzzURL checks that no URL panics or reaches the environment's credentials by a parameter that nobody knows.
func FuzzURL(f *testing.F) {
	f.Add("s3://?endpoint=http://127.0.0.1:9000&path-style=true")
	f.Add("file:///tmp")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, "file:") || text == "" {
			return // would make folders
		}
		if s, err := Open(t.Context(), Config{URL: text}); err == nil && s == nil {
			t.Errorf("%q: neither a store nor an error", text)
		}
	})
}
