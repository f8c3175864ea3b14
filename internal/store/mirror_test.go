package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

type aged struct {
	Name string `json:"name"`
	Age  int    `json:"age"`
}

func byAge(a, b *aged) int { return cmp.Or(cmp.Compare(a.Age, b.Age), cmp.Compare(a.Name, b.Name)) }

func openMirrored(t *testing.T, s *Store) *Bucket[aged] {
	t.Helper()
	b, err := Mirrored(t.Context(), s, "aged", byAge, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b.mirror == nil {
		t.Fatal("there is no mirror")
	}
	return b
}

func names(t *testing.T, b *Bucket[aged]) (out []string) {
	t.Helper()
	sorted, err := b.Sorted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range sorted {
		out = append(out, r.Name)
	}
	return out
}

// TestMirrorReadsWrites: whoever has written reads what it wrote, at once, in every way; and it is in order.
func TestMirrorReadsWrites(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	b := openMirrored(t, s)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 10 {
				key := fmt.Sprintf("%d-%d", w, i)
				if err := b.Create(t.Context(), key, aged{key, i}); err != nil {
					t.Error(err)
				}
				if got, _, err := b.Get(t.Context(), key); err != nil || got.Age != i {
					t.Errorf("%s after creating: %+v, %v", key, got, err)
				}
				if _, err := b.Update(t.Context(), key, func(r *aged) error { r.Age += 100; return nil }); err != nil {
					t.Error(err)
				}
				if list, err := b.List(t.Context(), key); err != nil || !slices.Contains(list, aged{key, i + 100}) {
					t.Errorf("%s after updating: %+v, %v", key, list, err)
				}
				if i%2 == 0 {
					continue
				}
				if err := b.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
				if _, _, err := b.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
					t.Errorf("%s after deleting: %v", key, err)
				}
			}
		})
	}
	writers.Wait()
	got := names(t, b)
	if n, err := b.Bound(t.Context()); len(got) != 20 || n != 20 || err != nil {
		t.Errorf("%d records, bound %d, %v", len(got), n, err)
	}
	sorted, _ := b.Sorted(t.Context())
	if !slices.IsSortedFunc(sorted, byAge) {
		t.Errorf("out of order: %v", got)
	}

	// What the bucket itself has is the same, also after a restart.
	plain, err := NewBucket[aged](t.Context(), s, "aged")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := plain.List(t.Context(), "")
	mirrored, _ := b.List(t.Context(), "")
	if err != nil || !slices.Equal(whole, mirrored) {
		t.Errorf("the bucket has %v, its mirror %v, %v", whole, mirrored, err)
	}
	s.Close()
	s = openStore(t, dir)
	defer s.Close()
	if again := names(t, openMirrored(t, s)); !slices.Equal(again, got) {
		t.Errorf("after a restart %v, before %v", again, got)
	}
}

// TestMirrorSeesOthers: a write that came some other way is there too, and DeletePrefix is refused.
func TestMirrorSeesOthers(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	b := openMirrored(t, s)
	other := openMirrored(t, s)
	if err := other.Put(t.Context(), "a", aged{"a", 1}); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "b", aged{"b", 2}); err != nil { // comes after it
		t.Fatal(err)
	}
	if got := names(t, b); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v", got)
	}
	if err := b.DeletePrefix(t.Context(), "a/"); err == nil {
		t.Error("DeletePrefix was not refused")
	}
}

// TestMirrorOutlivesRequests: a caller that goes away during a write leaves nothing that is not so.
func TestMirrorOutlivesRequests(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	b := openMirrored(t, s)
	for i := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		_ = b.Create(ctx, fmt.Sprint(i), aged{fmt.Sprint(i), i}) // done or not, both are fine
	}
	if err := b.Put(t.Context(), "last", aged{"last", 100}); err != nil {
		t.Fatal(err)
	}
	plain, err := NewBucket[aged](t.Context(), s, "aged")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := plain.List(t.Context(), "")
	mirrored, _ := b.List(t.Context(), "")
	if err != nil || !slices.Equal(whole, mirrored) {
		t.Errorf("the bucket has %v, its mirror %v, %v", whole, mirrored, err)
	}
}

// TestMirrorDerives: what Sorted returns has what follows from it, with a mirror and without, after a write as well.
func TestMirrorDerives(t *testing.T) {
	type person struct {
		Name  string `json:"name"`
		shout string
	}
	s := openStore(t, t.TempDir())
	defer s.Close()
	b, err := Mirrored(t.Context(), s, "people", func(a, b *person) int { return cmp.Compare(a.Name, b.Name) },
		func(p *person) { p.shout = strings.ToUpper(p.Name) })
	if err != nil {
		t.Fatal(err)
	}
	shouts := func() (out []string) {
		sorted, err := b.Sorted(t.Context())
		if err != nil {
			t.Error(err)
		}
		for _, p := range sorted {
			out = append(out, p.shout)
		}
		return out
	}
	if err := errors.Join(b.Put(t.Context(), "1", person{Name: "bob"}), b.Put(t.Context(), "2", person{Name: "ann"})); err != nil {
		t.Fatal(err)
	}
	if got := shouts(); !slices.Equal(got, []string{"ANN", "BOB"}) {
		t.Errorf("got %v", got)
	}
	if _, err := b.Update(t.Context(), "2", func(p *person) error { p.Name = "cid"; return nil }); err != nil {
		t.Fatal(err)
	}
	want := []string{"BOB", "CID"}
	if got := shouts(); !slices.Equal(got, want) {
		t.Errorf("after an update: got %v", got)
	}
	b.mirror.end()
	if got := shouts(); !slices.Equal(got, want) {
		t.Errorf("without a mirror: got %v", got)
	}
}

// openStore opens a store that the test closes.
func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMirrorLendsItsList: a list that a reader has stays as it was, whatever is written later.
func TestMirrorLendsItsList(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	b := openMirrored(t, s)
	write := func(name string, age int) {
		t.Helper()
		if err := b.Put(t.Context(), name, aged{name, age}); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{"a", "b", "c"} {
		write(name, 10*i)
	}
	before, err := b.Sorted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kept := slices.Clone(before)
	write("d", 5) // between them
	write("a", 30)
	if err := b.Delete(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, kept) {
		t.Errorf("the list that was read has changed to %v", before)
	}
	if got := names(t, b); !slices.Equal(got, []string{"d", "c", "a"}) {
		t.Errorf("got %v", got)
	}
}
