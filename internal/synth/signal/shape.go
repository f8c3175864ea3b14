package signal

import (
	"image"
	"math"
)

// colour is Y, U, V in BT.709 limited range.
type colour struct{ y, u, v float64 }

func newColour(r, g, b float64) colour {
	y, u, v := yuv(r, g, b)
	return colour{y, u, v}
}

// shape is a rectangle with rounded corners, in pixels with fractions, so that it moves smoothly.
type shape struct{ x0, y0, x1, y1, radius float64 }

// coverage is the share of the pixel around (x, y) that the shape covers, for pixels of the given size.
func (s shape) coverage(x, y, pixel float64) float64 {
	dx := max(s.x0+s.radius-x, x-s.x1+s.radius, 0)
	dy := max(s.y0+s.radius-y, y-s.y1+s.radius, 0)
	return min(max((s.radius-math.Hypot(dx, dy))/pixel+0.5, 0), 1)
}

// fill blends the colour over the shape with the given opacity.
func (s shape) fill(dst *image.YCbCr, c colour, opacity float64) {
	box := image.Rect(int(s.x0)-2, int(s.y0)-2, int(s.x1)+4, int(s.y1)+4).Intersect(dst.Rect)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		row := dst.Y[y*dst.YStride:]
		for x := box.Min.X; x < box.Max.X; x++ {
			if a := s.coverage(float64(x)+0.5, float64(y)+0.5, 1); a > 0 {
				row[x] = blend(row[x], c.y, a*opacity)
			}
		}
	}
	for y := box.Min.Y / 2; y < box.Max.Y/2; y++ {
		cb, cr := dst.Cb[y*dst.CStride:], dst.Cr[y*dst.CStride:]
		for x := box.Min.X / 2; x < box.Max.X/2; x++ {
			if a := s.coverage(float64(2*x)+1, float64(2*y)+1, 2); a > 0 {
				cb[x], cr[x] = blend(cb[x], c.u, a*opacity), blend(cr[x], c.v, a*opacity)
			}
		}
	}
}

// blendMask blends grey of the given luma over dst where the mask, placed at the point, says so.
func blendMask(dst *image.YCbCr, mask *image.Alpha, at image.Point, luma float64) {
	box := mask.Rect.Add(at).Intersect(dst.Rect)
	coverage := func(x, y int) float64 {
		if !(image.Pt(x, y).In(box)) {
			return 0
		}
		return float64(mask.Pix[(y-at.Y)*mask.Stride+x-at.X]) / 255
	}
	for y := box.Min.Y; y < box.Max.Y; y++ {
		row := dst.Y[y*dst.YStride:]
		for x := box.Min.X; x < box.Max.X; x++ {
			if a := mask.Pix[(y-at.Y)*mask.Stride+x-at.X]; a != 0 {
				row[x] = blend(row[x], luma, float64(a)/255)
			}
		}
	}
	for y := box.Min.Y / 2; y < (box.Max.Y+1)/2; y++ {
		cb, cr := dst.Cb[y*dst.CStride:], dst.Cr[y*dst.CStride:]
		for x := box.Min.X / 2; x < (box.Max.X+1)/2; x++ {
			a := coverage(2*x, 2*y) + coverage(2*x+1, 2*y) + coverage(2*x, 2*y+1) + coverage(2*x+1, 2*y+1)
			if a > 0 {
				cb[x], cr[x] = blend(cb[x], neutral, a/4), blend(cr[x], neutral, a/4)
			}
		}
	}
}

func blend(old uint8, to, share float64) uint8 {
	from := float64(old)
	return uint8(from + (to-from)*share + 0.5)
}
