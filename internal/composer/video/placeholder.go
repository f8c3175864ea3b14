package video

import (
	"hash/fnv"
	"image"
	"image/color"
	"math"

	"golang.org/x/image/draw"

	"github.com/footlight-live/footlight/internal/composer/video/text"
)

// A placeholder is dark grey with a badge in the middle: a coloured disc with the label's initial, or with a
// figure where there is no initial. A scene can give it another colour, or an image in place of all that.
var darkGrey = color.RGBA{0x1f, 0x1f, 0x1f, 0xff}

// discs are the colours of badges; a label always has the same one.
var discs = []color.RGBA{
	{0x3b, 0x6e, 0xa8, 0xff}, {0x7a, 0x4f, 0x9e, 0xff}, {0x2f, 0x7d, 0x6b, 0xff}, {0xa8, 0x5a, 0x3b, 0xff},
	{0x9e, 0x44, 0x6a, 0xff}, {0x5a, 0x72, 0x2f, 0xff}, {0x4b, 0x55, 0xa8, 0xff}, {0x8a, 0x6d, 0x2b, 0xff},
}

var ink = color.RGBA{0xf2, 0xf2, 0xf2, 0xff}

func (m *Mixer) drawPlaceholder(label string, r image.Rectangle) {
	m.look.placeholder.fill(m.canvas, r)
	if full := m.look.placeholderImage; full != nil {
		layer := m.images.get(r.Size(), func() *image.RGBA { return coverWith(full, r.Size()) })
		_ = m.canvas.DrawLayer(layer, r.Min, r) // the only error is that of a closed canvas
		return
	}
	size := (min(r.Dx(), r.Dy()) / 2) &^ 1
	if size < 8 { // too small to see
		return
	}
	initial := text.Initial(label)
	badge := m.badges.get(badgeKey{size, initial, discOf(label)}, func() *image.RGBA { return drawBadge(size, initial, discs[discOf(label)]) })
	at := r.Min.Add(r.Size().Sub(image.Pt(size, size)).Div(2))
	_ = m.canvas.DrawLayer(badge, image.Pt(at.X&^1, at.Y&^1), r)
}

func discOf(label string) int {
	hash := fnv.New32a()
	hash.Write([]byte(label))
	return int(hash.Sum32() % uint32(len(discs)))
}

// badgeKey tells badges apart.
type badgeKey struct {
	size    int
	initial string // "": the figure
	disc    int
}

func drawBadge(size int, initial string, background color.RGBA) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	half := float64(size) / 2
	disc(img, half, half, half, half, background, nil)
	if initial == "" {
		drawFigure(img, half)
		return img
	}
	line := text.New(initial, half)
	middle := line.Ink.Min.Add(line.Ink.Max)
	line.Draw(img, half-float64(middle.X)/2, half-float64(middle.Y)/2, ink)
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

// coverWith scales an image so that it covers size, and cuts off what is too much at the sides.
func coverWith(img image.Image, size image.Point) *image.RGBA {
	b := img.Bounds()
	w, h := cover(b.Dx(), b.Dy(), size.X, size.Y)
	w, h = min(w, b.Dx()), min(h, b.Dy())
	at := b.Min.Add(image.Pt((b.Dx()-w)/2, (b.Dy()-h)/2))
	out := image.NewRGBA(image.Rectangle{Max: size})
	draw.CatmullRom.Scale(out, out.Bounds(), img, image.Rectangle{Min: at, Max: at.Add(image.Pt(w, h))}, draw.Src, nil)
	return out
}
