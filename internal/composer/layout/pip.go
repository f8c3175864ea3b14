package layout

import (
	"cmp"
	"slices"
)

// pip places ps, already in order: everyone but the window's participant in the main area, the window on top.
func pip(cfg *Config, canvas Size, ps []Participant) []Tile {
	main := *cfg
	main.Fill = cmp.Or(cfg.Fill, Cover)
	// The aspect ratio is a member of GRID alone: here tiles take their whole cells, so that a single main
	// participant covers a canvas of any shape.
	main.Aspect = Auto
	i := first(ps, cfg.PIPAttribute)
	if i < 0 {
		return grid(&main, canvas, ps)
	}
	p := ps[i]
	others := slices.Delete(slices.Clone(ps), i, i+1)
	if len(others) == 0 {
		// Alone: the main screen for one that is featured as well, or whose window may grow.
		alsoFeatured := first(ps, cfg.FeaturedAttribute) >= 0
		if alsoFeatured || cfg.PIPBehavior == Dynamic {
			return []Tile{{ParticipantID: p.ID, Rect: Rect{0, 0, canvas.W, canvas.H}, Fill: main.Fill}}
		}
	}
	return append(grid(&main, canvas, others), Tile{
		ParticipantID: p.ID,
		Rect:          window(cfg, canvas, p),
		Fill:          main.Fill,
		Z:             1,
	})
}

// window returns the window's place, cut to the canvas.
func window(cfg *Config, canvas Size, p Participant) Rect {
	w, h := windowSize(cfg, canvas, p)
	w, h = even(max(2, min(w, canvas.W))), even(max(2, min(h, canvas.H)))
	right, bottom := canvas.W-w, canvas.H-h
	offset := max(cfg.PIPOffset, 0)
	r := Rect{X: min(offset, right), Y: min(offset, bottom), W: w, H: h}
	if cfg.PIPPosition == TopRight || cfg.PIPPosition == BottomRight {
		r.X = max(0, right-offset)
	}
	if cfg.PIPPosition == BottomLeft || cfg.PIPPosition == BottomRight {
		r.Y = max(0, bottom-offset)
	}
	r.X, r.Y = even(r.X), even(r.Y)
	return r
}

// windowSize returns the size as configured, what is missing following the shape of the participant's
// video (16:9 while there is none): a quarter of the width, but not more than a third of the height.
func windowSize(cfg *Config, canvas Size, p Participant) (w, h int) {
	vw, vh := 16, 9
	if p.ShowsVideo() && p.VideoWidth > 0 && p.VideoHeight > 0 {
		vw, vh = p.VideoWidth, p.VideoHeight
	}
	// Sizes beyond any canvas are cut, so that products do not overflow.
	w, h = min(cfg.PIPWidth, 1<<20), min(cfg.PIPHeight, 1<<20)
	switch {
	case w > 0 && h > 0:
		return w, h
	case w > 0:
		return w, w * vh / vw
	case h > 0:
		return h * vw / vh, h
	}
	w = even(canvas.W / 4)
	h = even(w * vh / vw)
	if h > canvas.H/3 {
		h = even(canvas.H / 3)
		w = even(h * vw / vh)
	}
	return w, h
}
