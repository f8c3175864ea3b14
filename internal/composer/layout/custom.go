package layout

import (
	"cmp"
	"math"
	"slices"
)

// Region is a place of a custom layout: for one participant, or with Grid for all that are left.
type Region struct {
	ID           string
	Rect         Rect // in units of Config.Reference
	Z            int  // a region with a higher one covers those with a lower one
	Fill         FillMode
	CornerRadius int // in units of Config.Reference, of the region or of each tile of its grid
	Select       Selector
	Order        string // attribute that decides who comes first, as Config.OrderAttribute does; "": that
	Grid         *RegionGrid
}

// RegionGrid makes a region a grid of everyone it selects and no other region has taken.
type RegionGrid struct {
	Gap    int // in units of Config.Reference
	Aspect Aspect
}

// Selector tells who is meant: everyone for whom all members hold that are set. The zero value means anyone.
type Selector struct {
	ParticipantID string
	UserID        string
	Attribute     string
	Value         string // of the attribute
	Video         bool   // only those that show video
}

// Matches tells whether the participant is meant.
func (s *Selector) Matches(p *Participant) bool {
	if s.Attribute != "" {
		if v, ok := p.Attributes[s.Attribute]; !ok || v != s.Value {
			return false
		}
	}
	return (s.ParticipantID == "" || s.ParticipantID == p.ID) && (s.UserID == "" || s.UserID == p.UserID) &&
		(!s.Video || p.ShowsVideo())
}

// custom gives each region of one participant, in the order of the document, the first participant that it
// selects and that is still free; then each grid everyone that it selects and that is still free. So a
// participant is in the first region that wanted it. Those whom no region wants are not drawn.
func custom(cfg *Config, canvas Size, ps []Participant) []Tile {
	free := slices.Clone(ps)
	placed := make([][]Tile, len(cfg.Regions))
	for i := range cfg.Regions {
		r := &cfg.Regions[i]
		rect := scaled(cfg, canvas, r.Rect)
		if r.Grid != nil || rect.W < 2 || rect.H < 2 { // too small to be seen on this canvas: for nobody
			continue
		}
		order(cmp.Or(r.Order, cfg.OrderAttribute), free)
		at := slices.IndexFunc(free, func(p Participant) bool { return r.Select.Matches(&p) })
		if at < 0 {
			continue
		}
		p := free[at]
		free = slices.Delete(free, at, at+1)
		placed[i] = []Tile{{ParticipantID: p.ID, Rect: rect, Fill: cmp.Or(r.Fill, cfg.Fill, Cover)}}
	}
	for i := range cfg.Regions {
		r := &cfg.Regions[i]
		if r.Grid == nil {
			continue
		}
		order(cmp.Or(r.Order, cfg.OrderAttribute), free)
		var wanted []Participant
		free = slices.DeleteFunc(free, func(p Participant) bool {
			if r.Select.Matches(&p) {
				wanted = append(wanted, p)
				return true
			}
			return false
		})
		rect := scaled(cfg, canvas, r.Rect)
		inner := Config{Fill: cmp.Or(r.Fill, cfg.Fill), Gap: length(cfg, canvas, r.Grid.Gap), Aspect: r.Grid.Aspect}
		placed[i] = grid(&inner, Size{rect.W, rect.H}, wanted)
		for j := range placed[i] {
			placed[i][j].Rect.X += rect.X
			placed[i][j].Rect.Y += rect.Y
		}
	}
	var tiles []Tile
	for i, r := range cfg.Regions {
		for _, t := range placed[i] {
			t.Z, t.Region, t.CornerRadius = r.Z, r.ID, length(cfg, canvas, r.CornerRadius)
			tiles = append(tiles, t)
		}
	}
	slices.SortStableFunc(tiles, func(a, b Tile) int { return cmp.Compare(a.Z, b.Z) })
	return tiles
}

// scaled brings a region to the canvas. Its edges are rounded to even pixels and not its sides, so that
// regions that touch in the document touch on every canvas.
func scaled(cfg *Config, canvas Size, r Rect) Rect {
	ref := cfg.reference()
	edge := func(v, from, to int) int {
		return 2 * int(math.Round(float64(max(0, min(v, from)))*float64(to)/float64(from)/2))
	}
	x, y := edge(r.X, ref.W, canvas.W), edge(r.Y, ref.H, canvas.H)
	return Rect{x, y, edge(r.X+r.W, ref.W, canvas.W) - x, edge(r.Y+r.H, ref.H, canvas.H) - y}
}

// length scales what has no direction by the smaller of the two ratios.
func length(cfg *Config, canvas Size, n int) int {
	ref := cfg.reference()
	return int(float64(n)*min(float64(canvas.W)/float64(ref.W), float64(canvas.H)/float64(ref.H)) + 0.5)
}

func (c *Config) reference() Size {
	return Size{cmp.Or(max(c.Reference.W, 0), 1280), cmp.Or(max(c.Reference.H, 0), 720)}
}
