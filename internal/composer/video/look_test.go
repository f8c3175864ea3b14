package video

import (
	"image"
	"image/color"
	"testing"

	"golang.org/x/image/draw"
	"pgregory.net/rapid"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/scene"
)

// logo is a picture with transparent surroundings and a half transparent disc.
func logo() *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, 120, 80))
	disc(img, 60, 40, 36, 30, color.RGBA{0x80, 0x60, 0x10, 0x80}, nil)
	draw.Draw(img, image.Rect(40, 34, 80, 46), image.White, image.Point{}, draw.Src)
	return img
}

// wall is an opaque picture of another shape than any canvas.
func wall() *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, 200, 200))
	for y := range 200 {
		for x := range 200 {
			img.SetRGBA(x, y, color.RGBA{uint8(20 + x/4), uint8(30 + y/3), 90, 255})
		}
	}
	return img
}

const everythingJSON = `{
	"tiles": {"cornerRadius": 16, "color": "#202830"},
	"background": {"color": "#102040", "image": "wall"},
	"overlays": [
		{"id": "logo", "image": "logo", "x": 1060, "y": 30, "width": 180, "opacity": 0.8, "z": 2},
		{"id": "below", "image": "wall", "x": 900, "y": 60, "width": 240, "height": 40, "opacity": 0.5},
		{"text": "Live from 東京 🎉", "x": 500, "y": 640, "size": 44, "color": "#ffe0a0", "background": "#401020", "opacity": 0.9},
		{"image": "logo", "x": 0, "y": 0, "hidden": true}],
	"namePlates": {"minHeight": 40, "size": 30},
	"activeSpeaker": {"color": "#35c759", "width": 6}}`

func newLook(t testing.TB, w, h int, document string) *Look {
	t.Helper()
	s, err := scene.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewLook(Config{Width: w, Height: h}, s, map[string]image.Image{"logo": logo(), "wall": wall()})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// everything is a look with all that there is.
func everything(t testing.TB, w, h int) *Look { return newLook(t, w, h, everythingJSON) }

func TestGoldenScene(t *testing.T) {
	pics := map[string]*av.Picture{
		"ann": chart(t, 320, 180, 110, 150), "bob": chart(t, 160, 120, 150, 110), "cleo": chart(t, 90, 160, 100, 100),
	}
	ps := []layout.Participant{
		{ID: "ann", HasVideo: true, Joined: 1, Attributes: map[string]string{"name": "Ann 王小明 🎉"}},
		{ID: "bob", HasVideo: true, Joined: 2},
		{ID: "cleo", HasVideo: true, Joined: 3, Attributes: map[string]string{"p": "true", "username": "Cleo, whose name is far too long"}},
		{ID: "zoë", Joined: 4},
	}
	for name, cfg := range map[string]layout.Config{
		"scene-grid": {Gap: 12, Fill: layout.Contain, CornerRadius: 24},
		"scene-pip":  {Kind: layout.PIP, PIPAttribute: "p", PIPOffset: 10, PIPWidth: 240, PIPHeight: 160, CornerRadius: 24},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMixer(t, 640, 360)
			m.SetLook(everything(t, 640, 360))
			s := scene.Scene{NamePlates: &scene.NamePlates{}}
			var tiles []Tile
			for _, placed := range layout.Compute(cfg, layout.Size{W: 640, H: 360}, ps) {
				for i := range ps {
					if p := &ps[i]; p.ID == placed.ParticipantID {
						tiles = append(tiles, Tile{Rect: placed.Rect, Fill: placed.Fill, CornerRadius: placed.CornerRadius,
							Picture: pics[p.ID], Label: p.ID, Name: s.PlateName(p), Speaking: p.ID == "bob" || p.ID == "cleo"})
					}
				}
			}
			compareGolden(t, name, rgb(m.Compose(tiles)))
		})
	}
}

// TestBars: beside a picture that does not fill its tile there is the background, unless the scene has a colour for it;
// so too in a window above another tile, and after the picture has changed.
func TestBars(t *testing.T) {
	tall := chart(t, 90, 160, 120, 120)
	tiles := []Tile{
		{Rect: layout.Rect{W: 640, H: 360}, Picture: chart(t, 320, 180, 120, 120)},
		{Rect: layout.Rect{X: 300, Y: 100, W: 320, H: 180}, Fill: layout.Contain, Picture: tall},
	}
	at := image.Pt(310, 190) // in the window's left bar
	background := newMixer(t, 640, 360)
	for _, document := range []string{`{}`, `{"background":{"color":"#102040"}}`, `{"background":{"color":"#102040","image":"wall"}}`} {
		m := newMixer(t, 640, 360)
		m.SetLook(newLook(t, 640, 360, document))
		background.SetLook(newLook(t, 640, 360, document))
		want := lumaAt(background.Compose(nil), at)
		if got := lumaAt(m.Compose(tiles), at); got != want {
			t.Errorf("%s: luma %d, want %d", document, got, want)
		}
		tiles[1].Picture = chart(t, 90, 160, 160, 160)
		if got := lumaAt(m.Compose(tiles), at); got != want {
			t.Errorf("%s: luma %d after a change, want %d", document, got, want)
		}
		tiles[1].Picture = tall
	}
	m := newMixer(t, 640, 360)
	m.SetLook(newLook(t, 640, 360, `{"tiles":{"color":"#ffffff"},"background":{"color":"#102040","image":"wall"}}`))
	if got := lumaAt(m.Compose(tiles), at); got != 235 {
		t.Errorf("luma %d, want white", got)
	}
}

func lumaAt(c *av.Canvas, p image.Point) uint8 {
	plane, stride := c.Plane(0)
	return plane[p.Y*stride+p.X]
}

func TestLookDrawsOnlyWhatChanged(t *testing.T) {
	m := newMixer(t, 640, 360)
	m.SetLook(everything(t, 640, 360))
	a, b := chart(t, 320, 180, 90, 90), chart(t, 320, 180, 160, 160)
	tiles := []Tile{
		{Rect: layout.Rect{W: 318, H: 180}, Picture: a, CornerRadius: 16, Name: "Ann"},
		{Rect: layout.Rect{X: 320, W: 318, H: 180}, Picture: a, CornerRadius: 16, Name: "Bob"},
	}
	canvas := m.Compose(tiles)
	marks := []image.Point{{100, 100}, {400, 100}, {100, 300}} // in both tiles, and beside them
	for _, c := range []struct {
		what   string
		change func()
		drawn  [3]bool
	}{
		{"nothing", func() {}, [3]bool{}},
		{"a picture", func() { tiles[0].Picture = b }, [3]bool{true, false, false}},
		{"a name", func() { tiles[1].Name = "Bo" }, [3]bool{false, true, false}},
		{"a speaker", func() { tiles[1].Speaking = true }, [3]bool{false, true, false}},
		{"a radius", func() { tiles[1].CornerRadius = 8 }, [3]bool{true, true, true}},
		{"the look", func() { m.SetLook(nil) }, [3]bool{true, true, true}},
		{"a name without plates", func() { tiles[1].Name = "" }, [3]bool{}},
		{"a speaker without border", func() { tiles[1].Speaking = false }, [3]bool{}},
	} {
		for _, p := range marks {
			canvas.Fill(image.Rectangle{Min: p, Max: p.Add(image.Pt(2, 2))}, 99, 77, 55)
		}
		c.change()
		m.Compose(tiles)
		img := canvas.Image()
		for i, p := range marks {
			if drawn := img.YCbCrAt(p.X, p.Y) != (color.YCbCr{Y: 99, Cb: 77, Cr: 55}); drawn != c.drawn[i] {
				t.Errorf("%s changed: mark %d drawn: %v, want %v", c.what, i, drawn, c.drawn[i])
			}
		}
	}
}

func TestBackgroundShowsAtCorners(t *testing.T) {
	m := newMixer(t, 640, 360)
	m.SetLook(newLook(t, 640, 360, `{"background": {"color": "#3366cc"}}`))
	y, cb, cr := av.YCbCr709(color.RGBA{0x33, 0x66, 0xcc, 0xff})
	want := color.YCbCr{Y: y, Cb: cb, Cr: cr}
	tiles := []Tile{{Rect: layout.Rect{X: 100, Y: 60, W: 400, H: 240}, CornerRadius: 40}}
	pics := []*av.Picture{chart(t, 320, 180, 90, 90), chart(t, 320, 180, 160, 160)}
	for i := range 100 { // nothing adds up
		tiles[0].Picture = pics[i%2]
		m.Compose(tiles)
	}
	img := m.Compose(tiles).Image()
	for _, p := range []image.Point{{0, 0}, {100, 60}, {498, 60}, {100, 298}, {498, 298}, {104, 66}} {
		if got := img.YCbCrAt(p.X, p.Y); got != want {
			t.Errorf("at %v: %v, want %v", p, got, want)
		}
	}
	if got := img.YCbCrAt(120, 80); got == want {
		t.Error("the corner cuts too much away")
	}
}

// Overlays keep their shape, and their place relative to the middle, on a canvas of another shape.
func TestOverlayPlaces(t *testing.T) {
	for _, c := range []struct {
		name    string
		o       scene.Overlay
		w, h    int
		at      image.Point
		size    image.Point
		nowhere bool
	}{
		{name: "own size", o: scene.Overlay{X: 10, Y: 20}, w: 1280, h: 720, at: image.Pt(10, 20), size: image.Pt(200, 200)},
		{name: "half", o: scene.Overlay{X: 100, Y: 20, Width: 100, Height: 60}, w: 640, h: 360, at: image.Pt(50, 10), size: image.Pt(50, 30)},
		{name: "by width", o: scene.Overlay{Width: 100}, w: 1280, h: 720, size: image.Pt(100, 100)},
		{name: "by height", o: scene.Overlay{Height: 50}, w: 1280, h: 720, size: image.Pt(50, 50)},
		{name: "portrait", o: scene.Overlay{X: 1080, Y: 260, Width: 200, Height: 200}, w: 720, h: 1280, at: image.Pt(608, 584), size: image.Pt(112, 112)},
		{name: "over the edge", o: scene.Overlay{X: -50, Y: 700, Width: 100, Height: 100}, w: 1280, h: 720, at: image.Pt(0, 700), size: image.Pt(50, 20)},
		{name: "beyond", o: scene.Overlay{X: 1280, Width: 100}, w: 1280, h: 720, nowhere: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Opacity = 1
			got, ok := newImage(&c.o, wall(), sizes{c.w, c.h, 1280, 720})
			if ok == c.nowhere {
				t.Fatalf("seen: %v", ok)
			}
			if ok && (got.at != c.at || got.layer.Width != c.size.X || got.layer.Height != c.size.Y) {
				t.Errorf("%dx%d at %v, want %v at %v", got.layer.Width, got.layer.Height, got.at, c.size, c.at)
			}
		})
	}
}

func TestTextPlaces(t *testing.T) {
	for _, c := range []struct {
		name    string
		o       scene.Overlay
		most    int // pixels wide
		nowhere bool
	}{
		{name: "short", o: scene.Overlay{Text: "Live", X: 100, Y: 50, Size: 40}, most: 120},
		{name: "cut to its width", o: scene.Overlay{Text: "A very long text indeed", X: 100, Width: 200, Size: 40}, most: 200},
		{name: "cut at the edge", o: scene.Overlay{Text: "A very long text indeed", X: 1100, Size: 40}, most: 180},
		{name: "no room", o: scene.Overlay{Text: "Live", X: 1279, Size: 40}, nowhere: true},
		{name: "beyond", o: scene.Overlay{Text: "Live", Y: 3000, Size: 40}, nowhere: true},
		{name: "nothing to see", o: scene.Overlay{Text: " \t ", Size: 40}, nowhere: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Opacity, c.o.Color = 1, color.RGBA{255, 255, 255, 255}
			got, ok := newText(&c.o, nil, sizes{1280, 720, 1280, 720})
			if ok == c.nowhere {
				t.Fatalf("seen: %v", ok)
			}
			if ok && (got.layer.Width > c.most || got.at.X < c.o.X || got.at.X > c.o.X+40 || (got.at.X|got.at.Y)&1 != 0) {
				t.Errorf("%d wide at %v", got.layer.Width, got.at)
			}
		})
	}
}

func TestNewLookNamesTheMissingImage(t *testing.T) {
	s, err := scene.Parse([]byte(`{"background":{"image":"nowhere"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewLook(Config{64, 64}, s, nil); err == nil {
		t.Error("no error")
	}
}

// Whatever the rectangles, the pieces cover the same pixels, each once.
func TestDisjoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []image.Rectangle
		for range rapid.IntRange(0, 6).Draw(t, "n") {
			x, y := rapid.IntRange(0, 20).Draw(t, "x"), rapid.IntRange(0, 20).Draw(t, "y")
			all = append(all, image.Rect(x, y, x+rapid.IntRange(1, 20).Draw(t, "w"), y+rapid.IntRange(1, 20).Draw(t, "h")))
		}
		var want, got [40][40]int
		for _, r := range all {
			for y := r.Min.Y; y < r.Max.Y; y++ {
				for x := r.Min.X; x < r.Max.X; x++ {
					want[y][x] = 1
				}
			}
		}
		for _, r := range disjoint(all) {
			for y := r.Min.Y; y < r.Max.Y; y++ {
				for x := r.Min.X; x < r.Max.X; x++ {
					got[y][x]++
				}
			}
		}
		if got != want {
			t.Fatalf("%v gives %v", all, disjoint(all))
		}
	})
}
