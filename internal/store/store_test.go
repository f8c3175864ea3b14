package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/leak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerEnv); dir != "" {
		writeForEver(dir)
	}
	leak.Main(m)
}

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func bucket[T any](t testing.TB, s *Store, name string, opts ...BucketOption) *Bucket[T] {
	t.Helper()
	b, err := NewBucket[T](t.Context(), s, name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type record struct {
	Name  string            `json:"name"`
	Count int               `json:"count"`
	Tags  map[string]string `json:"tags,omitempty"`
}

func TestRoundTrip(t *testing.T) {
	b := bucket[record](t, open(t, t.TempDir()), "things")
	ctx := t.Context()

	if _, _, err := b.Get(ctx, "a"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("get of nothing: %v", err)
	}
	if err := b.Delete(ctx, "a"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("delete of nothing: %v", err)
	}
	if _, err := b.Update(ctx, "a", func(*record) error { return nil }); !errors.Is(err, ErrNotFound) {
		t.Fatalf("update of nothing: %v", err)
	}
	first := record{Name: "one", Tags: map[string]string{"k": "v"}}
	if err := b.Create(ctx, "a", first); err != nil {
		t.Fatal(err)
	}
	if err := b.Create(ctx, "a", record{}); !errors.Is(err, ErrExists) {
		t.Fatalf("second create: %v", err)
	}
	got, rev, err := b.Get(ctx, "a")
	if err != nil || got.Name != "one" || got.Tags["k"] != "v" || rev == 0 {
		t.Fatalf("get = %+v, %d, %v", got, rev, err)
	}
	changed, err := b.Update(ctx, "a", func(r *record) error { r.Count++; return nil })
	if err != nil || changed.Count != 1 || changed.Name != "one" {
		t.Fatalf("update = %+v, %v", changed, err)
	}
	_, rev, _ = b.Get(ctx, "a")
	if _, err := b.Update(ctx, "a", func(*record) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, again, _ := b.Get(ctx, "a"); again != rev {
		t.Errorf("an update that changes nothing wrote revision %d after %d", again, rev)
	}
	refused := errors.New("no")
	if _, err := b.Update(ctx, "a", func(r *record) error { r.Count = 99; return refused }); err != refused {
		t.Fatalf("refused update: %v", err)
	}
	if err := b.Delete(ctx, "a", func(record) error { return refused }); err != refused {
		t.Fatalf("refused delete: %v", err)
	}
	if got, _, err := b.Get(ctx, "a"); err != nil || got.Count != 1 {
		t.Fatalf("after refusals get = %+v, %v", got, err)
	}
	if err := b.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Get(ctx, "a"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("get after delete: %v", err)
	}
	if err := b.Create(ctx, "a", record{Name: "again"}); err != nil {
		t.Fatalf("create after delete: %v", err)
	}
	if err := b.Put(ctx, "a", record{Name: "put"}); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := b.Get(ctx, "a"); got.Name != "put" {
		t.Fatalf("after put: %+v", got)
	}
	if _, _, err := b.Get(ctx, strings.Repeat("x", maxKey+1)); !errors.Is(err, ErrNotFound) {
		t.Fatalf("get of a key that is too long: %v", err)
	}
	if err := b.Create(ctx, strings.Repeat("x", maxKey+1), record{}); err == nil {
		t.Fatal("a key that is too long was accepted")
	}
}

func TestListAndDeletePrefix(t *testing.T) {
	b := bucket[string](t, open(t, t.TempDir()), "tree")
	ctx := t.Context()
	for _, key := range []string{"b/2", "a/1", "a/1/x", "ab/1", "a/2", "gone/1"} {
		if err := b.Create(ctx, key, key); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Delete(ctx, "gone/1"); err != nil {
		t.Fatal(err)
	}
	list := func(prefix, want string) {
		t.Helper()
		got, err := b.List(ctx, prefix)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("list %q = %v, %v; want %s", prefix, got, err, want)
		}
	}
	list("", "a/1 a/1/x a/2 ab/1 b/2")
	if n, err := b.Bound(ctx); err != nil || n < 5 || n > 6 {
		t.Errorf("bound %d, %v; there are 5 records and one deleted", n, err)
	}
	list("a/", "a/1 a/1/x a/2")
	list("a", "a/1 a/1/x a/2 ab/1")
	list("a/1/", "a/1/x")
	list("nothing/", "")
	if err := b.DeletePrefix(ctx, "a/"); err != nil {
		t.Fatal(err)
	}
	list("", "ab/1 b/2")
	if err := b.DeletePrefix(ctx, "a/"); err != nil {
		t.Errorf("second delete of a prefix: %v", err)
	}
	for _, bad := range []string{"", "/", "a"} {
		if err := b.DeletePrefix(ctx, bad); err == nil {
			t.Errorf("DeletePrefix(%q) was accepted", bad)
		}
	}
	if err := b.Create(ctx, "a/1", "new"); err != nil {
		t.Errorf("create after DeletePrefix: %v", err)
	}
}

// TestListOfMany reads more records than the client buffers, while each of them is written again and again:
// none may be missing.
func TestListOfMany(t *testing.T) {
	b := bucket[int](t, open(t, t.TempDir()), "many")
	ctx := t.Context()
	const n = 600
	for i := range n {
		if err := b.Create(ctx, fmt.Sprintf("k%04d", i), i); err != nil {
			t.Fatal(err)
		}
	}
	stop, cancel := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; stop.Err() == nil; i++ {
			_ = b.Put(ctx, fmt.Sprintf("k%04d", i%n), i%n)
		}
	})
	for range 15 {
		list, err := b.List(ctx, "")
		if err != nil || len(list) != n || !slices.IsSorted(list) {
			t.Errorf("list of %d: %v", len(list), err)
		}
	}
	cancel()
	writer.Wait()
}

// TestUpdateRace has many goroutines add to one record: none of the additions may be lost.
func TestUpdateRace(t *testing.T) {
	b := bucket[record](t, open(t, t.TempDir()), "race")
	ctx := t.Context()
	if err := b.Create(ctx, "n", record{}); err != nil {
		t.Fatal(err)
	}
	const workers, each = 24, 8
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				if _, err := b.Update(ctx, "n", func(r *record) error { r.Count++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, _, err := b.Get(ctx, "n"); err != nil || got.Count != workers*each {
		t.Errorf("count = %d, %v; want %d", got.Count, err, workers*each)
	}
}

func TestCreateAndDeleteRaces(t *testing.T) {
	b := bucket[int](t, open(t, t.TempDir()), "race")
	ctx := t.Context()
	for round := range 8 {
		var created, deleted atomic.Int32
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				switch err := b.Create(ctx, "k", i); {
				case err == nil:
					created.Add(1)
				case !errors.Is(err, ErrExists):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for range 12 {
			wg.Go(func() {
				switch err := b.Delete(ctx, "k"); {
				case err == nil:
					deleted.Add(1)
				case !errors.Is(err, ErrNotFound):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if created.Load() != 1 || deleted.Load() != 1 {
			t.Fatalf("round %d: %d creates and %d deletes succeeded, want one each", round, created.Load(), deleted.Load())
		}
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := bucket[record](t, s, "things")
	for i := range 20 {
		if err := b.Create(t.Context(), fmt.Sprint(i), record{Count: i}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Delete(t.Context(), "7"); err != nil {
		t.Fatal(err)
	}
	s.Close()

	b = bucket[record](t, open(t, dir), "things")
	list, err := b.List(t.Context(), "")
	if err != nil || len(list) != 19 {
		t.Errorf("after reopening: %d records, %v; want 19", len(list), err)
	}
	if got, _, err := b.Get(t.Context(), "13"); err != nil || got.Count != 13 {
		t.Errorf("get 13 = %+v, %v", got, err)
	}
}

func TestLockedDirectory(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	_, err := Open(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
	if want := fmt.Sprintf("process %d", os.Getpid()); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %q names neither the holder nor the directory", err)
	}
}

func TestOpenErrors(t *testing.T) {
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("open without directory and URL succeeded")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: file}); err == nil {
		t.Error("open of a file as directory succeeded")
	}
	unused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := unused.Addr().String()
	unused.Close()
	if _, err := Open(t.Context(), Options{URL: "nats://" + addr}); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("open of an absent server: %v", err)
	}
}

func TestPing(t *testing.T) {
	s, err := Open(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	s.Close()
	if err := s.Ping(t.Context()); err == nil {
		t.Error("a closed store answers")
	}
}

func TestEmbeddedServerOpensNoPort(t *testing.T) {
	s := open(t, t.TempDir())
	if addr := s.server.Addr(); addr != nil {
		t.Errorf("the embedded server listens on %v", addr)
	}
	if !s.server.JetStreamConfig().SyncAlways {
		t.Error("writes are not synced one by one")
	}
}

func TestExpiry(t *testing.T) {
	b := bucket[int](t, open(t, t.TempDir()), "short")
	if err := b.CreateUntil(t.Context(), "k", 1, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := b.Create(t.Context(), "k", 2); !errors.Is(err, ErrExists) {
		t.Fatalf("create before expiry: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changes, err := b.Watch(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for c := range changes {
		if c.Deleted {
			break
		}
	}
	if _, _, err := b.Get(ctx, "k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get after expiry: %v", err)
	}
	if err := b.Create(ctx, "k", 3); err != nil {
		t.Errorf("create after expiry: %v", err)
	}
	cancel()
	for range changes {
	}
}

func TestWatch(t *testing.T) {
	b := bucket[int](t, open(t, t.TempDir()), "watched")
	for _, key := range []string{"a/1", "b/1"} {
		if err := b.Create(t.Context(), key, 1); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := b.Watch(ctx, "a/")
	if err != nil {
		t.Fatal(err)
	}
	want := func(c Change[int]) {
		t.Helper()
		got, open := <-changes
		got.Revision = 0
		if !open || got != c {
			t.Errorf("change %+v (open %t), want %+v", got, open, c)
		}
	}
	want(Change[int]{Key: "a/1", Value: 1})
	want(Change[int]{Synced: true})
	for _, key := range []string{"b/2", "a/2"} {
		if err := b.Put(t.Context(), key, 2); err != nil {
			t.Fatal(err)
		}
	}
	want(Change[int]{Key: "a/2", Value: 2})
	if err := b.Delete(t.Context(), "a/1"); err != nil {
		t.Fatal(err)
	}
	want(Change[int]{Key: "a/1", Deleted: true})

	// Changes that nobody reads hold up neither writers nor the end of the watch.
	for i := range 3 * watchBuffer {
		if err := b.Put(t.Context(), "a/2", i); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	for range changes {
	}
}

func BenchmarkCreate(b *testing.B) {
	bkt := bucket[record](b, open(b, b.TempDir()), "bench")
	for i := 0; b.Loop(); i++ {
		if err := bkt.Create(b.Context(), fmt.Sprint(i), record{Name: "name", Count: i}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	bkt := bucket[record](b, open(b, b.TempDir()), "bench")
	if err := bkt.Create(b.Context(), "k", record{Name: "name"}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := bkt.Get(b.Context(), "k"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListOf1000(b *testing.B) {
	bkt := bucket[record](b, open(b, b.TempDir()), "bench")
	for i := range 1000 {
		if err := bkt.Create(b.Context(), fmt.Sprint(i), record{Name: "name", Count: i}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if list, err := bkt.List(b.Context(), ""); err != nil || len(list) != 1000 {
			b.Fatal(len(list), err)
		}
	}
}
