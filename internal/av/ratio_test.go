package av

import (
	"bytes"
	"fmt"
	"image"
	"math/rand/v2"
	"testing"
)

// The vector versions of the filters give the bytes of the plain ones, in noise of all levels, in all sizes.
func TestDrawVectorsEqualPlain(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 2))
	defer scalePlainly(false)
	for _, r := range []struct{ num, den int }{{2, 1}, {3, 1}, {3, 2}, {1, 2}} {
		for range 200 {
			w, h := 2+2*random.IntN(90), 2+2*random.IntN(12)
			sw, sh := w*r.num/r.den, h*r.num/r.den
			if sw*r.den != w*r.num || sh*r.den != h*r.num || sw < 2 || sh < 2 {
				continue
			}
			t.Run(fmt.Sprintf("%dx%d to %dx%d", sw, sh, w, h), func(t *testing.T) {
				img := image.NewYCbCr(image.Rect(0, 0, sw, sh), image.YCbCrSubsampleRatio420)
				for _, plane := range [][]byte{img.Y, img.Cb, img.Cr} {
					for i := range plane {
						plane[i] = uint8(random.Uint32())
						if random.IntN(2) == 0 { // where the filters overshoot
							plane[i] = uint8(255 * random.IntN(2))
						}
					}
				}
				p, err := NewPicture(img, false, BT709)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Release()
				draw := func(plainly bool) *image.YCbCr {
					scalePlainly(plainly)
					c := newCanvas(t, w, h)
					if err := c.DrawPicture(p, image.Rect(0, 0, sw, sh), c.Bounds()); err != nil {
						t.Fatal(err)
					}
					return c.Image()
				}
				plain, fast := draw(true), draw(false)
				if !bytes.Equal(plain.Y, fast.Y) || !bytes.Equal(plain.Cb, fast.Cb) || !bytes.Equal(plain.Cr, fast.Cr) {
					t.Error("the pictures differ")
				}
			})
		}
	}
}
