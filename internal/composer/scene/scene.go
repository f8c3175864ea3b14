// Package scene describes how a composition looks beyond what the IVS API can say: custom layouts, background,
// overlays, name plates, and a border around who speaks. It is pure: a JSON document in, a Scene out.
//
// A scene changes nothing that it does not name: the zero value leaves a composition as IVS would draw it.
// docs/layouts.md describes the document for its users.
package scene

import (
	"cmp"
	"errors"
	"image/color"

	"github.com/footlight-live/footlight/internal/composer/layout"
)

// ErrInvalid is the kind of every error of Parse; its text names the member.
var ErrInvalid = errors.New("invalid scene")

// Scene is one look. Lengths are in pixels of Reference, from the top left corner, and are scaled to each canvas.
type Scene struct {
	Layout    *layout.Config // nil: the composition's own
	Reference layout.Size    // never zero in what Parse returns

	Hide          []layout.Selector // who takes no tile, in any layout
	CornerRadius  int               // of the tiles of GRID and PIP
	Margin        int               // around the tiles of GRID and PIP
	TileColor     color.RGBA        // where a picture leaves its tile free, opaque; zero: the background
	Background    Background
	Placeholder   Placeholder
	Overlays      []Overlay // in drawing order, without the hidden ones
	NamePlates    *NamePlates
	ActiveSpeaker *ActiveSpeaker

	Images []string // names of the images that the scene needs, sorted, without repetition
}

// Background is what shows where no tile is: an image that covers the canvas, or a colour.
type Background struct {
	Color color.RGBA // opaque; zero: black
	Image string     // "": none
}

// Placeholder is how a tile without picture looks.
type Placeholder struct {
	Color color.RGBA // opaque; zero: #1f1f1f
	Image string     // covers the tile, in place of colour and initial; "": none
}

// Overlay is an image or a line of text above all tiles.
type Overlay struct {
	ID            string
	Image         string // "": Text
	Text          string
	X, Y          int
	Width, Height int     // 0: by the other side and the image's shape; both 0: the image's own size
	Opacity       float64 // above 0 to 1
	Z             int     // overlays with a higher one cover those with a lower one

	// For Text, whose Width is the most that it may take; 0: up to the edge of the canvas.
	Size       int // height of the letters' line
	Color      color.RGBA
	Background color.RGBA // of a box behind the letters; zero: none
}

// NamePlates shows a name on each tile.
type NamePlates struct {
	Attribute  string // whose value is the name; "", or not there: as DisplayName says
	Position   Position
	Size       int // height of the letters' line
	Color      color.RGBA
	Background color.RGBA
	Opacity    float64 // of the background
	MinHeight  int     // tiles lower than this have none
}

// Position is a place in a tile.
type Position string

// The positions of a name plate.
const (
	TopLeft     Position = "TOP_LEFT"
	Top         Position = "TOP"
	TopRight    Position = "TOP_RIGHT"
	BottomLeft  Position = "BOTTOM_LEFT"
	Bottom      Position = "BOTTOM"
	BottomRight Position = "BOTTOM_RIGHT"
)

// ActiveSpeaker draws a border inside the tiles of those who speak.
type ActiveSpeaker struct {
	Color color.RGBA
	Width int
}

// LayoutOver returns the layout to compute: the scene's, or the composition's own where the scene has none,
// with what the scene says about tiles in any layout.
func (s *Scene) LayoutOver(own layout.Config) layout.Config {
	cfg := own
	if s.Layout != nil {
		cfg = *s.Layout
	}
	cfg.Hide = append(cfg.Hide[:len(cfg.Hide):len(cfg.Hide)], s.Hide...)
	if s.CornerRadius > 0 || s.Margin > 0 {
		cfg.CornerRadius, cfg.Margin, cfg.Reference = s.CornerRadius, s.Margin, cmp.Or(cfg.Reference, s.Reference)
	}
	return cfg
}

// PlateName returns what the participant's name plate says, "" without name plates.
func (s *Scene) PlateName(p *layout.Participant) string {
	if s.NamePlates == nil {
		return ""
	}
	if a := s.NamePlates.Attribute; a != "" && p.Attributes[a] != "" {
		return p.Attributes[a]
	}
	return DisplayName(p)
}

// DisplayName is the name that people gave a participant, if any: the attribute username or name, else the
// user id, else the participant id.
func DisplayName(p *layout.Participant) string {
	return cmp.Or(p.Attributes["username"], p.Attributes["name"], p.UserID, p.ID)
}
