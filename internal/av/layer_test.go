package av

import (
	"errors"
	"image"
	"image/color"
	"testing"

	"pgregory.net/rapid"
)

func newLayerOf(t testing.TB, img *image.RGBA) *Layer {
	t.Helper()
	l, err := NewLayer(img)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// near fails unless two samples differ by no more than the given steps.
func near(t *testing.T, what string, got color.YCbCr, y, cb, cr, steps int) {
	t.Helper()
	for _, d := range []int{int(got.Y) - y, int(got.Cb) - cb, int(got.Cr) - cr} {
		if d < -steps || d > steps {
			t.Errorf("%s: %v, want %d %d %d", what, got, y, cb, cr)
			return
		}
	}
}

func TestDrawLayer(t *testing.T) {
	c := newCanvas(t, 64, 64)
	img := image.NewRGBA(image.Rect(10, 10, 21, 19)) // odd sides, a corner of its own
	for _, swatch := range swatches {
		for y := 10; y < 19; y++ {
			for x := 10; x < 21; x++ {
				img.Set(x, y, swatch)
			}
		}
		if err := c.DrawLayer(newLayerOf(t, img), image.Pt(4, 6), c.Bounds()); err != nil {
			t.Fatal(err)
		}
		y, cb, cr := encodeRGB(swatch, false, BT709)
		near(t, "inside", c.Image().YCbCrAt(8, 10), int(y), int(cb), int(cr), 1)
		py, pcb, pcr := YCbCr709(swatch)
		near(t, "the colour alone", color.YCbCr{Y: py, Cb: pcb, Cr: pcr}, int(y), int(cb), int(cr), 1)
		if out := c.Image(); out.YCbCrAt(3, 6).Y != 16 || out.YCbCrAt(15, 6).Y != 16 || out.YCbCrAt(4, 15).Y != 16 {
			t.Errorf("%v: painted outside", swatch)
		}
	}

	c.Fill(c.Bounds(), 100, 90, 160)
	before := c.Image()
	if err := c.DrawLayer(newLayerOf(t, image.NewRGBA(image.Rect(0, 0, 64, 64))), image.Point{}, c.Bounds()); err != nil {
		t.Fatal(err)
	}
	if after := c.Image(); after.YCbCrAt(5, 5) != before.YCbCrAt(5, 5) {
		t.Errorf("a transparent layer changed %v to %v", before.YCbCrAt(5, 5), after.YCbCrAt(5, 5))
	}
	half := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i := range half.Pix {
		half.Pix[i] = 128 // premultiplied: white, half covering
	}
	if err := c.DrawLayer(newLayerOf(t, half), image.Point{}, c.Bounds()); err != nil {
		t.Fatal(err)
	}
	near(t, "half of white over 100 90 160", c.Image().YCbCrAt(5, 5), 168, 109, 144, 1)
}

// Blending is exact: to the nearest of a*layer + (1-a)*canvas, for every alpha, and nothing outside clip changes.
func TestDrawLayerBlends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := NewCanvas(70, 40)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		under := color.YCbCr{Y: rapid.Byte().Draw(t, "y"), Cb: rapid.Byte().Draw(t, "cb"), Cr: rapid.Byte().Draw(t, "cr")}
		c.Fill(c.Bounds(), under.Y, under.Cb, under.Cr)
		a := rapid.Byte().Draw(t, "alpha")
		img := image.NewRGBA(image.Rect(0, 0, 2*rapid.IntRange(1, 40).Draw(t, "w/2"), 2*rapid.IntRange(1, 30).Draw(t, "h/2")))
		for i := range img.Pix {
			img.Pix[i] = a
		}
		l, err := NewLayer(img)
		if err != nil {
			t.Fatal(err)
		}
		even := func(name string, least, most int) int { return 2 * rapid.IntRange(least/2, most/2).Draw(t, name) }
		at := image.Pt(even("x", -90, 80), even("y", -70, 50))
		clip := image.Rect(even("x0", -4, 74), even("y0", -4, 44), even("x1", -4, 74), even("y1", -4, 44))
		if err := c.DrawLayer(l, at, clip); err != nil {
			t.Fatal(err)
		}
		part := img.Rect.Add(at).Intersect(clip).Intersect(c.Bounds())
		mix := func(under uint8, over int) uint8 {
			return uint8((int(under)*(255-int(a))*2 + over*int(a)*2 + 255) / 510)
		}
		over := color.YCbCr{Y: mix(under.Y, 235), Cb: mix(under.Cb, 128), Cr: mix(under.Cr, 128)}
		if a == 0 {
			over = under
		}
		got := c.Image()
		for y := range 40 {
			for x := range 70 {
				want := under
				if (image.Point{X: x, Y: y}).In(part) {
					want = over
				}
				if got.YCbCrAt(x, y) != want {
					t.Fatalf("at %d,%d: %v, want %v", x, y, got.YCbCrAt(x, y), want)
				}
			}
		}
	})
}

func TestGrabAndRestore(t *testing.T) {
	c := newCanvas(t, 32, 32)
	c.Fill(image.Rect(0, 0, 16, 32), 90, 80, 70)
	before := c.Image()
	mask := image.NewAlpha(image.Rect(0, 0, 16, 16))
	for i := range mask.Pix {
		mask.Pix[i] = uint8(i)
	}
	l, err := NewMask(mask)
	if err != nil {
		t.Fatal(err)
	}
	at := image.Pt(8, 24) // a part of it is off the canvas
	if err := c.Grab(l, at); err != nil {
		t.Fatal(err)
	}
	c.Fill(c.Bounds(), 200, 100, 150)
	if err := c.Restore(l, at); err != nil {
		t.Fatal(err)
	}
	got := c.Image()
	for y := range 32 {
		for x := range 32 {
			want := color.YCbCr{Y: 200, Cb: 100, Cr: 150}
			if (image.Point{X: x, Y: y}).In(image.Rect(8, 24, 24, 32)) {
				want = before.YCbCrAt(x, y)
			}
			if got.YCbCrAt(x, y) != want {
				t.Fatalf("at %d,%d: %v, want %v", x, y, got.YCbCrAt(x, y), want)
			}
		}
	}
}

func TestLayerRefuses(t *testing.T) {
	for _, size := range []image.Point{{0, 0}, {4, 0}, {MaxSide + 1, 2}} {
		if _, err := NewLayer(image.NewRGBA(image.Rectangle{Max: size})); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", size, err)
		}
	}
	c := newCanvas(t, 16, 16)
	l := newLayerOf(t, image.NewRGBA(image.Rect(0, 0, 8, 8)))
	for _, err := range []error{
		c.DrawLayer(l, image.Pt(1, 0), c.Bounds()), c.DrawLayer(l, image.Point{}, image.Rect(0, 0, 3, 4)),
		c.Grab(l, image.Pt(0, 3)), c.Restore(l, image.Pt(3, 0)),
	} {
		if !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	}
	c.Close()
	if err := c.DrawLayer(l, image.Point{}, c.Bounds()); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func BenchmarkDrawLayer(b *testing.B) {
	c, err := NewCanvas(1280, 720)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	img := image.NewRGBA(c.Bounds())
	for i := range img.Pix {
		img.Pix[i] = uint8(i / 4 % 200)
	}
	l := newLayerOf(b, img)
	for b.Loop() {
		if err := c.DrawLayer(l, image.Point{}, c.Bounds()); err != nil {
			b.Fatal(err)
		}
	}
}
