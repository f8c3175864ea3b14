// Package text draws one line of a name: Latin, Greek and Cyrillic with the built-in Go font, CJK, emoji, Hebrew,
// Arabic and more with fonts of the system where they are installed.
//
// Guarantees: no text makes it fail; what no font has is drawn as an empty box; marks, ligatures, joined emoji
// and both directions are shaped by the rules of their script. It reads fonts of the system only, never of users.
// Every function may be called from any goroutine.
package text

import (
	"bytes"
	"image"
	_ "image/png" // emoji
	"slices"
	"strings"
	"unicode"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"github.com/rivo/uniseg"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// maxClusters bounds a line: more is not legible on any tile.
const maxClusters = 128

// Line is text ready to draw. Lengths are in pixels, y grows downwards from the baseline.
type Line struct {
	Width           float64         // how far the next text would begin
	Ascent, Descent float64         // of the fonts, both positive
	Ink             image.Rectangle // what drawing touches, from the beginning of the baseline
	glyphs          []glyph
}

// glyph is an outline or a picture.
type glyph struct {
	x, y    float64 // of its origin
	scale   float64 // from font units to pixels
	outline []font.Segment
	bitmap  image.Image
	box     [4]float64 // of the bitmap: left, top, right, bottom, from the origin
}

// New shapes s at size pixels per em. Control characters become spaces.
func New(s string, size float64) *Line { return shape(clusters(s), size) }

// Fit shapes s, cut to width pixels with an ellipsis at its end where it is longer.
func Fit(s string, size, width float64) *Line {
	all := clusters(s)
	l := shape(all, size)
	if l.Width <= width {
		return l
	}
	// The largest number of clusters that fits, by bisection: each try shapes anew.
	fits, not := 0, len(all)
	for not-fits > 1 {
		n := (fits + not) / 2
		if shape(withEllipsis(all[:n]), size).Width <= width {
			fits = n
		} else {
			not = n
		}
	}
	return shape(withEllipsis(all[:fits]), size)
}

func withEllipsis(all [][]rune) [][]rune {
	for len(all) > 0 && all[len(all)-1][0] == ' ' {
		all = all[:len(all)-1]
	}
	return append(slices.Clone(all), []rune{'…'})
}

// Warm reads the fonts that s needs, which can take 50 ms for the first name in a script: whoever has to draw in
// time has others call it before.
func Warm(s string) {
	all := clusters(s)
	f := system()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range all {
		f.faceFor(c)
	}
}

// Initial returns the first letter, digit or emoji of a label that a font has, letters in upper case; "" when
// there is none.
func Initial(label string) string {
	f := system()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range clusters(label) {
		letter := unicode.IsLetter(c[0]) || unicode.IsDigit(c[0])
		if !letter && !wantsEmoji(c) && !isFlag(c) {
			continue
		}
		upper := slices.Clone(c)
		upper[0] = unicode.ToUpper(upper[0])
		if _, ok := f.faceFor(upper); ok {
			return string(upper)
		}
		if letter {
			return ""
		}
	}
	return ""
}

func isFlag(c []rune) bool { return c[0] >= 0x1f1e6 && c[0] <= 0x1f1ff }

// clusters splits s into what a reader takes for characters.
func clusters(s string) [][]rune {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // would turn what is around them
			return -1
		}
		return r
	}, strings.TrimSpace(norm.NFC.String(strings.ToValidUTF8(s, "\ufffd"))))
	var out [][]rune
	for g := uniseg.NewGraphemes(s); g.Next() && len(out) < maxClusters; {
		c := g.Runes()
		out = append(out, c[:min(len(c), 16)]) // nobody's name piles up more marks
	}
	return out
}

// runs splits clusters into stretches of one face, script and direction, in the order of reading.
func (f *fonts) runs(all [][]rune, size float64) []shaping.Input {
	var out []shaping.Input
	var segmenter shaping.Segmenter
	base := direction(all)
	for len(all) > 0 {
		face, _ := f.faceFor(all[0])
		n := 1
		for n < len(all) {
			// A space goes with the letters before it, so that it follows their direction.
			space := all[n][0] == ' ' && face != f.emoji.face
			if next, _ := f.faceFor(all[n]); next != face && !space {
				break
			}
			n++
		}
		text := slices.Concat(all[:n]...)
		all = all[n:]
		in := shaping.Input{Text: text, RunEnd: len(text), Face: face, Size: fixed.Int26_6(size * 64),
			Direction: base, Language: language.NewLanguage("en")}
		out = append(out, segmenter.Split(in, oneFace{face})...)
	}
	return visual(out, base)
}

type oneFace struct{ face *font.Face }

func (f oneFace) ResolveFace(rune) *font.Face { return f.face }

// direction is that of the first letter that has one.
func direction(all [][]rune) di.Direction {
	for _, c := range all {
		switch p, _ := bidi.LookupRune(c[0]); p.Class() {
		case bidi.L:
			return di.DirectionLTR
		case bidi.R, bidi.AL:
			return di.DirectionRTL
		}
	}
	return di.DirectionLTR
}

// visual puts runs in the order from left to right: those against the direction of the whole are turned around
// where they follow each other.
func visual(runs []shaping.Input, base di.Direction) []shaping.Input {
	for i := 0; i < len(runs); {
		j := i + 1
		for j < len(runs) && runs[j].Direction == runs[i].Direction {
			j++
		}
		if runs[i].Direction != base {
			slices.Reverse(runs[i:j])
		}
		i = j
	}
	if base == di.DirectionRTL {
		slices.Reverse(runs)
	}
	return runs
}

func shape(all [][]rune, size float64) *Line {
	f := system()
	f.mu.Lock()
	defer f.mu.Unlock()
	l := &Line{}
	var shaper shaping.HarfbuzzShaper
	for _, in := range f.runs(all, size) {
		out := shaper.Shape(in)
		l.Ascent = max(l.Ascent, pixels(out.LineBounds.Ascent))
		l.Descent = max(l.Descent, -pixels(out.LineBounds.Descent))
		for _, g := range out.Glyphs {
			l.add(in.Face, g, size)
			l.Width += pixels(g.Advance)
		}
	}
	return l
}

// add takes the glyph's shape over, so that drawing needs no face.
func (l *Line) add(face *font.Face, g shaping.Glyph, size float64) {
	out := glyph{x: l.Width + pixels(g.XOffset), y: -pixels(g.YOffset), scale: size / float64(face.Upem())}
	left, top := out.x+pixels(g.XBearing), out.y-pixels(g.YBearing)
	right, bottom := left+pixels(g.Width), top-pixels(g.Height)
	if b, ok := face.GlyphDataBitmap(g.GlyphID); ok {
		img, _, err := image.Decode(bytes.NewReader(b.Data))
		if err != nil {
			return
		}
		out.bitmap, out.box = img, [4]float64{left, top, right, bottom}
	} else if o, ok := face.GlyphDataOutline(g.GlyphID); ok {
		out.outline = o.Segments
	}
	if out.bitmap == nil && len(out.outline) == 0 {
		return // a space
	}
	// One pixel of room on each side for smooth edges.
	l.Ink = l.Ink.Union(image.Rect(int(left)-2, int(top)-2, int(right)+2, int(bottom)+2))
	l.glyphs = append(l.glyphs, out)
}

func pixels(v fixed.Int26_6) float64 { return float64(v) / 64 }
