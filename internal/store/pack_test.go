package store

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"
	"unsafe"
)

// TestPack: a packed record is the same, and its text lies together.
func TestPack(t *testing.T) {
	type inner struct{ A, B string }
	type whole struct {
		Name   string
		At     time.Time
		Count  int
		Inner  inner
		Pair   *inner
		None   *inner
		List   []string
		Tags   map[string]string
		NoTags map[string]string
		own    string
	}
	made := func() whole {
		return whole{"name", time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), 7, inner{"a", ""}, &inner{"b", "c"}, nil,
			[]string{"d", "e"}, map[string]string{"k": "v", "": "empty"}, nil, "own"}
	}
	got := made()
	key := pack("key/of/it", &got)
	if want := made(); key != "key/of/it" || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %+v became %+v", key, want, got)
	}
	texts := slices.Concat([]string{key, got.Name, got.Inner.A, got.Pair.A, got.Pair.B}, got.List,
		slices.DeleteFunc(slices.Collect(maps.Keys(got.Tags)), func(s string) bool { return s == "" }), slices.Collect(maps.Values(got.Tags)))
	length := 0
	low, high := ^uintptr(0), uintptr(0)
	for _, s := range texts {
		at := uintptr(unsafe.Pointer(unsafe.StringData(s)))
		low, high, length = min(low, at), max(high, at+uintptr(len(s))), length+len(s)
	}
	if high-low != uintptr(length) {
		t.Errorf("%d bytes of text lie in %d", length, high-low)
	}
}
