package av

/*
#include "layer.h"
*/
import "C"

import (
	"fmt"
	"image"
	"image/color"
)

// Layer is a picture with alpha to draw over canvases: I420 as theirs, with an alpha for luma and one for chroma.
// It lives in Go memory and needs no Close.
type Layer struct {
	Width, Height int // pixels, even

	pix    []byte // as layer.h says
	opaque bool
}

// NewLayer makes a layer of an image (premultiplied, as the image package defines), BT.709 as on a canvas. Odd
// sides get one more pixel, which is transparent.
func NewLayer(img *image.RGBA) (*Layer, error) {
	b := img.Bounds()
	l, err := newLayer((b.Dx()+1)&^1, (b.Dy()+1)&^1)
	if err != nil {
		return nil, err
	}
	y, ya, u, v, ca := l.planes()
	l.opaque = b.Dx()%2 == 0 && b.Dy()%2 == 0
	for py := 0; py < l.Height; py += 2 {
		for px := 0; px < l.Width; px += 2 {
			var sum [4]int // of what four luma samples share
			for i := range 4 {
				x, row := px+i&1, py+i>>1
				if x >= b.Dx() || row >= b.Dy() {
					continue
				}
				p := img.Pix[row*img.Stride+4*x:][:4:4]
				for k := range sum {
					sum[k] += int(p[k])
				}
				at := row*l.Width + x
				y[at], ya[at] = luma709(int(p[0]), int(p[1]), int(p[2]), int(p[3])), p[3]
				l.opaque = l.opaque && p[3] == 255
			}
			at := py/2*(l.Width/2) + px/2
			u[at], v[at] = chroma709(sum[0], sum[1], sum[2], sum[3])
			ca[at] = uint8((sum[3] + 2) / 4)
		}
	}
	return l, nil
}

// NewMask returns a layer with an alpha and no colours yet: Grab brings them.
func NewMask(alpha *image.Alpha) (*Layer, error) {
	b := alpha.Bounds()
	img := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		for x := range b.Dx() {
			a := alpha.AlphaAt(b.Min.X+x, b.Min.Y+y)
			img.SetRGBA(x, y, color.RGBA{A: a.A})
		}
	}
	return NewLayer(img)
}

func newLayer(width, height int) (*Layer, error) {
	if width < 2 || height < 2 || width > MaxSide || height > MaxSide {
		return nil, fmt.Errorf("new layer %dx%d: %w", width, height, ErrInvalid)
	}
	return &Layer{Width: width, Height: height, pix: make([]byte, 2*width*height+3*(width*height/4))}, nil
}

func (l *Layer) planes() (y, ya, u, v, ca []byte) {
	n := l.Width * l.Height
	return l.pix[:n], l.pix[n : 2*n], l.pix[2*n:][:n/4], l.pix[2*n+n/4:][:n/4], l.pix[2*n+n/2:]
}

// YCbCr709 returns the sample of an opaque colour on a canvas.
func YCbCr709(c color.RGBA) (y, cb, cr uint8) {
	r, g, b := int(c.R), int(c.G), int(c.B)
	cb, cr = chroma709(r, g, b, 255)
	return luma709(r, g, b, 255), cb, cr
}

// luma709 and chroma709 take sums of premultiplied colours and of alphas, and return the colour without alpha,
// BT.709 limited range. The numbers are ITU-R BT.709-6 in 1/65536.
func luma709(r, g, b, a int) uint8 {
	if a == 0 {
		return 16
	}
	return uint8(16 + ((11966*r+40254*g+4064*b)*255/a+1<<15)>>16)
}

func chroma709(r, g, b, a int) (cb, cr uint8) {
	if a == 0 {
		return 128, 128
	}
	scale := func(v int) uint8 { return uint8(128 + (v*255/a+1<<15)>>16) }
	return scale(-6596*r - 22189*g + 28784*b), scale(28784*r - 26145*g - 2639*b)
}

// DrawLayer blends the layer over the canvas with its corner at the given point, but only inside clip. The point
// and clip must be even; what lies outside the canvas is cut off.
func (c *Canvas) DrawLayer(l *Layer, at image.Point, clip image.Rectangle) error {
	r, err := c.part(l, at, clip)
	if err != nil || r.Empty() {
		return err
	}
	from := r.Sub(at)
	if l.opaque {
		C.fl_layer_copy(c.c, (*C.uint8_t)(&l.pix[0]), C.int(l.Width), C.int(l.Height), cRect(from), C.int(r.Min.X), C.int(r.Min.Y))
	} else {
		C.fl_layer_blend(c.c, (*C.uint8_t)(&l.pix[0]), C.int(l.Width), C.int(l.Height), cRect(from), C.int(r.Min.X), C.int(r.Min.Y))
	}
	return nil
}

// Grab takes the layer's colours from the canvas, its corner being at the given point, which must be even. The
// layer's alpha stays as it is.
func (c *Canvas) Grab(l *Layer, at image.Point) error {
	r, err := c.part(l, at, c.Bounds())
	if err != nil || r.Empty() {
		return err
	}
	C.fl_layer_grab(c.c, (*C.uint8_t)(&l.pix[0]), C.int(l.Width), C.int(l.Height), cRect(r.Sub(at)), C.int(r.Min.X), C.int(r.Min.Y))
	return nil
}

// Restore puts back what Grab took, whatever the layer's alpha.
func (c *Canvas) Restore(l *Layer, at image.Point) error {
	r, err := c.part(l, at, c.Bounds())
	if err != nil || r.Empty() {
		return err
	}
	C.fl_layer_copy(c.c, (*C.uint8_t)(&l.pix[0]), C.int(l.Width), C.int(l.Height), cRect(r.Sub(at)), C.int(r.Min.X), C.int(r.Min.Y))
	return nil
}

// part returns what of the canvas the layer covers inside clip.
func (c *Canvas) part(l *Layer, at image.Point, clip image.Rectangle) (image.Rectangle, error) {
	if c.c == nil {
		return image.Rectangle{}, fmt.Errorf("draw layer: %w", ErrClosed)
	}
	if odd(at) || odd(clip.Min) || odd(clip.Max) {
		return image.Rectangle{}, fmt.Errorf("draw layer at %v in %v: %w", at, clip, ErrInvalid)
	}
	return image.Rect(0, 0, l.Width, l.Height).Add(at).Intersect(clip).Intersect(c.Bounds()), nil
}
