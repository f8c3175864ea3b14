package text

import (
	"image"
	"image/color"
	"strings"
	"testing"
	"unicode/utf8"
)

var white = color.RGBA{255, 255, 255, 255}

// installed skips a test where the fonts of scripts/setup.sh are not.
func installed(t *testing.T) {
	t.Helper()
	f := system()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range []string{"漢", "김", "🎉", "ש"} {
		if _, ok := f.faceFor([]rune(s)); !ok {
			t.Skipf("no font has %s: run scripts/setup.sh build", s)
		}
	}
}

func TestInitial(t *testing.T) {
	installed(t)
	for label, want := range map[string]string{
		"ann": "A", "  émile": "É", "e\u0301mile": "É", "жанна": "Ж", "ωmega": "Ω", "7up": "7", "": "", "…": "", "-_- bob": "B",
		"王小明": "王", "さくら": "さ", "김철수": "김", "שלום": "ש", "مرحبا": "م",
		"🎉 party": "🎉", "👨‍👩‍👧 us": "👨‍👩‍👧", "👋🏽": "👋🏽", "🇩🇪 team": "🇩🇪", "❤️": "❤️", "★ star": "★",
		"\u202eann": "A", "\x00\n\tann": "A", "\xff\xfeann": "A", "हिन्दी": "",
	} {
		if got := Initial(label); got != want {
			t.Errorf("initial of %q is %q, want %q", label, got, want)
		}
	}
}

// What is joined is one picture, not several.
func TestJoinedEmojiAreOne(t *testing.T) {
	installed(t)
	one := New("👩", 100).Width
	for _, s := range []string{"👨‍👩‍👧", "👋🏽", "🇩🇪", "❤️", "🏳️‍🌈"} {
		if l := New(s, 100); len(l.glyphs) != 1 || l.Width > one*1.1 || l.glyphs[0].bitmap == nil {
			t.Errorf("%s: %d glyphs, %.0f wide; one emoji is %.0f", s, len(l.glyphs), l.Width, one)
		}
	}
}

// A space is as wide after an emoji as after a letter.
func TestSpaceAfterEmoji(t *testing.T) {
	installed(t)
	space := New("a b", 40).Width - New("a", 40).Width - New("b", 40).Width
	if got := New("🎉 b", 40).Width - New("🎉", 40).Width - New("b", 40).Width; got < space-1 || got > space+1 {
		t.Errorf("a space of %.1f after an emoji, %.1f after a letter", got, space)
	}
}

func TestFit(t *testing.T) {
	whole := New("Maximilian Alexander", 20)
	if got := Fit("Maximilian Alexander", 20, whole.Width); len(got.glyphs) != len(whole.glyphs) {
		t.Errorf("cut although it fits")
	}
	for width := whole.Width - 1; width > 30; width -= 7 {
		if l := Fit("Maximilian Alexander", 20, width); l.Width > width || l.Width < width-40 {
			t.Errorf("%.0f wide in %.0f", l.Width, width)
		}
	}
	if l := Fit(strings.Repeat("x", 100000), 20, 1e9); len(l.glyphs) > maxClusters {
		t.Errorf("%d glyphs", len(l.glyphs))
	}
}

func TestDirections(t *testing.T) {
	installed(t)
	// The first letter of Hebrew is at the right, that of Latin inside it still at the left of its word.
	first, both := New("שלום", 40), New("שלום Abc", 40)
	if both.Width <= first.Width || len(both.glyphs) != 7 {
		t.Fatalf("%d glyphs, %.0f wide", len(both.glyphs), both.Width)
	}
	img := image.NewRGBA(image.Rect(0, 0, 300, 60))
	both.Draw(img, 0, 45, white)
	want := image.NewRGBA(img.Bounds())
	New("Abc", 40).Draw(want, 0, 45, white)
	for y := range 60 {
		for x := range int(New("Abc", 40).Width) - 2 {
			if d := int(img.RGBAAt(x, y).R) - int(want.RGBAAt(x, y).R); d > 8 || d < -8 {
				t.Fatalf("at %d,%d: the Latin word is not at the left", x, y)
			}
		}
	}
}

func TestDrawStaysInItsInk(t *testing.T) {
	installed(t)
	for _, s := range []string{"Ågj|", "漢字", "🎉👨‍👩‍👧", "مرحبا", "n\u0303\u0323"} {
		for size := 8.0; size < 90; size += 9 {
			l := New(s, size)
			img := image.NewRGBA(image.Rect(0, 0, 400, 200))
			l.Draw(img, 20.3, 120.7, white)
			ink := l.Ink.Add(image.Pt(20, 120))
			ink.Max = ink.Max.Add(image.Pt(1, 1))
			painted := false
			for y := range 200 {
				for x := range 400 {
					if img.RGBAAt(x, y).A != 0 {
						painted = true
						if !image.Pt(x, y).In(ink) {
							t.Fatalf("%s at %.0f: %d,%d is painted, outside %v", s, size, x, y, ink)
						}
					}
				}
			}
			if !painted {
				t.Errorf("%s at %.0f: nothing", s, size)
			}
		}
	}
}

func FuzzDraw(f *testing.F) {
	for _, s := range []string{"", "ann", "王 🇩🇪", "שלום Abc 12", "e\u0301\u0301\u0301", "\xff\u202e\u200d\ufe0f", "👨‍👩‍👧"} {
		f.Add(s, 20.0, 100.0)
	}
	img := image.NewRGBA(image.Rect(0, 0, 64, 32))
	f.Fuzz(func(t *testing.T, s string, size, width float64) {
		if !(size >= 4 && size < 500) {
			return
		}
		Warm(s)
		if got := Initial(s); !utf8.ValidString(got) {
			t.Errorf("initial %q", got)
		}
		Fit(s, size, width).Draw(img, 3, 20, white)
	})
}
