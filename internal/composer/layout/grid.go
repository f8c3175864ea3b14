package layout

import (
	"cmp"
	"slices"
)

// grid places ps, already in order: equal tiles in rows, or a featured tile with the others below it.
func grid(cfg *Config, canvas Size, ps []Participant) []Tile {
	if i := first(ps, cfg.FeaturedAttribute); i >= 0 {
		others := slices.Delete(slices.Clone(ps), i, i+1)
		return featured(cfg, canvas, ps[i], others)
	}
	gap := evenGap(cfg.Gap)
	for {
		if tiles, ok := rows(cfg, canvas, ps, gap); ok || gap == 0 {
			return tiles
		}
		gap = even(gap / 2) // no room for such a gap
	}
}

// rows fills a grid with the number of columns that makes the tiles largest, the wider one on a tie. Rows
// are centred, the last one may be short. It returns false and no tiles when there is no room.
func rows(cfg *Config, canvas Size, ps []Participant, gap int) ([]Tile, bool) {
	n := len(ps)
	var cols int
	var best, w, h float64
	for c := n; c >= 1; c-- { // from the widest, so that a tie goes to fewer rows
		cw := float64(canvas.W-(c-1)*gap) / float64(c)
		ch := float64(canvas.H-(ceilDiv(n, c)-1)*gap) / float64(ceilDiv(n, c))
		tw, th := shrink(cw, ch, cfg.Aspect.ratio())
		if tw >= 2 && th >= 2 && tw*th > best {
			best, cols, w, h = tw*th, c, tw, th
			if cfg.Aspect == Auto { // columns as for 16:9, but whole cells
				w, h = cw, ch
			}
		}
	}
	if cols == 0 {
		return nil, n == 0
	}
	tw, th := even(int(w)), even(int(h))
	lines := ceilDiv(n, cols)
	y := even((canvas.H - lines*th - (lines-1)*gap) / 2)
	tiles := make([]Tile, 0, n)
	for row := range slices.Chunk(ps, cols) {
		x := even((canvas.W - len(row)*tw - (len(row)-1)*gap) / 2)
		for _, p := range row {
			tiles = append(tiles, Tile{
				ParticipantID: p.ID,
				Rect:          Rect{x, y, tw, th},
				Fill:          cmp.Or(cfg.Fill, Cover),
			})
			x += tw + gap
		}
		y += th + gap
	}
	return tiles, true
}

// featured puts one participant on the main screen and the others in a strip below, at most a quarter of
// the height.
func featured(cfg *Config, canvas Size, main Participant, others []Participant) []Tile {
	top := Tile{ParticipantID: main.ID, Rect: Rect{0, 0, canvas.W, canvas.H}, Fill: cmp.Or(cfg.Fill, Contain)}
	tiles := []Tile{top}
	n := len(others)
	if n == 0 {
		return tiles
	}
	gap, a := evenGap(cfg.Gap), cfg.Aspect.ratio()
	var w, h int
	for {
		height := min(float64(canvas.H)/4, float64(canvas.W-(n-1)*gap)/float64(n)/a)
		w, h = even(int(height*a)), even(int(height))
		if w >= 2 && h >= 2 && canvas.H-h-gap >= 2 {
			break
		}
		if gap == 0 {
			return tiles // no room for a strip at all
		}
		gap = even(gap / 2)
	}
	tiles[0].Rect.H = canvas.H - h - gap
	x := even((canvas.W - n*w - (n-1)*gap) / 2)
	for _, p := range others {
		tiles = append(tiles, Tile{
			ParticipantID: p.ID,
			Rect:          Rect{x, canvas.H - h, w, h},
			Fill:          cmp.Or(cfg.Fill, Cover),
		})
		x += w + gap
	}
	return tiles
}

// shrink cuts a cell down to the aspect ratio.
func shrink(w, h, ratio float64) (float64, float64) {
	if w > h*ratio {
		return h * ratio, h
	}
	return w, w / ratio
}

// evenGap rounds a gap up, so that tiles on even pixels keep at least that distance. Gaps beyond any
// canvas are cut, so that sums do not overflow.
func evenGap(gap int) int { return even(min(max(gap, 0), 1<<14) + 1) }

func ceilDiv(a, b int) int { return (a + b - 1) / b }
