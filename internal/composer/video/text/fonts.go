package text

import (
	"bytes"
	"os"
	"sync"
	"unicode"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"golang.org/x/image/font/gofont/gomedium"
)

// Where Debian has the fonts that the Go font falls back on; scripts/setup.sh installs one of each. They are read
// when a character first needs them.
var (
	emojiFiles = []string{
		"/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
	}
	otherFiles = []string{
		"/usr/share/fonts/truetype/noto/NotoSans-Medium.ttf",
		"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
		"/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
		"/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
	}
)

// fonts are what a process draws text with. A face is for one goroutine at a time: mu guards all of them.
type fonts struct {
	mu    sync.Mutex
	own   *font.Face
	emoji fallback
	other []fallback // in the order of preference
}

// fallback is a font file that is read at its first use.
type fallback struct {
	file   string
	loaded bool
	face   *font.Face // nil: there is none, or it does not parse
}

func (f *fallback) get() *font.Face {
	if !f.loaded {
		f.loaded = true
		f.face = readFont(f.file)
	}
	return f.face
}

func readFont(name string) *font.Face {
	file, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer file.Close()
	// Of a collection the first font: the others are for other widths or regions.
	all, err := opentype.NewLoaders(file)
	if err != nil || len(all) == 0 {
		return nil
	}
	parsed, err := font.NewFont(all[0])
	if err != nil {
		return nil
	}
	return font.NewFace(parsed)
}

var system = sync.OnceValue(func() *fonts {
	own, err := font.ParseTTF(bytes.NewReader(gomedium.TTF))
	if err != nil {
		panic("text: built-in font: " + err.Error())
	}
	f := &fonts{own: own}
	for _, name := range emojiFiles {
		if _, err := os.Stat(name); err == nil {
			f.emoji = fallback{file: name}
		}
	}
	for _, name := range otherFiles {
		f.other = append(f.other, fallback{file: name})
	}
	return f
})

// faceFor returns the face that draws a grapheme cluster, or the own one and false when none has it.
func (f *fonts) faceFor(cluster []rune) (*font.Face, bool) {
	if wantsEmoji(cluster) {
		if e := f.emoji.get(); e != nil && covers(e, cluster) {
			return e, true
		}
	}
	if covers(f.own, cluster) {
		return f.own, true
	}
	for i := range f.other {
		if face := f.other[i].get(); face != nil && covers(face, cluster) {
			return face, true
		}
	}
	if e := f.emoji.get(); e != nil && covers(e, cluster) {
		return e, true
	}
	return f.own, false
}

// wantsEmoji tells whether a cluster is meant in colour: by a selector or by what it begins with.
func wantsEmoji(cluster []rune) bool {
	for _, r := range cluster {
		switch r {
		case '\ufe0e': // text, please
			return false
		case '\ufe0f', '\u20e3':
			return true
		}
	}
	r := cluster[0]
	return r >= 0x1f000 && r < 0x20000 || r >= 0x2600 && r < 0x27c0 || r >= 0x2b00 && r < 0x2c00 || r >= 0x231a && r < 0x2400
}

// covers tells whether the face has what is visible in the cluster.
func covers(face *font.Face, cluster []rune) bool {
	for _, r := range cluster {
		if r == '\u200d' || unicode.Is(unicode.Variation_Selector, r) {
			continue // never drawn
		}
		if g, ok := face.NominalGlyph(r); !ok || g == 0 {
			return false
		}
	}
	return true
}
