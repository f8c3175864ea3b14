package video

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/layout"
)

var update = flag.Bool("update", false, "write the golden pictures in testdata anew")

// chart returns a picture by which shape, orientation and cropping can be told: a border, a disc in the
// middle, a bright corner and a colour.
func chart(t *testing.T, w, h int, cb, cr uint8) *av.Picture {
	t.Helper()
	img := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	for y := range h {
		for x := range w {
			v := uint8(60 + 100*x/w)
			dx, dy := x-w/2, y-h/2
			switch {
			case x < 8 || y < 8 || x >= w-8 || y >= h-8:
				v = 235
			case dx*dx+dy*dy < h*h/9:
				v = 30
			case x < w/4 && y < h/4:
				v = 210
			}
			img.Y[y*img.YStride+x] = v
		}
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = cb, cr
	}
	p, err := av.NewPicture(img, false, av.BT709)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Release)
	return p
}

// rgb converts the canvas as a player would: BT.709, limited range.
func rgb(c *av.Canvas) *image.RGBA {
	img := image.NewRGBA(c.Bounds())
	in := c.Image()
	clamp := func(v float64) uint8 { return uint8(max(0, min(255, v+0.5))) }
	for y := range c.Height {
		for x := range c.Width {
			p := in.YCbCrAt(x, y)
			l := 1.16438 * (float64(p.Y) - 16)
			u, v := float64(p.Cb)-128, float64(p.Cr)-128
			img.SetRGBA(x, y, color.RGBA{clamp(l + 1.79274*v), clamp(l - 0.21325*u - 0.53291*v), clamp(l + 2.11240*u), 255})
		}
	}
	return img
}

// compareGolden allows for small differences between vector implementations.
func compareGolden(t *testing.T, name string, got *image.RGBA) {
	t.Helper()
	path := filepath.Join("testdata", name+".png")
	if *update {
		var buf bytes.Buffer
		if err := png.Encode(&buf, got); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds() != got.Bounds() {
		t.Fatalf("%s: %v, golden %v", name, got.Bounds(), img.Bounds())
	}
	var sum, worst int
	for y := range got.Bounds().Dy() {
		for x := range got.Bounds().Dx() {
			a, b := got.RGBAAt(x, y), color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)
			for _, d := range [3]int{int(a.R) - int(b.R), int(a.G) - int(b.G), int(a.B) - int(b.B)} {
				d = max(d, -d)
				sum, worst = sum+d, max(worst, d)
			}
		}
	}
	if mean := float64(sum) / float64(3*got.Bounds().Dx()*got.Bounds().Dy()); mean > 0.2 || worst > 24 {
		t.Errorf("%s: differs by %.3f in the mean, %d at worst", name, mean, worst)
	}
}

func newMixer(t *testing.T, w, h int) *Mixer {
	t.Helper()
	m, err := New(Config{Width: w, Height: h})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// tilesOf puts pictures and labels into the tiles of a layout.
func tilesOf(cfg layout.Config, size layout.Size, pics map[string]*av.Picture, ps []layout.Participant) []Tile {
	var tiles []Tile
	for _, t := range layout.Compute(cfg, size, ps) {
		tiles = append(tiles, Tile{Rect: t.Rect, Fill: t.Fill, Picture: pics[t.ParticipantID], Label: t.ParticipantID})
	}
	return tiles
}

func TestGoldenPictures(t *testing.T) {
	pics := map[string]*av.Picture{
		"ann":  chart(t, 320, 180, 110, 150),
		"bob":  chart(t, 160, 120, 150, 110),
		"cleo": chart(t, 90, 160, 100, 100),
	}
	ps := []layout.Participant{
		{ID: "ann", HasVideo: true, Joined: 1, VideoWidth: 320, VideoHeight: 180, Attributes: map[string]string{"f": "true"}},
		{ID: "bob", HasVideo: true, Joined: 2, VideoWidth: 160, VideoHeight: 120},
		{ID: "cleo", HasVideo: true, Joined: 3, VideoWidth: 90, VideoHeight: 160, Attributes: map[string]string{"p": "true"}},
		{ID: "zoë", Joined: 4},
	}
	size := layout.Size{W: 640, H: 360}
	for name, cfg := range map[string]layout.Config{
		"grid-cover":   {Gap: 2},
		"grid-contain": {Gap: 2, Fill: layout.Contain},
		"grid-fill":    {Gap: 8, Fill: layout.Fill},
		"featured":     {Gap: 2, FeaturedAttribute: "f"},
		"pip":          {Kind: layout.PIP, PIPAttribute: "p", FeaturedAttribute: "f", PIPOffset: 10, Fill: layout.Cover},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMixer(t, size.W, size.H)
			compareGolden(t, name, rgb(m.Compose(tilesOf(cfg, size, pics, ps))))
		})
	}
}

func TestGoldenPlaceholders(t *testing.T) {
	m := newMixer(t, 640, 360)
	var tiles []Tile
	for i, label := range []string{"ann", "  émile", "жанна", "7up", "王", "", "…", "Quentin", "bob"} {
		tiles = append(tiles, Tile{Rect: layout.Rect{X: i % 3 * 214, Y: i / 3 * 120, W: 210, H: 118}, Label: label})
	}
	compareGolden(t, "placeholders", rgb(m.Compose(tiles)))
}
