package av

/*
#include "canvas.h"
*/
import "C"

import (
	"fmt"
	"image"
	"unsafe"
)

// Canvas is a picture to draw on and to encode: I420, BT.709, limited range, in C memory, rows aligned to
// 64 bytes. It starts black.
type Canvas struct {
	Width, Height int // pixels, even

	c *C.FLCanvas
}

// NewCanvas returns a black canvas. Both sides must be even, 2 to MaxSide.
func NewCanvas(width, height int) (*Canvas, error) {
	if width < 2 || height < 2 || width > MaxSide || height > MaxSide || width%2 != 0 || height%2 != 0 {
		return nil, fmt.Errorf("new canvas %dx%d: %w", width, height, ErrInvalid)
	}
	c := C.fl_canvas_new(C.int(width), C.int(height))
	if c == nil {
		return nil, fmt.Errorf("new canvas %dx%d: %w", width, height, ErrNoMemory)
	}
	return &Canvas{Width: width, Height: height, c: c}, nil
}

// Bounds is the whole canvas.
func (c *Canvas) Bounds() image.Rectangle { return image.Rect(0, 0, c.Width, c.Height) }

// Fill paints r, clipped to the canvas and widened to even pixels, in one colour (limited range).
func (c *Canvas) Fill(r image.Rectangle, y, u, v uint8) {
	r = r.Intersect(c.Bounds())
	if c.c == nil || r.Empty() {
		return
	}
	r.Min.X, r.Min.Y = r.Min.X&^1, r.Min.Y&^1
	r.Max.X, r.Max.Y = (r.Max.X+1)&^1, (r.Max.Y+1)&^1
	C.fl_canvas_fill(c.c, cRect(r), C.int(y), C.int(u), C.int(v))
}

// DrawPicture scales src of the picture to dst of the canvas, and converts its colours to the canvas's.
// dst must be even and lie on the canvas; src must have an even corner and lie in the picture. Ratios of
// exactly 1, 2, 3, 4, 3/2 and 1/2 on both sides are far cheaper than any other.
func (c *Canvas) DrawPicture(p *Picture, src, dst image.Rectangle) error {
	return c.draw(p, src, dst, p != nil && p.FullRange, p != nil && p.Matrix == BT601)
}

// DrawSamples does the same but leaves colours as they are: the canvas then has the picture's.
func (c *Canvas) DrawSamples(p *Picture, src, dst image.Rectangle) error {
	return c.draw(p, src, dst, false, false)
}

func (c *Canvas) draw(p *Picture, src, dst image.Rectangle, fullRange, bt601 bool) error {
	if c.c == nil {
		return fmt.Errorf("draw picture: %w", ErrClosed)
	}
	if p == nil || p.frame == nil || !c.fits(src, image.Rect(0, 0, p.Width, p.Height), dst) {
		return fmt.Errorf("draw %v of picture to %v: %w", src, dst, ErrInvalid)
	}
	r := C.fl_canvas_draw(c.c, p.frame, cRect(src), cRect(dst), cBool(fullRange), cBool(bt601))
	if r < 0 {
		return fmt.Errorf("draw %v of picture to %v: %w", src, dst, codeError(r))
	}
	return nil
}

// DrawCanvas scales src of another canvas to dst of this one, by the rules of DrawPicture. Colours stay as they are.
func (c *Canvas) DrawCanvas(from *Canvas, src, dst image.Rectangle) error {
	if c.c == nil || from.c == nil {
		return fmt.Errorf("draw canvas: %w", ErrClosed)
	}
	if c == from || !c.fits(src, from.Bounds(), dst) {
		return fmt.Errorf("draw %v of canvas to %v: %w", src, dst, ErrInvalid)
	}
	if r := C.fl_canvas_draw_canvas(c.c, from.c, cRect(src), cRect(dst)); r < 0 {
		return fmt.Errorf("draw %v of canvas to %v: %w", src, dst, codeError(r))
	}
	return nil
}

// fits tells whether src of what has these bounds can be drawn to dst.
func (c *Canvas) fits(src, bounds, dst image.Rectangle) bool {
	return src.Dx() >= 2 && src.Dy() >= 2 && !dst.Empty() && !odd(src.Min) && !odd(dst.Min) && !odd(dst.Max) &&
		dst.In(c.Bounds()) && src.In(bounds)
}

// Plane returns plane 0 (Y), 1 (U) or 2 (V) and its stride. The slice is the canvas's own memory: it must
// not be used after Close.
func (c *Canvas) Plane(i int) (pix []byte, stride int) {
	if c.c == nil {
		return nil, 0
	}
	rows := c.Height
	if i > 0 {
		rows /= 2
	}
	stride = int(c.c.stride[i])
	return unsafe.Slice((*byte)(c.c.plane[i]), stride*rows), stride
}

// Image returns a copy for tests and thumbnails. The image package takes YCbCr as full-range BT.601, so
// its colours are off by the difference; the samples are exact.
func (c *Canvas) Image() *image.YCbCr {
	img := image.NewYCbCr(c.Bounds(), image.YCbCrSubsampleRatio420)
	for i, to := range [][]byte{img.Y, img.Cb, img.Cr} {
		from, stride := c.Plane(i)
		w := c.Width
		if i > 0 {
			w /= 2
		}
		for len(to) > 0 {
			copy(to[:w], from)
			to, from = to[w:], from[stride:]
		}
	}
	return img
}

// Close frees the canvas.
func (c *Canvas) Close() {
	if c.c != nil {
		C.fl_canvas_free(c.c)
		c.c = nil
	}
}

func odd(p image.Point) bool { return (p.X|p.Y)&1 != 0 }

func cRect(r image.Rectangle) C.FLRect {
	return C.FLRect{x: C.int(r.Min.X), y: C.int(r.Min.Y), w: C.int(r.Dx()), h: C.int(r.Dy())}
}

func cBool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
