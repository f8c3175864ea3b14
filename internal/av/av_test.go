package av

import (
	"image"
	"math"
	"testing"
)

// gradient draws a moving diagonal pattern straight into the canvas.
func gradient(c *Canvas, step int) {
	for i := range 3 {
		pix, stride := c.Plane(i)
		w := c.Width
		if i > 0 {
			w /= 2
		}
		for y := 0; y*stride < len(pix); y++ {
			for x := range w {
				v := math.Sin(float64(x+y*(i+1)+4*step) / float64(17+5*i))
				pix[y*stride+x] = uint8(128 + 80*v)
			}
		}
	}
}

func psnr(t *testing.T, a, b *image.YCbCr) float64 {
	t.Helper()
	if a.Rect != b.Rect {
		t.Fatalf("sizes %v and %v", a.Rect, b.Rect)
	}
	var sum float64
	for i := range a.Y {
		d := float64(a.Y[i]) - float64(b.Y[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255/(sum/float64(len(a.Y))+1e-9))
}

func newCanvas(t *testing.T, w, h int) *Canvas {
	t.Helper()
	c, err := NewCanvas(w, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestH264RoundTrip(t *testing.T) {
	enc, err := NewH264Encoder(H264Config{Width: 640, Height: 360, BitRate: 2_000_000, KeyInterval: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	if len(enc.SPS()) == 0 || len(enc.PPS()) == 0 {
		t.Fatal("no parameter sets")
	}
	dec, err := NewH264Decoder()
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	in, out := newCanvas(t, 640, 360), newCanvas(t, 640, 360)
	for i := range 25 {
		gradient(in, i)
		coded, err := enc.Encode(in, int64(i)*3000, i == 5)
		if err != nil {
			t.Fatal(err)
		}
		if want := i%15 == 0 && i != 0 || i == 0 || i == 5; coded.Key != want {
			t.Errorf("picture %d: key %v, want %v", i, coded.Key, want)
		}
		pic, err := dec.Decode(coded.Data, coded.PTS)
		if err != nil || pic == nil {
			t.Fatalf("picture %d: %v, %v: the decoder must not delay", i, pic, err)
		}
		if pic.PTS != int64(i)*3000 || pic.Width != 640 || pic.Height != 360 || pic.FullRange || pic.Matrix != BT709 {
			t.Errorf("picture %d: %+v", i, pic)
		}
		if err := out.DrawPicture(pic, image.Rect(0, 0, 640, 360), out.Bounds()); err != nil {
			t.Fatal(err)
		}
		pic.Release()
		if got := psnr(t, in.Image(), out.Image()); got < 30 {
			t.Errorf("picture %d: %.1f dB", i, got)
		}
	}
	if n := livePictures.Load(); n != 0 {
		t.Errorf("%d pictures leak", n)
	}
}
