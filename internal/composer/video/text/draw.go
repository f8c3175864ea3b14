package text

import (
	"image"
	"image/color"
	"math"

	"github.com/go-text/typesetting/font/opentype"
	"golang.org/x/image/draw"
	"golang.org/x/image/vector"
)

// Draw draws the line with the beginning of its baseline at (x, y).
func (l *Line) Draw(to *image.RGBA, x, y float64, c color.RGBA) {
	// The rasterizer's own origin is the corner of the ink, so that a letter costs its own size.
	at := image.Pt(int(math.Floor(x)), int(math.Floor(y)))
	ink := l.Ink.Add(at)
	ink.Max = ink.Max.Add(image.Pt(1, 1))
	area := ink.Intersect(to.Bounds())
	if area.Empty() {
		return
	}
	r := vector.NewRasterizer(ink.Dx(), ink.Dy())
	dx, dy := x-float64(ink.Min.X), y-float64(ink.Min.Y)
	for i := range l.glyphs {
		if g := &l.glyphs[i]; g.bitmap == nil {
			g.trace(r, dx, dy)
		}
	}
	mask := image.NewAlpha(image.Rect(0, 0, ink.Dx(), ink.Dy()))
	r.Draw(mask, mask.Bounds(), image.Opaque, image.Point{})
	draw.DrawMask(to, area, image.NewUniform(c), image.Point{}, mask, area.Min.Sub(ink.Min), draw.Over)
	for i := range l.glyphs {
		if g := &l.glyphs[i]; g.bitmap != nil {
			box := image.Rect(round(x+g.box[0]), round(y+g.box[1]), round(x+g.box[2]), round(y+g.box[3]))
			draw.CatmullRom.Scale(to, box, g.bitmap, g.bitmap.Bounds(), draw.Over, nil)
		}
	}
}

// trace adds the glyph's outline, moved by (dx, dy).
func (g *glyph) trace(r *vector.Rasterizer, dx, dy float64) {
	at := func(p opentype.SegmentPoint) (float32, float32) {
		return float32(dx + g.x + float64(p.X)*g.scale), float32(dy + g.y - float64(p.Y)*g.scale)
	}
	open := false
	for _, s := range g.outline {
		ax, ay := at(s.Args[0])
		switch s.Op {
		case opentype.SegmentOpMoveTo:
			if open {
				r.ClosePath()
			}
			open = true
			r.MoveTo(ax, ay)
		case opentype.SegmentOpLineTo:
			r.LineTo(ax, ay)
		case opentype.SegmentOpQuadTo:
			bx, by := at(s.Args[1])
			r.QuadTo(ax, ay, bx, by)
		case opentype.SegmentOpCubeTo:
			bx, by := at(s.Args[1])
			cx, cy := at(s.Args[2])
			r.CubeTo(ax, ay, bx, by, cx, cy)
		}
	}
	if open {
		r.ClosePath()
	}
}

func round(v float64) int { return int(math.Round(v)) }
