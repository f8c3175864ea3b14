package video

import (
	"image"
	"slices"

	"github.com/footlight-live/footlight/internal/composer/layout"
)

// ratio is a source:destination ratio of both sides that is far cheaper to scale than others.
type ratio struct{ num, den int }

// cheap are the ratios that av scales without a general filter.
var cheap = []ratio{{1, 1}, {2, 1}, {3, 1}, {4, 1}, {3, 2}, {1, 2}}

// Cheap tells whether av has a filter of its own for scaling a picture of one size to the other.
func Cheap(from, to image.Point) bool {
	return slices.ContainsFunc(cheap, func(r ratio) bool {
		return from.X*r.den == to.X*r.num && from.Y*r.den == to.Y*r.num
	})
}

// snapLoss is how much of a side may be cut off to reach a cheap ratio: 1/64, as a 640x360 picture in the
// 638x358 tile of a grid with gaps needs.
const snapLoss = 64

// fit returns which part of a pw x ph picture goes to which part of the tile. src has an even corner and
// lies in the picture; dst is even and lies in the tile.
func fit(mode layout.FillMode, pw, ph int, tile image.Rectangle) (src, dst image.Rectangle) {
	dst = tile
	sw, sh := pw, ph
	switch mode {
	case layout.Fill:
	case layout.Contain:
		dst = contain(pw, ph, tile)
	default:
		sw, sh = cover(pw, ph, tile.Dx(), tile.Dy())
	}
	sw, sh = snap(sw, sh, pw, ph, dst.Dx(), dst.Dy())
	// The middle, on an even corner because chroma has half the resolution.
	x, y := ((pw-sw)/2)&^1, ((ph-sh)/2)&^1
	return image.Rect(x, y, x+sw, y+sh), dst
}

// cover returns the largest part of the picture that has the shape w:h.
func cover(pw, ph, w, h int) (int, int) {
	if pw*h > ph*w {
		return max(2, ph*w/h), ph
	}
	return pw, max(2, pw*h/w)
}

// contain returns the largest even rectangle of the picture's shape in the middle of the tile, and the
// whole tile where only a sliver would be left.
func contain(pw, ph int, tile image.Rectangle) image.Rectangle {
	w, h := tile.Dx(), tile.Dy()
	if pw*h > ph*w {
		h = max(2, (w*ph/pw+1)&^1)
	} else {
		w = max(2, (h*pw/ph+1)&^1)
	}
	if near(tile.Dx(), w) && near(tile.Dy(), h) {
		return tile
	}
	x, y := tile.Min.X+((tile.Dx()-w)/2)&^1, tile.Min.Y+((tile.Dy()-h)/2)&^1
	return image.Rect(x, y, x+w, y+h)
}

// snap changes the part sw x sh of a pw x ph picture a little so that its ratio to w x h is a cheap one.
func snap(sw, sh, pw, ph, w, h int) (int, int) {
	for _, r := range cheap {
		if w*r.num%r.den != 0 || h*r.num%r.den != 0 {
			continue
		}
		cw, ch := w*r.num/r.den, h*r.num/r.den
		if cw <= pw && ch <= ph && near(sw, cw) && near(sh, ch) {
			return cw, ch
		}
	}
	return sw, sh
}

func near(a, b int) bool { return max(a-b, b-a)*snapLoss <= a }

// Fit tells which part of a pw x ph picture a Mixer puts into which part of a tile.
func Fit(mode layout.FillMode, pw, ph int, tile image.Rectangle) (src, dst image.Rectangle) {
	return fit(mode, pw, ph, tile)
}
