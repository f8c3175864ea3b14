package layout

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func drawParticipants(t *rapid.T) []Participant {
	n := rapid.IntRange(0, 14).Draw(t, "participants")
	ps := make([]Participant, n)
	for i := range ps {
		ps[i] = Participant{
			ID:       fmt.Sprint("p", i),
			HasVideo: rapid.Bool().Draw(t, "video"),
			Joined:   rapid.Int64Range(0, 5).Draw(t, "joined"),
		}
		ps[i].VideoWidth = rapid.IntRange(0, 4096).Draw(t, "width")
		ps[i].VideoHeight = rapid.IntRange(0, 4096).Draw(t, "height")
		ps[i].Attributes = rapid.MapOf(
			rapid.SampledFrom([]string{"f", "p", "o"}),
			rapid.SampledFrom([]string{"true", "false", "1", "2", "-3", "x", ""}),
		).Draw(t, "attributes")
	}
	return ps
}

func drawConfig(t *rapid.T) Config {
	return Config{
		Kind:              rapid.SampledFrom([]Kind{Grid, PIP}).Draw(t, "kind"),
		FeaturedAttribute: rapid.SampledFrom([]string{"", "f"}).Draw(t, "featured"),
		OrderAttribute:    rapid.SampledFrom([]string{"", "o"}).Draw(t, "order"),
		OmitStoppedVideo:  rapid.Bool().Draw(t, "omit"),
		Fill:              rapid.SampledFrom([]FillMode{Unset, Fill, Cover, Contain}).Draw(t, "fill"),
		Gap:               rapid.OneOf(rapid.IntRange(0, 10), rapid.IntRange(0, 5000)).Draw(t, "gap"),
		Aspect:            rapid.SampledFrom([]Aspect{Video, Auto, Square, Portrait}).Draw(t, "aspect"),
		PIPAttribute:      rapid.SampledFrom([]string{"", "p", "f"}).Draw(t, "pip"),
		PIPBehavior:       rapid.SampledFrom([]Behavior{Static, Dynamic}).Draw(t, "behavior"),
		PIPOffset:         rapid.IntRange(0, 3000).Draw(t, "offset"),
		PIPPosition:       rapid.SampledFrom([]Position{BottomRight, BottomLeft, TopRight, TopLeft}).Draw(t, "position"),
		PIPWidth:          rapid.IntRange(0, 3000).Draw(t, "pip width"),
		PIPHeight:         rapid.IntRange(0, 3000).Draw(t, "pip height"),
		Margin:            rapid.SampledFrom([]int{0, 0, 10, 33, 5000}).Draw(t, "margin"),
	}
}

// overlap tells whether a and b are closer than gap on both axes.
func overlap(a, b Rect, gap int) bool {
	return a.X < b.X+b.W+gap && b.X < a.X+a.W+gap && a.Y < b.Y+b.H+gap && b.Y < a.Y+a.H+gap
}

func drawCanvas(t *rapid.T) Size {
	return Size{2 * rapid.IntRange(1, 960).Draw(t, "w/2"), 2 * rapid.IntRange(1, 960).Draw(t, "h/2")}
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg, ps := drawConfig(t), drawParticipants(t)
		canvas := drawCanvas(t)
		tiles := Compute(cfg, canvas, ps)

		seen := map[string]bool{}
		for i, a := range tiles {
			r := a.Rect
			if (r.X|r.Y|r.W|r.H)&1 != 0 {
				t.Fatalf("odd: %+v", a)
			}
			if r.X < 0 || r.Y < 0 || r.W < 2 || r.H < 2 || r.X+r.W > canvas.W || r.Y+r.H > canvas.H {
				t.Fatalf("off the canvas %v: %+v", canvas, a)
			}
			if a.Fill == Unset || seen[a.ParticipantID] {
				t.Fatalf("fill unset or twice: %+v", a)
			}
			seen[a.ParticipantID] = true
			for _, b := range tiles[:i] {
				if a.Z == b.Z && overlap(a.Rect, b.Rect, 0) {
					t.Fatalf("overlap: %+v and %+v", a, b)
				}
				// The gap gives way only where the canvas is too small for it.
				if a.Z == b.Z && cfg.Gap <= min(canvas.W, canvas.H)/100 && min(canvas.W, canvas.H) > 500 &&
					overlap(a.Rect, b.Rect, cfg.Gap) {
					t.Fatalf("closer than %d: %+v and %+v", cfg.Gap, a, b)
				}
			}
		}

		if canvas.W >= 320 && canvas.H >= 320 {
			want := 0
			for _, p := range ps {
				if !cfg.OmitStoppedVideo || p.ShowsVideo() {
					want++
				}
			}
			if len(tiles) != want {
				t.Fatalf("%d tiles for %d participants", len(tiles), want)
			}
		}

		shuffled := rapid.Permutation(slices.Clone(ps)).Draw(t, "shuffled")
		if diff := cmp.Diff(tiles, Compute(cfg, canvas, shuffled)); diff != "" {
			t.Fatalf("depends on the order of its argument: %s", diff)
		}
	})
}

// A grid uses its canvas: tiles are equal, no other number of columns makes them larger, rows and block are
// centred.
func TestGridProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		canvas := Size{2 * rapid.IntRange(100, 960).Draw(t, "w/2"), 2 * rapid.IntRange(100, 960).Draw(t, "h/2")}
		n := rapid.IntRange(1, 12).Draw(t, "n")
		gap := 2 * rapid.IntRange(0, 5).Draw(t, "gap/2")
		aspect := rapid.SampledFrom([]Aspect{Video, Square, Portrait, Auto}).Draw(t, "aspect")
		tiles := Compute(Config{Gap: gap, Aspect: aspect}, canvas, people(n))
		if len(tiles) != n {
			t.Fatalf("%d tiles", len(tiles))
		}
		first := tiles[0].Rect
		rows := map[int][]Rect{}
		top, bottom := canvas.H, 0
		for _, tile := range tiles {
			r := tile.Rect
			if r.W != first.W || r.H != first.H {
				t.Fatalf("%+v is not like %+v", r, first)
			}
			rows[r.Y] = append(rows[r.Y], r)
			top, bottom = min(top, r.Y), max(bottom, r.Y+r.H)
		}
		for _, row := range rows {
			if left, right := row[0].X, canvas.W-row[len(row)-1].X-first.W; left-right > 2 || right-left > 2 {
				t.Fatalf("a row has %d free at the left, %d at the right", left, right)
			}
			for i := 1; i < len(row); i++ {
				if row[i].X != row[i-1].X+first.W+gap {
					t.Fatalf("gap between %+v and %+v", row[i-1], row[i])
				}
			}
		}
		if above, below := top, canvas.H-bottom; above-below > 2 || below-above > 2 {
			t.Fatalf("%d free above, %d below", above, below)
		}
		a := aspect.ratio()
		if aspect == Auto {
			if first.W*len(rows[top])+gap*(len(rows[top])-1) < canvas.W-2*len(rows[top]) {
				t.Fatalf("whole cells leave room: %+v", first)
			}
			return
		}
		if float64(first.W) > float64(first.H+2)*a || float64(first.H) > float64(first.W+2)/a {
			t.Fatalf("%dx%d is not of the shape %.3f", first.W, first.H, a)
		}
		for c := 1; c <= n; c++ {
			r := (n + c - 1) / c
			w := min(float64(canvas.W-(c-1)*gap)/float64(c), float64(canvas.H-(r-1)*gap)/float64(r)*a)
			if w > float64(first.W)+2 {
				t.Fatalf("%d columns would make tiles %.1f wide, not %d", c, w, first.W)
			}
		}
	})
}

// Whoever comes last changes nobody's order, and whoever leaves nobody else's.
func TestOrderIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg, ps, canvas := drawConfig(t), drawParticipants(t), Size{1280, 720}
		cfg.FeaturedAttribute, cfg.PIPAttribute = "", ""
		if len(ps) == 0 {
			return
		}
		gone := rapid.IntRange(0, len(ps)-1).Draw(t, "gone")
		ids := func(ps []Participant) []string {
			out := []string{}
			for _, tile := range Compute(cfg, canvas, ps) {
				out = append(out, tile.ParticipantID)
			}
			return out
		}
		all, fewer := ids(ps), ids(slices.Delete(slices.Clone(ps), gone, gone+1))
		all = slices.DeleteFunc(all, func(id string) bool { return id == ps[gone].ID })
		if diff := cmp.Diff(all, fewer); diff != "" {
			t.Fatal(diff)
		}
	})
}

func drawSelector(t *rapid.T) Selector {
	switch rapid.IntRange(0, 4).Draw(t, "selector") {
	case 0:
		return Selector{ParticipantID: rapid.SampledFrom([]string{"p0", "p1", "p9"}).Draw(t, "id")}
	case 1:
		return Selector{UserID: rapid.SampledFrom([]string{"u0", "u1"}).Draw(t, "user")}
	case 2:
		return Selector{Attribute: rapid.SampledFrom([]string{"f", "o"}).Draw(t, "attribute"), Value: rapid.SampledFrom([]string{"true", "1", ""}).Draw(t, "value")}
	case 3:
		return Selector{Video: true}
	}
	return Selector{}
}

func drawCustom(t *rapid.T) Config {
	cfg := Config{Kind: Custom, OmitStoppedVideo: rapid.Bool().Draw(t, "omit"), OrderAttribute: rapid.SampledFrom([]string{"", "o"}).Draw(t, "order")}
	if rapid.Bool().Draw(t, "reference") {
		cfg.Reference = Size{rapid.IntRange(16, 4000).Draw(t, "rw"), rapid.IntRange(16, 4000).Draw(t, "rh")}
	}
	ref := cfg.reference()
	for i := range rapid.IntRange(0, 6).Draw(t, "regions") {
		r := Region{ID: fmt.Sprint("r", i), Z: rapid.IntRange(-2, 2).Draw(t, "z"), Select: drawSelector(t),
			Order: rapid.SampledFrom([]string{"", "o"}).Draw(t, "by"), CornerRadius: rapid.IntRange(0, 50).Draw(t, "radius"),
			Fill: rapid.SampledFrom([]FillMode{Unset, Fill, Cover, Contain}).Draw(t, "fill")}
		x, y := rapid.IntRange(0, ref.W-1).Draw(t, "x"), rapid.IntRange(0, ref.H-1).Draw(t, "y")
		r.Rect = Rect{x, y, rapid.IntRange(1, ref.W-x).Draw(t, "w"), rapid.IntRange(1, ref.H-y).Draw(t, "h")}
		if rapid.IntRange(0, 2).Draw(t, "grid") == 0 {
			r.Grid = &RegionGrid{Gap: rapid.IntRange(0, 20).Draw(t, "gap"), Aspect: rapid.SampledFrom([]Aspect{Video, Auto, Square, Portrait}).Draw(t, "aspect")}
		}
		cfg.Regions = append(cfg.Regions, r)
	}
	for range rapid.IntRange(0, 1).Draw(t, "hide") {
		cfg.Hide = append(cfg.Hide, Selector{Attribute: "p", Value: "true"})
	}
	return cfg
}

func TestCustomProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg, ps, canvas := drawCustom(t), drawParticipants(t), drawCanvas(t)
		byID := map[string]*Participant{}
		for i := range ps {
			ps[i].UserID = fmt.Sprint("u", i%3)
			byID[ps[i].ID] = &ps[i]
		}
		regions := map[string]*Region{}
		for i := range cfg.Regions {
			regions[cfg.Regions[i].ID] = &cfg.Regions[i]
		}
		tiles := Compute(cfg, canvas, ps)
		seen, taken := map[string]bool{}, map[string]bool{}
		for i, a := range tiles {
			r, region := a.Rect, regions[a.Region]
			if (r.X|r.Y|r.W|r.H)&1 != 0 || r.W < 2 || r.H < 2 || a.Fill == Unset {
				t.Fatalf("%+v", a)
			}
			area := scaled(&cfg, canvas, region.Rect)
			if r.X < area.X || r.Y < area.Y || r.X+r.W > area.X+area.W || r.Y+r.H > area.Y+area.H || area.X+area.W > canvas.W || area.Y+area.H > canvas.H {
				t.Fatalf("%+v is not in its region %+v", a, area)
			}
			p := byID[a.ParticipantID]
			if seen[p.ID] || !region.Select.Matches(p) || a.Z != region.Z || p.Attributes["p"] == "true" && len(cfg.Hide) > 0 {
				t.Fatalf("%+v in %+v", a, region)
			}
			if cfg.OmitStoppedVideo && !p.ShowsVideo() {
				t.Fatalf("%+v has no video", a)
			}
			if region.Grid == nil && taken[a.Region] {
				t.Fatalf("two in %+v", region)
			}
			seen[p.ID], taken[a.Region] = true, true
			if i > 0 && tiles[i-1].Z > a.Z {
				t.Fatal("not in drawing order")
			}
			for _, b := range tiles[:i] {
				if a.Region == b.Region && overlap(a.Rect, b.Rect, 0) {
					t.Fatalf("overlap in a region: %+v and %+v", a, b)
				}
			}
		}
		// Nobody whom a free region selects is left out.
		for _, p := range ps {
			if seen[p.ID] || cfg.OmitStoppedVideo && !p.ShowsVideo() || len(cfg.Hide) > 0 && p.Attributes["p"] == "true" {
				continue
			}
			for _, r := range cfg.Regions {
				if area := scaled(&cfg, canvas, r.Rect); r.Grid == nil && !taken[r.ID] && r.Select.Matches(&p) && area.W >= 2 && area.H >= 2 {
					t.Fatalf("%+v is left out although %+v is free", p, r)
				}
			}
		}
		shuffled := rapid.Permutation(slices.Clone(ps)).Draw(t, "shuffled")
		if diff := cmp.Diff(tiles, Compute(cfg, canvas, shuffled)); diff != "" {
			t.Fatalf("depends on the order of its argument: %s", diff)
		}
	})
}
