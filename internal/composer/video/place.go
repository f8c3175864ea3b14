package video

import (
	"image"
	"math"

	"github.com/footlight-live/footlight/internal/av"
)

// place is where a tile lies, with what shows at its rounded corners.
type place struct {
	rect    image.Rectangle
	radius  int // even; 0: no round corners
	corners [4]corner
	draw    bool // in this Compose
	reduced int  // pixels of its picture, where that is shown smaller than it came
}

// corner is a square at a corner of a tile. Its layer holds what is below the tile, and covers the tile outside
// the arc.
type corner struct {
	layer *av.Layer
	at    image.Point
}

func newPlace(r image.Rectangle, radius int) place {
	p := place{rect: r, radius: max(0, min(radius, r.Dx()/2, r.Dy()/2)) &^ 1}
	if p.radius == 0 {
		return p
	}
	n := p.radius
	for i, at := range cornersOf(r, n) {
		mask := image.NewAlpha(image.Rect(0, 0, n, n))
		for y := range n {
			for x := range n {
				mask.Pix[y*mask.Stride+x] = 255 - arc(i, x, y, n, float64(n))
			}
		}
		layer, err := av.NewMask(mask)
		if err != nil {
			panic("video: corner of " + r.String() + ": " + err.Error()) // never: it is even and on the canvas
		}
		p.corners[i] = corner{layer, at}
	}
	return p
}

// cornersOf are the corners of squares of n pixels: top left, top right, bottom left, bottom right.
func cornersOf(r image.Rectangle, n int) [4]image.Point {
	return [4]image.Point{r.Min, {X: r.Max.X - n, Y: r.Min.Y}, {X: r.Min.X, Y: r.Max.Y - n}, {X: r.Max.X - n, Y: r.Max.Y - n}}
}

// arc returns how much of the pixel (x, y) of the i-th corner's square of n pixels is inside a quarter circle
// around the square's inner corner, 0 to 255.
func arc(i, x, y, n int, radius float64) uint8 {
	if i&1 != 0 {
		x = n - 1 - x
	}
	if i&2 != 0 {
		y = n - 1 - y
	}
	d := math.Hypot(float64(n-x)-0.5, float64(n-y)-0.5)
	return uint8(255*max(0, min(1, radius-d+0.5)) + 0.5)
}

// grab takes what is below the corners, before the tile is drawn.
func (p *place) grab(c *av.Canvas) {
	for _, k := range p.round() {
		_ = c.Grab(k.layer, k.at) // the only error is that of a closed canvas
	}
}

// uncover puts it back, so that those below can be drawn anew.
func (p *place) uncover(c *av.Canvas) {
	for _, k := range p.round() {
		_ = c.Restore(k.layer, k.at)
	}
}

// cover lays it over the tile, outside the arcs.
func (p *place) cover(c *av.Canvas) {
	for _, k := range p.round() {
		_ = c.DrawLayer(k.layer, k.at, p.rect)
	}
}

func (p *place) round() []corner {
	if p.radius == 0 {
		return nil
	}
	return p.corners[:]
}
