package video

import (
	"bytes"
	"image"
	"testing"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/layout"
	"pgregory.net/rapid"
)

// planes copies the canvas, so that two can be compared.
func planes(c *av.Canvas) []byte {
	img := c.Image()
	return bytes.Join([][]byte{img.Y, img.Cb, img.Cr}, nil)
}

func TestComposeDrawsOnlyWhatChanged(t *testing.T) {
	m := newMixer(t, 640, 360)
	a, b := chart(t, 320, 180, 90, 90), chart(t, 320, 180, 160, 160)
	left, right := layout.Rect{X: 0, Y: 0, W: 318, H: 180}, layout.Rect{X: 320, Y: 0, W: 318, H: 180}
	tiles := []Tile{{Rect: left, Picture: a}, {Rect: right, Label: "ann"}}
	canvas := m.Compose(tiles)

	mark := func() {
		canvas.Fill(image.Rect(10, 10, 12, 12), 99, 128, 128)
		canvas.Fill(image.Rect(330, 10, 332, 12), 99, 128, 128)
	}
	marked := func(x int) bool { return canvas.Image().YCbCrAt(x, 10).Y == 99 }
	check := func(what string, leftDrawn, rightDrawn bool) {
		t.Helper()
		m.Compose(tiles)
		if marked(10) == leftDrawn || marked(330) == rightDrawn {
			t.Errorf("%s: left drawn %v, right drawn %v; want %v, %v", what, !marked(10), !marked(330), leftDrawn, rightDrawn)
		}
		mark()
	}
	mark()
	check("nothing changed", false, false)
	tiles[0].Picture = b
	check("new picture", true, false)
	tiles[1].Label = "bob"
	check("new label", false, true)
	tiles[0].Label = "hidden behind the picture"
	check("label that does not show", false, false)
	tiles[0].Fill = layout.Contain
	check("new fill mode", true, false)
	tiles[1].Picture = a
	check("picture for a placeholder", false, true)
	tiles[1].Rect.W = 300
	check("new place", true, true)
	tiles = tiles[:1]
	m.Compose(tiles)
	if y := canvas.Image().YCbCrAt(330, 10).Y; y != 16 {
		t.Errorf("where a tile left, luma is %d, want black", y)
	}
}

func TestReduced(t *testing.T) {
	m := newMixer(t, 640, 360)
	small, large := chart(t, 320, 180, 90, 90), chart(t, 640, 360, 90, 90)
	left, right := layout.Rect{W: 318, H: 180}, layout.Rect{X: 320, W: 318, H: 180}
	const quarter = 318. * 180 / (640 * 360)
	for _, step := range []struct {
		what  string
		tiles []Tile
		want  float64
	}{
		{"nobody", nil, 0},
		{"as it came, but for its edge", []Tile{{Rect: left, Picture: small}}, 0},
		{"enlarged", []Tile{{Rect: layout.Rect{W: 640, H: 360}, Picture: small}}, 0},
		{"one as it came, one halved", []Tile{{Rect: left, Picture: small}, {Rect: right, Picture: large}}, quarter},
		{"the other is drawn again", []Tile{{Rect: left}, {Rect: right, Picture: large}}, quarter},
		{"muted", []Tile{{Rect: left}, {Rect: right}}, 0},
		{"reduced within bars", []Tile{{Rect: left, Picture: large, Fill: layout.Contain}}, quarter},
		{"gone", nil, 0},
	} {
		m.Compose(step.tiles)
		if got := m.Reduced(); got != step.want {
			t.Errorf("%s: %v, want %v", step.what, got, step.want)
		}
	}
}

// However the tiles came to be, the canvas shows what a new mixer would draw.
func TestComposeIsWithoutHistory(t *testing.T) {
	pics := []*av.Picture{
		nil, chart(t, 320, 180, 90, 90), chart(t, 64, 64, 160, 90), chart(t, 33, 71, 90, 160), chart(t, 640, 360, 128, 128),
	}
	looks := []*Look{nil, everything(t, 320, 180)}
	rapid.Check(t, func(rt *rapid.T) {
		m := newMixer(t, 320, 180)
		defer m.Close()
		var tiles []Tile
		var look *Look
		for range 5 {
			if rapid.IntRange(0, 3).Draw(rt, "look") == 0 {
				look = rapid.SampledFrom(looks).Draw(rt, "which")
				m.SetLook(look)
			}
			if len(tiles) == 0 || rapid.IntRange(0, 3).Draw(rt, "move") == 0 {
				tiles = make([]Tile, rapid.IntRange(0, 4).Draw(rt, "tiles"))
			}
			for i := range tiles {
				if tiles[i].Rect.W == 0 {
					tiles[i].Rect = layout.Rect{
						X: rapid.IntRange(-20, 330).Draw(rt, "x"), Y: rapid.IntRange(-20, 190).Draw(rt, "y"),
						W: rapid.IntRange(1, 330).Draw(rt, "w"), H: rapid.IntRange(1, 200).Draw(rt, "h"),
					}
					tiles[i].CornerRadius = rapid.SampledFrom([]int{0, 0, 2, 13, 40, 300}).Draw(rt, "radius")
				}
				if rapid.Bool().Draw(rt, "change") {
					tiles[i].Picture = rapid.SampledFrom(pics).Draw(rt, "picture")
					tiles[i].Label = rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, "label")
					tiles[i].Name = rapid.SampledFrom([]string{"", "Ann", "Bob with a very long name indeed"}).Draw(rt, "name")
					tiles[i].Speaking = rapid.Bool().Draw(rt, "speaking")
					tiles[i].Fill = rapid.SampledFrom([]layout.FillMode{layout.Unset, layout.Fill, layout.Cover, layout.Contain}).Draw(rt, "fill")
				}
			}
			fresh := newMixer(t, 320, 180)
			fresh.SetLook(look)
			if !bytes.Equal(planes(m.Compose(tiles)), planes(fresh.Compose(tiles))) {
				rt.Fatalf("differs from a new mixer: %+v", tiles)
			}
			fresh.Close()
		}
	})
}

func TestCloseGivesPicturesBack(t *testing.T) {
	img := image.NewYCbCr(image.Rect(0, 0, 16, 16), image.YCbCrSubsampleRatio420)
	p, err := av.NewPicture(img, false, av.BT709)
	if err != nil {
		t.Fatal(err)
	}
	m := newMixer(t, 64, 64)
	for range 3 {
		m.Compose([]Tile{{Rect: layout.Rect{W: 64, H: 64}, Picture: p}})
	}
	p.Release()
	m.Compose([]Tile{{Rect: layout.Rect{W: 32, H: 64}, Picture: p.Retain()}})
	p.Release()
	m.Close()
	defer func() {
		if recover() == nil {
			t.Error("the picture is still alive after Close")
		}
	}()
	p.Retain()
}

func TestCacheIsBounded(t *testing.T) {
	var c cache[int]
	made := 0
	get := func(size int) *av.Layer {
		return c.get(size, func() *image.RGBA { made++; return image.NewRGBA(image.Rect(0, 0, size, size)) })
	}
	for size := 2; size < 400; size += 2 {
		get(size)
	}
	if len(c.layers) > maxCached || len(c.order) > maxCached {
		t.Errorf("%d layers, %d keys", len(c.layers), len(c.order))
	}
	made = 0
	if first, again := get(100), get(100); first != again || made != 1 {
		t.Errorf("made %d times", made)
	}
	if c.get(0, func() *image.RGBA { return nil }) != nil {
		t.Error("a layer of no image")
	}
}
