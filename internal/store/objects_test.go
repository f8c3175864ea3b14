package store

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
)

func objects(t testing.TB, s *Store) *Objects {
	t.Helper()
	o, err := NewObjects(t.Context(), s, "pictures")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestObjects(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	o, ctx := objects(t, s), t.Context()
	if list, err := o.List(ctx); err != nil || len(list) != 0 {
		t.Fatalf("list of nothing: %v, %v", list, err)
	}
	_, getErr := o.Get(ctx, "a")
	_, infoErr := o.Info(ctx, "a")
	for _, err := range []error{getErr, infoErr, o.Delete(ctx, "a")} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("of nothing: %v", err)
		}
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16) // many messages of the stream below
	if err := o.Put(ctx, "a", big, map[string]string{"width": "640"}); err != nil {
		t.Fatal(err)
	}
	if err := o.Put(ctx, "empty", nil, nil); err != nil {
		t.Fatal(err)
	}
	s.Close()

	o = objects(t, open(t, dir))
	got, err := o.Get(ctx, "a")
	if err != nil || !bytes.Equal(got, big) {
		t.Fatalf("after a restart: %d bytes, %v", len(got), err)
	}
	if got, err := o.Get(ctx, "empty"); err != nil || len(got) != 0 {
		t.Errorf("empty: %q, %v", got, err)
	}
	info, err := o.Info(ctx, "a")
	if err != nil || info.Name != "a" || info.Size != len(big) || info.Changed.IsZero() || !maps.Equal(info.About, map[string]string{"width": "640"}) {
		t.Errorf("%+v, %v", info, err)
	}
	if err := o.Put(ctx, "a", []byte("small"), nil); err != nil {
		t.Fatal(err)
	}
	if got, err := o.Get(ctx, "a"); err != nil || string(got) != "small" {
		t.Errorf("after another put: %q, %v", got, err)
	}
	if err := o.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := o.Delete(ctx, "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("second delete: %v", err)
	}
	list, err := o.List(ctx)
	if err != nil || len(list) != 1 || list[0].Name != "empty" {
		t.Errorf("list: %+v, %v", list, err)
	}
}

// Readers see a value whole, while it is replaced.
func TestObjectsAtTheSameTime(t *testing.T) {
	o, ctx := objects(t, open(t, t.TempDir())), t.Context()
	values := [][]byte{bytes.Repeat([]byte("a"), 300<<10), bytes.Repeat([]byte("b"), 200<<10)}
	if err := o.Put(ctx, "x", values[0], nil); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				got, err := o.Get(ctx, "x")
				if err != nil {
					t.Error(err)
					return
				}
				if !slices.ContainsFunc(values, func(v []byte) bool { return bytes.Equal(v, got) }) {
					t.Errorf("a mix of %d bytes", len(got))
					return
				}
			}
		})
	}
	for i := range 10 {
		if err := o.Put(ctx, "x", values[i%2], nil); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}
