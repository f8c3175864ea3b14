package video

import (
	"image"
	"image/color"
	"math"

	"github.com/footlight-live/footlight/internal/composer/scene"
	"github.com/footlight-live/footlight/internal/composer/video/text"
)

// plates are the name plates of a look: names on rounded boxes. Lengths are in pixels of the canvas.
type plates struct {
	position   scene.Position
	size       float64 // of the letters, per em
	minHeight  int     // of a tile
	color      color.RGBA
	background color.RGBA // premultiplied by its opacity
}

func newPlates(p *scene.NamePlates, scale float64) *plates {
	fade := func(v uint8) uint8 { return uint8(float64(v)*p.Opacity + 0.5) }
	b := p.Background
	return &plates{
		position:   p.Position,
		size:       max(8, float64(p.Size)*scale),
		minHeight:  int(float64(p.MinHeight)*scale + 0.5),
		color:      p.Color,
		background: color.RGBA{fade(b.R), fade(b.G), fade(b.B), fade(255)},
	}
}

// plateKey tells plates of one look apart.
type plateKey struct {
	name string
	room int // the most pixels that it may be wide
}

func (m *Mixer) drawPlate(name string, r image.Rectangle) {
	p := m.look.plates
	margin := even(p.size * 0.5)
	room := r.Dx() - 2*margin
	if name == "" || r.Dy() < p.minHeight || r.Dy() < p.height()+2*margin || float64(room) < 3*p.size {
		return
	}
	layer := m.plates.get(plateKey{name, room}, func() *image.RGBA { return p.plate(name, float64(room)) })
	if layer == nil {
		return
	}
	at := image.Pt(r.Min.X+margin, r.Max.Y-margin-layer.Height)
	switch p.position {
	case scene.TopLeft, scene.Top, scene.TopRight:
		at.Y = r.Min.Y + margin
	}
	switch p.position {
	case scene.Top, scene.Bottom:
		at.X = (r.Min.X + (r.Dx()-layer.Width)/2) &^ 1
	case scene.TopRight, scene.BottomRight:
		at.X = r.Max.X - margin - layer.Width
	}
	_ = m.canvas.DrawLayer(layer, at, r) // the only error is that of a closed canvas
}

func (p *plates) height() int { return even(p.size * 1.6) }

// plate draws a name, cut to what fits; nil when nothing of it can be seen.
func (p *plates) plate(name string, room float64) *image.RGBA {
	pad := p.size * 0.5
	line := text.Fit(name, p.size, room-2*pad)
	if line.Ink.Empty() || room < 2*pad+2 {
		return nil
	}
	img := image.NewRGBA(image.Rect(0, 0, min(even(room), even(line.Width+2*pad+1.5)), p.height()))
	if p.background.A > 0 {
		box(img, p.size*0.35, p.background)
	}
	// Capitals in the middle: names have few letters that hang down.
	line.Draw(img, pad, float64(img.Rect.Dy())/2+p.size*0.35, p.color)
	return img
}

// box fills the image with a colour, which is premultiplied, but for round corners.
func box(img *image.RGBA, radius float64, c color.RGBA) {
	w, h := float64(img.Rect.Dx()), float64(img.Rect.Dy())
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			px, py := float64(x)+0.5, float64(y)+0.5
			dx, dy := max(radius-px, px-(w-radius), 0), max(radius-py, py-(h-radius), 0)
			if inside := max(0, min(1, radius-math.Hypot(dx, dy)+0.5)); inside > 0 {
				blend(img, x, y, c, inside)
			}
		}
	}
}

func even(v float64) int { return int(v+0.5) &^ 1 }
