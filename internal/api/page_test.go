package api

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func self(s string) string { return s }

func numbered(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("%05d", i))
	}
	return out
}

func refused(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != "ValidationException" || e.Status != 400 {
		t.Errorf("got %v, want a ValidationException", err)
	}
}

func TestPages(t *testing.T) {
	p := new(Pager)
	up := numbered(0, 25)
	down := slices.Clone(up)
	slices.Reverse(down)
	for name, list := range map[string][]string{"ascending": up, "descending": down, "one": up[:1], "none": {}} {
		t.Run(name, func(t *testing.T) {
			var got []string
			var token *string
			pages := 0
			for {
				page, next, err := Page(p, "ListThings", list, self, new(int32(10)), token, 5, 100)
				if err != nil {
					t.Fatal(err)
				}
				got, token, pages = append(got, page...), next, pages+1
				if next == nil {
					break
				}
				if len(page) != 10 || len(*next) > 1024 || !regexp.MustCompile(`^[a-zA-Z0-9+/=_-]+$`).MatchString(*next) {
					t.Fatalf("%d elements, token %q", len(page), *next)
				}
			}
			if !slices.Equal(got, list) {
				t.Errorf("got %v", got)
			}
			if want := (len(list) + 9) / 10; pages != max(want, 1) {
				t.Errorf("%d pages, want %d", pages, want)
			}
		})
	}
}

func TestPageSizes(t *testing.T) {
	p := new(Pager)
	list := numbered(0, 200)
	for _, c := range []struct {
		maxResults *int32
		def, max   int
		want       int
	}{
		{nil, 50, 100, 50},
		{nil, 100, 50, 50},
		{new(int32(1)), 50, 100, 1},
		{new(int32(100)), 50, 100, 100},
	} {
		page, _, err := Page(p, "op", list, self, c.maxResults, nil, c.def, c.max)
		if err != nil || len(page) != c.want {
			t.Errorf("%+v: %d elements, %v", c, len(page), err)
		}
	}
	for _, n := range []int32{-1, 0, 101} {
		_, _, err := Page(p, "op", list, self, &n, nil, 50, 100)
		refused(t, err)
	}
	// A page that takes all that is left has no token, even when it is full.
	if page, next, err := Page(p, "op", list[:50], self, nil, new(""), 50, 100); err != nil || next != nil || len(page) != 50 {
		t.Errorf("%d elements, token %v, %v", len(page), next, err)
	}
}

// TestPagesOfAChangingList: whatever comes and goes between the pages, an element that stays comes
// exactly once, and no element twice.
func TestPagesOfAChangingList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := new(Pager)
		down := rapid.Bool().Draw(t, "descending")
		keys := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,3}`), 0, 40, rapid.ID[string])
		sorted := func(list []string) []string {
			slices.Sort(list)
			if down {
				slices.Reverse(list)
			}
			return list
		}
		list := sorted(keys.Draw(t, "list"))
		stayed := slices.Clone(list)
		got := map[string]int{}
		var token *string
		for {
			page, next, err := Page(p, "op", list, self, new(int32(rapid.IntRange(1, 5).Draw(t, "size"))), token, 5, 5)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range page {
				got[k]++
			}
			if next == nil {
				break
			}
			token = next
			gone := keys.Draw(t, "deleted")
			isGone := func(k string) bool { return slices.Contains(gone, k) }
			list, stayed = slices.DeleteFunc(list, isGone), slices.DeleteFunc(stayed, isGone)
			list = slices.Compact(sorted(append(list, rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,3}`), 0, 3).Draw(t, "created")...)))
		}
		for _, k := range stayed {
			if got[k] == 0 {
				t.Fatalf("%q was there all the time and did not come", k)
			}
		}
		for k, n := range got {
			if n > 1 {
				t.Fatalf("%q came %d times", k, n)
			}
		}
	})
}

func TestForeignTokens(t *testing.T) {
	p := new(Pager)
	list := numbered(0, 10)
	_, token, err := Page(p, "ListStages", list, self, new(int32(3)), nil, 5, 10)
	if err != nil || token == nil {
		t.Fatal(token, err)
	}
	with := func(p *Pager, op, token string) error {
		_, _, err := Page(p, op, list, self, nil, &token, 5, 10)
		return err
	}
	refused(t, with(p, "ListChannels", *token))
	refused(t, with(new(Pager), "ListStages", *token))
	refused(t, with(&Pager{Key: []byte("k")}, "ListStages", *token))
	refused(t, with(p, "ListStages", *token+"A"))
	refused(t, with(p, "ListStages", (*token)[1:]))
	refused(t, with(p, "ListStages", "nonsense"))
	refused(t, with(p, "ListStages", strings.Repeat("A", 1024)))
	flipped := []byte(*token)
	flipped[len(flipped)/2] ^= 1
	refused(t, with(p, "ListStages", string(flipped)))
	if err := with(p, "ListStages", *token); err != nil {
		t.Errorf("the right token: %v", err)
	}

	a, b := &Pager{Key: []byte("shared")}, &Pager{Key: []byte("shared")}
	_, token, err = Page(a, "op", list, self, new(int32(3)), nil, 5, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := with(b, "op", *token); err != nil {
		t.Errorf("another node with the same key: %v", err)
	}
}

func TestPageRefusesDisorder(t *testing.T) {
	for _, list := range [][]string{{"b", "a", "c"}, {"a", "a"}, {"a", "a", "b"}} {
		_, _, err := Page(new(Pager), "op", list, self, nil, nil, 1, 1)
		if !errors.Is(err, errUnsorted) {
			t.Errorf("%v: %v", list, err)
		}
	}
	if _, _, err := Page(new(Pager), "op", []string{strings.Repeat("k", 701), "z"}, self, nil, nil, 1, 1); err == nil {
		t.Error("a key that does not fit into a token gave no error")
	}
}

// FuzzPageToken: a token that the pager did not make is refused, and never panics.
func FuzzPageToken(f *testing.F) {
	p := &Pager{Key: []byte("fuzz")}
	list := numbered(0, 10)
	_, token, err := Page(p, "op", list, self, new(int32(3)), nil, 5, 10)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(*token)
	f.Add(*token + "=")
	f.Add((*token)[:9] + "\n" + (*token)[9:])
	f.Add("")
	f.Add("////")
	f.Fuzz(func(t *testing.T, s string) {
		page, _, err := Page(p, "op", list, self, nil, &s, 5, 10)
		if s == *token || s == "" {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		if err == nil {
			t.Fatalf("%q was accepted and gave %v", s, page)
		}
		refused(t, err)
	})
}
