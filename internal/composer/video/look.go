package video

import (
	"cmp"
	"fmt"
	"image"
	"image/color"

	"golang.org/x/image/draw"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/scene"
)

// Look is a scene made ready for one canvas. It can be made on any goroutine, which takes some tens of
// milliseconds with large images, and put on at a frame boundary, which takes none. It belongs to one mixer.
type Look struct {
	color            paint
	background       *av.Layer // of the size of the canvas; nil: color
	bars             *paint    // where a picture leaves its tile free; nil: background or color
	placeholder      paint
	placeholderImage *image.RGBA // nil: none
	overlays         []overlay   // in drawing order
	plates           *plates     // nil: none
	border           *border     // nil: none
}

// overlay is an image at its place.
type overlay struct {
	layer *av.Layer
	at    image.Point // even
}

// paint is a colour as it is on a canvas.
type paint struct{ y, cb, cr uint8 }

func paintOf(c color.RGBA) paint {
	y, cb, cr := av.YCbCr709(c)
	return paint{y, cb, cr}
}

func (p paint) fill(c *av.Canvas, r image.Rectangle) { c.Fill(r, p.y, p.cb, p.cr) }

var black = paintOf(color.RGBA{A: 0xff})

// plain is the look without scene.
var plain = Look{color: black, placeholder: paintOf(darkGrey)}

// NewLook prepares a scene for canvases of the size of cfg. images are those that scene.DecodeImages returns.
// Errors name the image that is missing.
func NewLook(cfg Config, s scene.Scene, images map[string]image.Image) (*Look, error) {
	for _, name := range s.Images {
		if images[name] == nil {
			return nil, fmt.Errorf("new look: there is no image %q", name)
		}
	}
	l := plain
	sizes := sizes{cfg.Width, cfg.Height, cmp.Or(s.Reference.W, 1280), cmp.Or(s.Reference.H, 720)}
	if s.Background.Color.A != 0 {
		l.color = paintOf(s.Background.Color)
	}
	if s.TileColor.A != 0 {
		l.bars = new(paintOf(s.TileColor))
	}
	if s.Background.Image != "" {
		// What is transparent in the image shows the colour.
		under := image.NewRGBA(image.Rect(0, 0, cfg.Width, cfg.Height))
		colour := s.Background.Color
		colour.A = 255
		draw.Draw(under, under.Rect, image.NewUniform(colour), image.Point{}, draw.Src)
		draw.Draw(under, under.Rect, coverWith(images[s.Background.Image], under.Rect.Max), image.Point{}, draw.Over)
		var err error
		if l.background, err = av.NewLayer(under); err != nil {
			return nil, fmt.Errorf("new look: background: %w", err)
		}
	}
	if s.Placeholder.Color.A != 0 {
		l.placeholder = paintOf(s.Placeholder.Color)
	}
	if name := s.Placeholder.Image; name != "" {
		l.placeholderImage = shrunk(images[name], cfg.Width, cfg.Height)
	}
	for _, o := range s.Overlays {
		ready := newImage
		if o.Text != "" {
			ready = newText
		}
		if placed, ok := ready(&o, images[o.Image], sizes); ok {
			l.overlays = append(l.overlays, placed)
		}
	}
	if s.NamePlates != nil {
		l.plates = newPlates(s.NamePlates, sizes.scale())
	}
	if a := s.ActiveSpeaker; a != nil {
		l.border = &border{color: a.Color, paint: paintOf(a.Color), width: max(2, even(float64(a.Width)*sizes.scale()))}
	}
	return &l, nil
}

// sizes are those of a canvas and of the reference of a document.
type sizes struct{ width, height, refWidth, refHeight int }

// scale is for lengths without direction.
func (s sizes) scale() float64 {
	return min(float64(s.width)/float64(s.refWidth), float64(s.height)/float64(s.refHeight))
}

// box brings a rectangle to the canvas. Its middle keeps its place relative to both sides, and its shape stays
// as it is on a canvas of any shape.
func (s sizes) box(x, y, w, h float64) image.Rectangle {
	k := s.scale()
	cx, cy := (x+w/2)*float64(s.width)/float64(s.refWidth), (y+h/2)*float64(s.height)/float64(s.refHeight)
	at := image.Pt(even(cx-w*k/2), even(cy-h*k/2))
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(max(2, even(w*k)), max(2, even(h*k))))}
}

// newImage scales an image to its size on the canvas. It tells whether anything of it can be seen.
func newImage(o *scene.Overlay, img image.Image, s sizes) (overlay, bool) {
	b := img.Bounds()
	w, h := float64(o.Width), float64(o.Height)
	shape := float64(b.Dx()) / float64(b.Dy())
	switch {
	case w == 0 && h == 0:
		w, h = float64(b.Dx()), float64(b.Dy())
	case w == 0:
		w = h * shape
	case h == 0:
		h = w / shape
	}
	at := s.box(float64(o.X), float64(o.Y), w, h)
	seen := at.Intersect(image.Rect(0, 0, s.width, s.height))
	if seen.Empty() {
		return overlay{}, false
	}
	// Only what lies on the canvas is made.
	out := image.NewRGBA(seen)
	draw.CatmullRom.Scale(out, at, img, b, draw.Over, nil)
	return layerOf(out, o.Opacity)
}

// newText draws a line of text. It tells whether anything of it can be seen.
func newText(o *scene.Overlay, _ image.Image, s sizes) (overlay, bool) {
	room := o.Width
	if room == 0 {
		room = s.refWidth - o.X
	}
	k := s.scale()
	p := plates{size: float64(o.Size) * k, color: o.Color, background: o.Background}
	img := p.plate(o.Text, min(float64(room)*k, float64(s.width)))
	if img == nil {
		return overlay{}, false
	}
	at := s.box(float64(o.X), float64(o.Y), float64(img.Rect.Dx())/k, float64(img.Rect.Dy())/k).Min
	img.Rect = img.Rect.Add(at)
	seen := img.Rect.Intersect(image.Rect(0, 0, s.width, s.height))
	if seen.Empty() {
		return overlay{}, false
	}
	return layerOf(img.SubImage(seen).(*image.RGBA), o.Opacity)
}

// layerOf makes a layer of an image where the image lies, on even pixels and on the canvas.
func layerOf(img *image.RGBA, opacity float64) (overlay, bool) {
	for y := img.Rect.Min.Y; y < img.Rect.Max.Y; y++ {
		row := img.Pix[img.PixOffset(img.Rect.Min.X, y):][:4*img.Rect.Dx()]
		for i, v := range row {
			row[i] = uint8(float64(v)*opacity + 0.5)
		}
	}
	part := opaquePart(img)
	layer, err := av.NewLayer(img.SubImage(part).(*image.RGBA))
	return overlay{layer, part.Min}, err == nil
}

// opaquePart is the part of the image where anything can be seen, on even pixels: logos often lie on large
// transparent pictures.
func opaquePart(img *image.RGBA) image.Rectangle {
	part := image.Rectangle{}
	for y := img.Rect.Min.Y; y < img.Rect.Max.Y; y++ {
		row := img.Pix[img.PixOffset(img.Rect.Min.X, y):][:4*img.Rect.Dx()]
		first, last := -1, -1
		for x := 3; x < len(row); x += 4 {
			if row[x] != 0 {
				if first < 0 {
					first = x / 4
				}
				last = x / 4
			}
		}
		if first >= 0 {
			part = part.Union(image.Rect(img.Rect.Min.X+first, y, img.Rect.Min.X+last+1, y+1))
		}
	}
	part.Min.X, part.Min.Y = part.Min.X&^1, part.Min.Y&^1
	part.Max.X, part.Max.Y = (part.Max.X+1)&^1, (part.Max.Y+1)&^1
	return part.Intersect(img.Rect)
}

// shrunk returns an image as RGBA, not larger than a canvas needs that it covers.
func shrunk(img image.Image, w, h int) *image.RGBA {
	b := img.Bounds()
	k := min(1, max(float64(w)/float64(b.Dx()), float64(h)/float64(b.Dy())))
	out := image.NewRGBA(image.Rect(0, 0, max(1, int(float64(b.Dx())*k)), max(1, int(float64(b.Dy())*k))))
	draw.CatmullRom.Scale(out, out.Rect, img, b, draw.Src, nil)
	return out
}

// drawBackground draws what of the background lies in r, which is even.
func (l *Look) drawBackground(c *av.Canvas, r image.Rectangle) {
	if l.background == nil {
		l.color.fill(c, r)
		return
	}
	_ = c.DrawLayer(l.background, image.Point{}, r) // the only error is that of a closed canvas
}

// drawBar draws a part of a tile that its picture leaves free.
func (l *Look) drawBar(c *av.Canvas, r image.Rectangle) {
	if l.bars == nil {
		l.drawBackground(c, r)
		return
	}
	l.bars.fill(c, r)
}

// drawOverlays draws the overlays over the parts of the canvas that were drawn anew, over each pixel once.
func (l *Look) drawOverlays(c *av.Canvas, drawn []image.Rectangle) {
	if len(l.overlays) == 0 {
		return
	}
	for _, r := range disjoint(drawn) {
		for _, o := range l.overlays {
			_ = c.DrawLayer(o.layer, o.at, r)
		}
	}
}

// disjoint cuts rectangles so that they cover the same and do not overlap.
func disjoint(all []image.Rectangle) []image.Rectangle {
	var out []image.Rectangle
	for i, r := range all {
		rest := []image.Rectangle{r}
		for _, before := range all[:i] {
			var next []image.Rectangle
			for _, piece := range rest {
				shared := piece.Intersect(before)
				if shared.Empty() {
					next = append(next, piece)
					continue
				}
				for _, p := range around(piece, shared) {
					if !p.Empty() {
						next = append(next, p)
					}
				}
			}
			rest = next
		}
		out = append(out, rest...)
	}
	return out
}
