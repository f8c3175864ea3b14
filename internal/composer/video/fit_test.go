package video

import (
	"image"
	"testing"

	"github.com/footlight-live/footlight/internal/composer/layout"
	"pgregory.net/rapid"
)

func TestFit(t *testing.T) {
	tile := image.Rect(640, 360, 1278, 718) // 638x358
	for _, c := range []struct {
		name     string
		mode     layout.FillMode
		pw, ph   int
		src, dst image.Rectangle
	}{
		{"1:1 after a crop of one pixel", layout.Cover, 640, 360, image.Rect(0, 0, 638, 358), tile},
		{"2:1", layout.Cover, 1280, 720, image.Rect(2, 2, 1278, 718), tile},
		{"3:2", layout.Cover, 960, 540, image.Rect(0, 0, 957, 537), tile},
		{"3:1", layout.Cover, 1920, 1080, image.Rect(2, 2, 1916, 1076), tile},
		{"1:2", layout.Cover, 320, 180, image.Rect(0, 0, 319, 179), tile},
		{"no cheap ratio", layout.Cover, 854, 480, image.Rect(0, 0, 854, 479), tile},
		{"4:3 covers by cropping", layout.Cover, 640, 480, image.Rect(0, 60, 638, 418), tile},
		{"portrait covers by cropping", layout.Cover, 360, 640, image.Rect(0, 218, 360, 420), tile},
		{"fill stretches", layout.Fill, 640, 480, image.Rect(0, 0, 640, 480), tile},
		{"fill snaps", layout.Fill, 640, 360, image.Rect(0, 0, 638, 358), tile},
		{"contain leaves bars", layout.Contain, 640, 480, image.Rect(0, 0, 640, 480), image.Rect(720, 360, 1198, 718)},
		{"contain of the same shape", layout.Contain, 640, 360, image.Rect(0, 0, 638, 358), image.Rect(640, 360, 1278, 718)},
		{"unset covers", layout.Unset, 1280, 720, image.Rect(2, 2, 1278, 718), tile},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, dst := fit(c.mode, c.pw, c.ph, tile)
			if src != c.src || dst != c.dst {
				t.Errorf("%v to %v, want %v to %v", src, dst, c.src, c.dst)
			}
		})
	}
}

func TestFitProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pw, ph := rapid.IntRange(2, 4096).Draw(t, "pw"), rapid.IntRange(2, 4096).Draw(t, "ph")
		w, h := 2*rapid.IntRange(1, 960).Draw(t, "w/2"), 2*rapid.IntRange(1, 960).Draw(t, "h/2")
		mode := rapid.SampledFrom([]layout.FillMode{layout.Fill, layout.Cover, layout.Contain}).Draw(t, "mode")
		tile := image.Rect(2, 4, 2+w, 4+h)
		src, dst := fit(mode, pw, ph, tile)
		if !src.In(image.Rect(0, 0, pw, ph)) || src.Dx() < 2 || src.Dy() < 2 || (src.Min.X|src.Min.Y)&1 != 0 {
			t.Fatalf("source %v of %dx%d", src, pw, ph)
		}
		if !dst.In(tile) || dst.Empty() || (dst.Min.X|dst.Min.Y|dst.Max.X|dst.Max.Y)&1 != 0 {
			t.Fatalf("destination %v of %v", dst, tile)
		}
		// The shape is kept, but for rounding to whole pixels and the crop of snap.
		if mode != layout.Fill && min(src.Dx(), src.Dy(), dst.Dx(), dst.Dy()) > 100 {
			sx, sy := float64(dst.Dx())/float64(src.Dx()), float64(dst.Dy())/float64(src.Dy())
			if sx/sy > 1.06 || sy/sx > 1.06 {
				t.Fatalf("%v of %dx%d to %v: stretched by %.3f", src, pw, ph, dst, sx/sy)
			}
		}
		if mode == layout.Cover && dst != tile {
			t.Fatalf("%v does not cover %v", dst, tile)
		}
		if mode == layout.Contain && (src.Dx()*66 < pw*64 || src.Dy()*66 < ph*64) && min(pw, ph) > 130 {
			t.Fatalf("contain cuts %v out of %dx%d", src, pw, ph)
		}
	})
}
