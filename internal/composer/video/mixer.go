// Package video draws the composite picture: tiles with pictures or placeholders on a canvas, and what a scene
// adds to them.
//
// Guarantees: Compose never fails and never blocks; it draws only what changed since the last call, and the
// canvas is nevertheless as if all had been drawn; a picture keeps its shape under COVER and CONTAIN to within
// 1/64 of each side; areas without tile are black, or show the scene's background.
package video

import (
	"fmt"
	"image"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/layout"
)

// Config is the size of the canvas.
type Config struct {
	Width, Height int // pixels, even
}

// Tile is one place on the canvas and what to show there. Later tiles cover earlier ones.
type Tile struct {
	Rect    layout.Rect
	Fill    layout.FillMode // Unset counts as Cover
	Picture *av.Picture     // nil: a placeholder
	Label   string          // of the placeholder, which shows its initial

	CornerRadius int    // pixels; what is below shows at the corners
	Name         string // of the name plate, where the look has them: scene.Scene.PlateName
	Speaking     bool   // a border, where the look has one
}

// Mixer draws tiles. It belongs to one goroutine.
type Mixer struct {
	canvas *av.Canvas
	look   *Look
	fresh  bool    // everything is to be drawn: there is another look, or nothing has been drawn yet
	last   []Tile  // what is on the canvas; its pictures are retained
	places []place // where the last tiles are
	dirty  []image.Rectangle
	badges cache[badgeKey]
	plates cache[plateKey]
	images cache[image.Point] // of placeholders that are images, by the size of the tile
}

// New returns a mixer with a black canvas.
func New(cfg Config) (*Mixer, error) {
	canvas, err := av.NewCanvas(cfg.Width, cfg.Height)
	if err != nil {
		return nil, fmt.Errorf("new video mixer: %w", err)
	}
	return &Mixer{canvas: canvas, look: &plain, fresh: true}, nil
}

// SetLook makes the next Compose draw everything anew with this look, which is for canvases of the mixer's size;
// nil is for none.
func (m *Mixer) SetLook(l *Look) {
	if l == nil {
		l = &plain
	}
	m.look, m.fresh = l, true
	m.plates, m.images = cache[plateKey]{}, cache[image.Point]{}
}

// Compose draws the tiles and returns the canvas, which is valid until Close and changes with the next
// Compose. The pictures remain the caller's; the mixer retains those it needs to tell changes. Rectangles
// are cut to the canvas and to even pixels, as layout.Compute makes them anyway.
func (m *Mixer) Compose(tiles []Tile) *av.Canvas {
	fresh := m.fresh || !m.samePlaces(tiles)
	if fresh {
		m.look.drawBackground(m.canvas, m.canvas.Bounds())
		m.settle(tiles)
	}
	// A tile is drawn when it changed, or when one below it is drawn.
	m.dirty = m.dirty[:0]
	for i := range tiles {
		p := &m.places[i]
		p.draw = !p.rect.Empty() && (fresh || !m.same(&tiles[i], &m.last[i]) || overlaps(p.rect, m.dirty))
		if p.draw {
			m.dirty = append(m.dirty, p.rect)
		}
	}
	if !fresh {
		for i := len(m.places) - 1; i >= 0; i-- {
			if p := &m.places[i]; p.draw {
				p.uncover(m.canvas)
			}
		}
	}
	for i := range tiles {
		if p := &m.places[i]; p.draw {
			m.draw(&tiles[i], p)
		}
	}
	if fresh {
		m.dirty = append(m.dirty[:0], m.canvas.Bounds())
	}
	m.look.drawOverlays(m.canvas, m.dirty)
	m.remember(tiles)
	m.fresh = false
	return m.canvas
}

// Reduced is the share of the canvas, 0 to 1, where the last Compose showed pictures smaller than they came. They have
// the finest detail that a canvas can show, and are the hardest to encode; pictures as they came or enlarged are softer.
func (m *Mixer) Reduced() float64 {
	pixels := 0
	for i := range m.places {
		pixels += m.places[i].reduced
	}
	return min(1, float64(pixels)/float64(m.canvas.Width*m.canvas.Height))
}

// Close gives back all pictures and the canvas.
func (m *Mixer) Close() {
	m.forget()
	m.canvas.Close()
}

// samePlaces tells whether the tiles have the places of the last time.
func (m *Mixer) samePlaces(tiles []Tile) bool {
	if len(tiles) != len(m.last) {
		return false
	}
	for i := range tiles {
		if tiles[i].Rect != m.last[i].Rect || tiles[i].CornerRadius != m.last[i].CornerRadius {
			return false
		}
	}
	return true
}

// settle makes the places anew.
func (m *Mixer) settle(tiles []Tile) {
	clear(m.places)
	m.places = m.places[:0]
	for i := range tiles {
		m.places = append(m.places, newPlace(m.rect(tiles[i].Rect), tiles[i].CornerRadius))
	}
}

// same tells whether two tiles of the same place look the same.
func (m *Mixer) same(a, b *Tile) bool {
	return a.Picture == b.Picture && a.Fill == b.Fill && (a.Picture != nil || a.Label == b.Label) &&
		(m.look.plates == nil || a.Name == b.Name) && (m.look.border == nil || a.Speaking == b.Speaking)
}

func overlaps(r image.Rectangle, others []image.Rectangle) bool {
	for _, o := range others {
		if r.Overlaps(o) {
			return true
		}
	}
	return false
}

// remember retains before it releases: most pictures are in both lists.
func (m *Mixer) remember(tiles []Tile) {
	for _, t := range tiles {
		if t.Picture != nil {
			t.Picture.Retain()
		}
	}
	m.forget()
	m.last = append(m.last, tiles...)
}

func (m *Mixer) forget() {
	for _, t := range m.last {
		t.Picture.Release()
	}
	clear(m.last)
	m.last = m.last[:0]
}

// rect cuts to the canvas and to even pixels.
func (m *Mixer) rect(r layout.Rect) image.Rectangle {
	out := image.Rect(r.X&^1, r.Y&^1, (r.X+r.W)&^1, (r.Y+r.H)&^1)
	return out.Intersect(m.canvas.Bounds())
}

// draw draws a tile with all that belongs to it.
func (m *Mixer) draw(t *Tile, p *place) {
	p.grab(m.canvas)
	p.reduced = 0
	if t.Picture == nil {
		m.drawPlaceholder(t.Label, p.rect)
	} else {
		m.drawPicture(t, p)
	}
	if m.look.plates != nil {
		m.drawPlate(t.Name, p.rect)
	}
	if m.look.border != nil && t.Speaking {
		m.look.border.draw(m.canvas, p)
	}
	p.cover(m.canvas)
}

func (m *Mixer) drawPicture(t *Tile, p *place) {
	src, dst := fit(t.Fill, t.Picture.Width, t.Picture.Height, p.rect)
	for _, bar := range around(p.rect, dst) {
		m.look.drawBar(m.canvas, bar)
	}
	if err := m.canvas.DrawPicture(t.Picture, src, dst); err != nil {
		// Only for lack of memory: fit keeps to the picture and to the tile.
		m.drawPlaceholder(t.Label, p.rect)
		return
	}
	if src.Dx() > dst.Dx() || src.Dy() > dst.Dy() {
		p.reduced = dst.Dx() * dst.Dy()
	}
}

// around returns what dst leaves of r.
func around(r, dst image.Rectangle) []image.Rectangle {
	if r == dst {
		return nil
	}
	return []image.Rectangle{
		image.Rect(r.Min.X, r.Min.Y, r.Max.X, dst.Min.Y),
		image.Rect(r.Min.X, dst.Max.Y, r.Max.X, r.Max.Y),
		image.Rect(r.Min.X, dst.Min.Y, dst.Min.X, dst.Max.Y),
		image.Rect(dst.Max.X, dst.Min.Y, r.Max.X, dst.Max.Y),
	}
}
