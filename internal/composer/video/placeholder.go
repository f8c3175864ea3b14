package video

import (
	"hash/fnv"
	"image"
	"image/color"
	"math"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// A placeholder is dark grey (#1f1f1f, in limited range) with a badge in the middle: a coloured disc with
// the label's initial, or with a figure where there is no initial.
const greyY = 43

// discs are the colours of badges; a label always has the same one.
var discs = []color.RGBA{
	{0x3b, 0x6e, 0xa8, 0xff}, {0x7a, 0x4f, 0x9e, 0xff}, {0x2f, 0x7d, 0x6b, 0xff}, {0xa8, 0x5a, 0x3b, 0xff},
	{0x9e, 0x44, 0x6a, 0xff}, {0x5a, 0x72, 0x2f, 0xff}, {0x4b, 0x55, 0xa8, 0xff}, {0x8a, 0x6d, 0x2b, 0xff},
}

var ink = color.RGBA{0xf2, 0xf2, 0xf2, 0xff}

func (m *Mixer) drawPlaceholder(label string, r image.Rectangle) {
	m.canvas.Fill(r, greyY, 128, 128)
	img := m.badges.get(label, min(r.Dx(), r.Dy())/2)
	if img == nil {
		return
	}
	at := r.Min.Add(r.Size().Sub(img.Bounds().Size()).Div(2))
	at.X, at.Y = at.X&^1, at.Y&^1
	// It fits the tile, so the only errors are those of a closed canvas.
	_ = m.canvas.DrawRGBA(img, at)
}

// maxBadges bounds the cache: twice as many as a stage has publishers.
const maxBadges = 24

type badgeKey struct {
	size    int
	initial rune // 0: none that can be drawn
	disc    int
}

// badges caches drawn badges. Its zero value is empty.
type badges struct {
	images map[badgeKey]*image.RGBA
	order  []badgeKey // oldest first
}

// get returns the badge of the label, size pixels wide, or nil when that is too small to see.
func (b *badges) get(label string, size int) *image.RGBA {
	size &^= 1
	if size < 8 {
		return nil
	}
	hash := fnv.New32a()
	hash.Write([]byte(label))
	key := badgeKey{size, initial(label), int(hash.Sum32()) % len(discs)}
	if img, ok := b.images[key]; ok {
		return img
	}
	if b.images == nil {
		b.images = map[badgeKey]*image.RGBA{}
	}
	if len(b.order) == maxBadges {
		delete(b.images, b.order[0])
		b.order = b.order[1:]
	}
	img := drawBadge(key)
	b.images[key] = img
	b.order = append(b.order, key)
	return img
}

// initial returns the first letter or digit that the font can draw, in upper case, or 0.
func initial(label string) rune {
	for _, r := range label {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			continue
		}
		r = unicode.ToUpper(r)
		if i, err := typeface().GlyphIndex(nil, r); err != nil || i == 0 {
			return 0
		}
		return r
	}
	return 0
}

// typeface is the Go font, which has Latin, Greek and Cyrillic letters.
var typeface = sync.OnceValue(func() *opentype.Font {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		panic("video: built-in font: " + err.Error())
	}
	return f
})

func drawBadge(key badgeKey) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, key.size, key.size))
	half := float64(key.size) / 2
	disc(img, half, half, half, half, discs[key.disc], nil)
	if key.initial == 0 {
		drawFigure(img, half)
	} else {
		drawInitial(img, key.initial)
	}
	return img
}

// drawFigure draws head and shoulders inside the badge.
func drawFigure(img *image.RGBA, half float64) {
	disc(img, half, half*0.75, half*0.32, half*0.32, ink, nil)
	disc(img, half, half*1.75, half*0.62, half*0.6, ink, func(x, y float64) float64 {
		return half - math.Hypot(x-half, y-half)
	})
}

// disc draws an ellipse with smooth edges. clip, if given, returns how far a point is inside.
func disc(img *image.RGBA, cx, cy, rx, ry float64, c color.RGBA, clip func(x, y float64) float64) {
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			px, py := float64(x)+0.5, float64(y)+0.5
			inside := (1 - math.Hypot((px-cx)/rx, (py-cy)/ry)) * min(rx, ry)
			if clip != nil {
				inside = min(inside, clip(px, py))
			}
			if cover := max(0, min(1, inside+0.5)); cover > 0 {
				blend(img, x, y, c, cover)
			}
		}
	}
}

func blend(img *image.RGBA, x, y int, c color.RGBA, cover float64) {
	p := img.Pix[img.PixOffset(x, y):][:4:4]
	for i, v := range [4]uint8{c.R, c.G, c.B, c.A} {
		p[i] = uint8(float64(p[i])*(1-cover) + float64(v)*cover + 0.5)
	}
}

func drawInitial(img *image.RGBA, letter rune) {
	size := img.Bounds().Dx()
	face, err := opentype.NewFace(typeface(), &opentype.FaceOptions{Size: float64(size) * 0.5, DPI: 72})
	if err != nil {
		return // never for the built-in font
	}
	defer face.Close()
	bounds, advance := font.BoundString(face, string(letter))
	middle := fixed.I(size) / 2
	d := font.Drawer{Dst: img, Src: image.NewUniform(ink), Face: face}
	d.Dot = fixed.Point26_6{X: middle - advance/2, Y: middle - (bounds.Min.Y+bounds.Max.Y)/2}
	d.DrawString(string(letter))
}
