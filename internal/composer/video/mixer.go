// Package video draws the composite picture: tiles with pictures or placeholders on a canvas.
//
// Guarantees: Compose never fails and never blocks; it draws only what changed since the last call; a
// picture keeps its shape under COVER and CONTAIN to within 1/64 of each side; areas without tile are black.
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
	last   []Tile // what is on the canvas; its pictures are retained
	badges badges
	look   *Look // nil: none
}

// New returns a mixer with a black canvas.
func New(cfg Config) (*Mixer, error) {
	canvas, err := av.NewCanvas(cfg.Width, cfg.Height)
	if err != nil {
		return nil, fmt.Errorf("new video mixer: %w", err)
	}
	return &Mixer{canvas: canvas}, nil
}

// SetLook makes the next Compose draw everything anew with this look, which is for canvases of the mixer's size;
// nil is for none.
func (m *Mixer) SetLook(l *Look) { m.look = l }

// Compose draws the tiles and returns the canvas, which is valid until Close and changes with the next
// Compose. The pictures remain the caller's; the mixer retains those it needs to tell changes. Rectangles
// are cut to the canvas and to even pixels, as layout.Compute makes them anyway.
func (m *Mixer) Compose(tiles []Tile) *av.Canvas {
	if !m.sameRects(tiles) {
		m.canvas.Fill(m.canvas.Bounds(), 16, 128, 128)
		m.forget()
	}
	var drawn []image.Rectangle // this time
	for i := range tiles {
		t := &tiles[i]
		r := m.rect(t.Rect)
		if r.Empty() {
			continue
		}
		if len(m.last) > 0 && same(t, &m.last[i]) && !overlaps(r, drawn) {
			continue
		}
		m.draw(t, r)
		drawn = append(drawn, r)
	}
	m.remember(tiles)
	return m.canvas
}

// Close gives back all pictures and the canvas.
func (m *Mixer) Close() {
	m.forget()
	m.canvas.Close()
}

// sameRects tells whether the tiles have the places of the last time.
func (m *Mixer) sameRects(tiles []Tile) bool {
	if len(tiles) != len(m.last) {
		return false
	}
	for i := range tiles {
		if tiles[i].Rect != m.last[i].Rect {
			return false
		}
	}
	return true
}

// same tells whether two tiles of the same place look the same.
func same(a, b *Tile) bool {
	return a.Picture == b.Picture && a.Fill == b.Fill && (a.Picture != nil || a.Label == b.Label)
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

func (m *Mixer) draw(t *Tile, r image.Rectangle) {
	if t.Picture == nil {
		m.drawPlaceholder(t.Label, r)
		return
	}
	src, dst := fit(t.Fill, t.Picture.Width, t.Picture.Height, r)
	for _, bar := range bars(r, dst) {
		m.canvas.Fill(bar, 16, 128, 128)
	}
	if err := m.canvas.DrawPicture(t.Picture, src, dst); err != nil {
		// Only for lack of memory: fit keeps to the picture and to the tile.
		m.drawPlaceholder(t.Label, r)
	}
}

// bars returns what dst leaves of r.
func bars(r, dst image.Rectangle) []image.Rectangle {
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
