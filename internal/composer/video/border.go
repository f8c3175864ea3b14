package video

import (
	"image"
	"image/color"

	"github.com/footlight-live/footlight/internal/av"
)

// border is drawn inside the tiles of those who speak.
type border struct {
	color  color.RGBA
	paint  paint
	width  int                  // pixels, even
	pieces cache[borderCorners] // for round corners
}

// borderCorners tells the pieces at round corners apart.
type borderCorners struct{ corner, radius, width int }

func (b *border) draw(c *av.Canvas, p *place) {
	r := p.rect
	width := min(b.width, (min(r.Dx(), r.Dy())/4)&^1)
	if width == 0 {
		return
	}
	inner := r.Inset(width)
	if p.radius == 0 {
		for _, side := range around(r, inner) {
			b.paint.fill(c, side)
		}
		return
	}
	// The sides between the corners' squares, then the squares.
	n := max(p.radius, width)
	for _, side := range []image.Rectangle{
		image.Rect(r.Min.X+n, r.Min.Y, r.Max.X-n, inner.Min.Y), image.Rect(r.Min.X+n, inner.Max.Y, r.Max.X-n, r.Max.Y),
		image.Rect(r.Min.X, r.Min.Y+n, inner.Min.X, r.Max.Y-n), image.Rect(inner.Max.X, r.Min.Y+n, r.Max.X, r.Max.Y-n),
	} {
		b.paint.fill(c, side)
	}
	for i, at := range cornersOf(r, n) {
		piece := b.pieces.get(borderCorners{i, p.radius, width}, func() *image.RGBA { return b.corner(i, n, p.radius-width) })
		if piece != nil {
			_ = c.DrawLayer(piece, at, r) // the only error is that of a closed canvas
		}
	}
}

// corner paints a square of n pixels but for the inside of the border, whose corner has the radius given.
func (b *border) corner(i, n, radius int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, n, n))
	for y := range n {
		for x := range n {
			var inside uint8
			if radius > 0 {
				inside = arc(i, x, y, n, float64(radius))
			}
			blend(img, x, y, b.color, 1-float64(inside)/255)
		}
	}
	return img
}
