package av

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// encodeRGB makes the sample of a colour by the definitions of BT.601 and BT.709.
func encodeRGB(c color.RGBA, full bool, m Matrix) (y, cb, cr uint8) {
	kr, kb := 0.2126, 0.0722
	if m == BT601 {
		kr, kb = 0.299, 0.114
	}
	r, g, b := float64(c.R)/255, float64(c.G)/255, float64(c.B)/255
	l := kr*r + (1-kr-kb)*g + kb*b
	u, v := (b-l)/(2*(1-kb)), (r-l)/(2*(1-kr))
	luma, chroma, offset := 219.0, 224.0, 16.0
	if full {
		luma, chroma, offset = 255, 255, 0
	}
	round := func(v float64) uint8 { return uint8(max(0, min(255, math.Round(v)))) }
	return round(offset + luma*l), round(128 + chroma*u), round(128 + chroma*v)
}

var swatches = []color.RGBA{
	{0, 0, 0, 255}, {255, 255, 255, 255}, {255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255},
	{128, 128, 128, 255}, {200, 150, 120, 255}, {30, 60, 90, 255}, {255, 255, 0, 255}, {0, 255, 255, 255},
}

func TestDrawPictureConvertsColours(t *testing.T) {
	for _, full := range []bool{false, true} {
		for _, m := range []Matrix{BT709, BT601} {
			for _, swatch := range swatches {
				t.Run(fmt.Sprint(full, m, swatch), func(t *testing.T) {
					img := image.NewYCbCr(image.Rect(0, 0, 34, 18), image.YCbCrSubsampleRatio420)
					y, cb, cr := encodeRGB(swatch, full, m)
					for i := range img.Y {
						img.Y[i] = y
					}
					for i := range img.Cb {
						img.Cb[i], img.Cr[i] = cb, cr
					}
					p, err := NewPicture(img, full, m)
					if err != nil {
						t.Fatal(err)
					}
					defer p.Release()
					for _, dst := range []image.Rectangle{image.Rect(2, 2, 36, 20), image.Rect(0, 0, 60, 44)} {
						c := newCanvas(t, 64, 64)
						if err := c.DrawPicture(p, image.Rect(0, 0, 34, 18), dst); err != nil {
							t.Fatal(err)
						}
						got := c.Image().YCbCrAt(20, 10)
						wy, wcb, wcr := encodeRGB(swatch, false, BT709)
						for _, d := range []int{int(got.Y) - int(wy), int(got.Cb) - int(wcb), int(got.Cr) - int(wcr)} {
							if d < -2 || d > 2 {
								t.Errorf("%v: %v, want %d %d %d", dst, got, wy, wcb, wcr)
								break
							}
						}
					}
				})
			}
		}
	}
}

// Whatever the rectangles, drawing stays inside: a frame around the place keeps its colour.
func TestDrawingStaysInside(t *testing.T) {
	pics := map[image.Point]*Picture{}
	for _, size := range []image.Point{{2, 2}, {3, 5}, {64, 36}, {101, 57}, {320, 180}, {17, 240}, {1280, 720}} {
		img := image.NewYCbCr(image.Rectangle{Max: size}, image.YCbCrSubsampleRatio420)
		for i := range img.Y {
			img.Y[i] = 200
		}
		p, err := NewPicture(img, true, BT601)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release()
		pics[size] = p
	}
	c := newCanvas(t, 200, 120)
	rapid.Check(t, func(t *rapid.T) {
		c.Fill(c.Bounds(), 33, 44, 55)
		var p *Picture
		for size, pic := range pics {
			if size == rapid.SampledFrom([]image.Point{{2, 2}, {3, 5}, {64, 36}, {101, 57}, {320, 180}, {17, 240}, {1280, 720}}).Draw(t, "size") {
				p = pic
			}
			if p != nil {
				break
			}
		}
		if p == nil {
			p = pics[image.Pt(320, 180)]
		}
		rect := func(name string, w, h int) image.Rectangle {
			x, y := rapid.IntRange(-2, w).Draw(t, name+"x"), rapid.IntRange(-2, h).Draw(t, name+"y")
			return image.Rect(x, y, x+rapid.IntRange(0, w+2).Draw(t, name+"w"), y+rapid.IntRange(0, h+2).Draw(t, name+"h"))
		}
		src, dst := rect("src", p.Width, p.Height), rect("dst", 200, 120)
		if rapid.Bool().Draw(t, "valid") {
			src = src.Intersect(image.Rect(0, 0, p.Width, p.Height))
			src.Min.X, src.Min.Y = src.Min.X&^1, src.Min.Y&^1
			dst = dst.Intersect(c.Bounds())
			dst = image.Rect(dst.Min.X&^1, dst.Min.Y&^1, dst.Max.X&^1, dst.Max.Y&^1)
		}
		drawn := c.DrawPicture(p, src, dst) == nil
		got := c.Image()
		for y := range 120 {
			for x := range 200 {
				if inside := drawn && (image.Point{X: x, Y: y}).In(dst); !inside && got.YCbCrAt(x, y) != (color.YCbCr{Y: 33, Cb: 44, Cr: 55}) {
					t.Fatalf("%v to %v painted %d,%d", src, dst, x, y)
				}
			}
		}
	})
}

func TestCanvasRefuses(t *testing.T) {
	for _, size := range []image.Point{{0, 0}, {-2, 2}, {3, 2}, {2, 5}, {4098, 2}, {2, 1 << 40}} {
		if _, err := NewCanvas(size.X, size.Y); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", size, err)
		}
	}
	c := newCanvas(t, 16, 16)
	p, err := NewPicture(image.NewYCbCr(image.Rect(0, 0, 16, 16), image.YCbCrSubsampleRatio420), false, BT709)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]image.Rectangle{
		{image.Rect(0, 0, 16, 16), image.Rect(0, 0, 18, 16)},
		{image.Rect(0, 0, 16, 16), image.Rect(1, 0, 15, 16)},
		{image.Rect(0, 0, 18, 16), image.Rect(0, 0, 16, 16)},
		{image.Rect(1, 0, 16, 16), image.Rect(0, 0, 16, 16)},
		{image.Rect(0, 0, 0, 0), image.Rect(0, 0, 16, 16)},
	} {
		if err := c.DrawPicture(p, r[0], r[1]); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", r, err)
		}
	}
	p.Release()
	if err := c.DrawPicture(p, image.Rect(0, 0, 16, 16), c.Bounds()); !errors.Is(err, ErrInvalid) {
		t.Errorf("released picture: %v", err)
	}
	c.Close()
	c.Close()
	c.Fill(image.Rect(0, 0, 16, 16), 0, 0, 0)
	if err := c.DrawPicture(p, image.Rect(0, 0, 16, 16), c.Bounds()); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestDrawSamples leaves colours alone, from a picture and from a canvas.
func TestDrawSamples(t *testing.T) {
	img := image.NewYCbCr(image.Rect(0, 0, 96, 48), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = 250
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = 20, 230
	}
	p, err := NewPicture(img, true, BT601)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	from, to := newCanvas(t, 64, 32), newCanvas(t, 32, 16)
	if err := from.DrawSamples(p, img.Bounds(), from.Bounds()); err != nil { // 3:2
		t.Fatal(err)
	}
	if err := to.DrawCanvas(from, from.Bounds(), to.Bounds()); err != nil { // 2:1
		t.Fatal(err)
	}
	for _, c := range []*Canvas{from, to} {
		if got, want := c.Image().YCbCrAt(9, 9), (color.YCbCr{Y: 250, Cb: 20, Cr: 230}); got != want {
			t.Errorf("%dx%d has %v, want %v", c.Width, c.Height, got, want)
		}
	}
	for _, src := range []image.Rectangle{image.Rect(1, 0, 33, 16), image.Rect(0, 0, 66, 32), image.Rect(0, 0, 1, 2)} {
		if err := to.DrawCanvas(from, src, to.Bounds()); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v of a canvas: %v", src, err)
		}
	}
	if err := to.DrawCanvas(to, to.Bounds(), to.Bounds()); !errors.Is(err, ErrInvalid) {
		t.Errorf("a canvas on itself: %v", err)
	}
	to.Close()
	if err := to.DrawCanvas(from, from.Bounds(), image.Rect(0, 0, 32, 16)); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed canvas: %v", err)
	}
}
