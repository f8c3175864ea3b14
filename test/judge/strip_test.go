package judge

import (
	"image"
	"image/color"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/image/draw"

	"github.com/footlight-live/footlight/internal/synth/signal"
)

var when = time.UnixMilli(1764000012345)

// paint draws a participant's picture as a player would show it, in RGBA.
func paint(t testing.TB, index, width, height int, at time.Time) *image.RGBA {
	t.Helper()
	painter, err := signal.NewPainter(index, "Participant", width, height)
	if err != nil {
		t.Fatal(err)
	}
	frame := painter.NewFrame()
	painter.Draw(frame, at)
	return signal.ToRGBA(frame)
}

// show scales the part of the picture that remains after cropping into the tile of a canvas.
func show(canvas *image.RGBA, tile image.Rectangle, picture *image.RGBA, left, top, right, bottom float64) {
	size := picture.Rect.Size()
	from := image.Rect(int(left*float64(size.X)), int(top*float64(size.Y)),
		int((1-right)*float64(size.X)), int((1-bottom)*float64(size.Y)))
	draw.ApproxBiLinear.Scale(canvas, tile, picture, from, draw.Src, nil)
}

func TestReadStripScaledAndCropped(t *testing.T) {
	picture := paint(t, 7, 640, 360, when)
	for _, size := range []image.Point{{1280, 720}, {638, 358}, {424, 238}, {320, 180}, {318, 178}} {
		for _, crop := range [][4]float64{{}, {0.01, 0.01, 0.01, 0.01}, {0.02, 0.02, 0.02, 0.02}, {0.02, 0, 0, 0}, {0, 0.02, 0, 0}, {0, 0, 0.02, 0.02}} {
			canvas := image.NewRGBA(image.Rect(0, 0, 1280, 720))
			tile := image.Rectangle{Max: size}
			if size.X < 1280 {
				tile = tile.Add(image.Pt(101, 53))
			}
			show(canvas, tile, picture, crop[0], crop[1], crop[2], crop[3])
			index, ms, ok := ReadStrip(canvas, tile)
			if !ok || index != 7 || ms != when.UnixMilli() {
				t.Errorf("%v cropped %v: read %d, %d, %v", size, crop, index, ms, ok)
			}
		}
	}
}

func TestReadStripInOtherShapes(t *testing.T) {
	picture := paint(t, 3, 640, 360, when)
	for _, tile := range []image.Rectangle{image.Rect(100, 50, 460, 410), image.Rect(10, 0, 280, 360)} { // 1:1 and 3:4
		canvas := image.NewRGBA(image.Rect(0, 0, 1280, 720))
		whole := Cover(tile, 640, 360)
		shown := image.NewRGBA(whole)
		draw.ApproxBiLinear.Scale(shown, whole, picture, picture.Rect, draw.Src, nil)
		draw.Draw(canvas, tile, shown, tile.Min, draw.Src)
		if index, ms, ok := ReadStrip(canvas, whole); !ok || index != 3 || ms != when.UnixMilli() {
			t.Errorf("%v: read %d, %d, %v", tile, index, ms, ok)
		}
		if _, _, ok := ReadStrip(canvas, whole.Add(image.Pt(2000, 0))); ok {
			t.Errorf("%v: a strip is read outside the picture", tile)
		}
	}
	if got, want := Contain(image.Rect(0, 0, 400, 400), 640, 360), image.Rect(0, 87, 400, 312); got != want {
		t.Errorf("contained in %v; want %v", got, want)
	}
}

func TestReadStripFindsNoneInOtherPictures(t *testing.T) {
	rect := image.Rect(0, 0, 320, 180)
	random := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 2000 {
		noise := image.NewGray(rect)
		size := 1 + random.IntN(12) // coarse noise looks more like cells than fine noise does
		for y := range 180 {
			for x := range 320 {
				if x%size != 0 && y%size == 0 {
					noise.SetGray(x, y, noise.GrayAt(x-1, y))
				} else if y%size != 0 {
					noise.SetGray(x, y, noise.GrayAt(x, y-1))
				} else {
					noise.SetGray(x, y, color.Gray{Y: uint8(255 * random.IntN(2))})
				}
			}
		}
		if _, _, ok := ReadStrip(noise, rect); ok {
			found++
		}
	}
	if found > 0 {
		t.Errorf("%d strips read from noise", found)
	}
	if _, _, ok := ReadStrip(image.NewGray(rect), rect); ok {
		t.Error("a strip is read from a black picture")
	}
	if _, _, ok := ReadStrip(image.NewGray(image.Rectangle{}), image.Rectangle{}); ok {
		t.Error("a strip is read from an empty picture")
	}
}

func TestReadLamp(t *testing.T) {
	for _, test := range []struct {
		after time.Duration
		lit   bool
	}{{0, true}, {90 * time.Millisecond, true}, {110 * time.Millisecond, false}, {500 * time.Millisecond, false}} {
		for index := range signal.Participants {
			picture := paint(t, index, 320, 180, when.Truncate(time.Second).Add(test.after))
			if lit := readLamp(signal.Luma(picture, picture.Rect), picture.Rect); lit != test.lit {
				t.Errorf("participant %d after %v: lit = %v", index, test.after, lit)
			}
		}
	}
}

func FuzzReadStrip(f *testing.F) {
	f.Add([]byte{0, 255, 3}, 320, 180, 0, 0)
	f.Fuzz(func(t *testing.T, pix []byte, width, height, x, y int) {
		img := image.NewGray(image.Rect(0, 0, 64, 36))
		copy(img.Pix, pix)
		rect := image.Rect(x%2000, y%2000, x%2000+width%2000, y%2000+height%2000)
		ReadStrip(img, rect)
		readLamp(signal.Luma(img, rect), rect)
	})
}

func BenchmarkReadStrip(b *testing.B) {
	picture := paint(b, 1, 318, 178, when)
	gray := image.NewGray(picture.Rect)
	draw.Draw(gray, gray.Rect, picture, image.Point{}, draw.Src)
	for b.Loop() {
		ReadStrip(gray, gray.Rect)
	}
}
