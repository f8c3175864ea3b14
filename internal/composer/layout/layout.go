// Package layout decides who is where in the picture: participants, a configuration and a canvas in, tiles
// out. It is pure: no media, no clock, no state.
//
// Guarantees, for any input: tiles lie on the canvas, their corners and sides are even (4:2:0 chroma), they
// do not overlap except for the picture-in-picture window, they keep at least the configured gap where the
// canvas has room for it, and the result does not depend on the order of the participants given.
//
// Amazon documents the rules of order and of the special slots but no geometry; that is ours, and the
// comments say where a choice was made.
package layout

import (
	"slices"
)

// Size is a canvas size in pixels. Odd sides count as one less.
type Size struct{ W, H int }

// Rect is a place on the canvas, in pixels from its top left corner.
type Rect struct{ X, Y, W, H int }

// FillMode says how a picture goes into a tile of another shape.
type FillMode int

// The fill modes. Unset occurs in a Config only.
const (
	Unset   FillMode = iota
	Fill             // stretched
	Cover            // cropped
	Contain          // whole, with bars
)

// Participant is someone who publishes to the stage.
type Participant struct {
	ID         string
	UserID     string
	Attributes map[string]string
	HasVideo   bool // a video track that is not muted or stopped
	// VideoWidth and VideoHeight are the size of the received picture, 0 while unknown.
	VideoWidth, VideoHeight int
	Joined                  int64 // order of arrival on the stage: any number that grows
}

// ShowsVideo tells whether the participant has a picture to show. One that sends more than 1080p counts as
// audio only, as on IVS.
func (p *Participant) ShowsVideo() bool {
	long, short := max(p.VideoWidth, p.VideoHeight), min(p.VideoWidth, p.VideoHeight)
	return p.HasVideo && long <= 1920 && short <= 1088
}

// Tile is a participant's place. Tiles with a higher Z cover those with a lower one.
type Tile struct {
	ParticipantID string
	Rect          Rect
	Fill          FillMode // never Unset
	Z             int
	CornerRadius  int    // pixels
	Region        string // id of the region of a custom layout
}

// Compute lays out everyone who takes a tile, in drawing order.
func Compute(cfg Config, canvas Size, ps []Participant) []Tile {
	canvas.W, canvas.H = even(canvas.W), even(canvas.H)
	if canvas.W < 2 || canvas.H < 2 {
		return nil
	}
	shown := slices.DeleteFunc(slices.Clone(ps), func(p Participant) bool {
		return cfg.OmitStoppedVideo && !p.ShowsVideo() ||
			slices.ContainsFunc(cfg.Hide, func(s Selector) bool { return s.Matches(&p) })
	})
	if cfg.Kind == Custom {
		return custom(&cfg, canvas, shown)
	}
	order(cfg.OrderAttribute, shown)
	place := grid
	if cfg.Kind == PIP {
		place = pip
	}
	margin := even(min(length(&cfg, canvas, cfg.Margin), canvas.W/4, canvas.H/4))
	tiles := place(&cfg, Size{canvas.W - 2*margin, canvas.H - 2*margin}, shown)
	for i := range tiles {
		tiles[i].Rect.X += margin
		tiles[i].Rect.Y += margin
		tiles[i].CornerRadius = length(&cfg, canvas, cfg.CornerRadius)
	}
	return tiles
}

// even rounds down to an even number.
func even(n int) int { return n &^ 1 }
