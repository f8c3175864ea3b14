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
	}
}

// overlap tells whether a and b are closer than gap on both axes.
func overlap(a, b Rect, gap int) bool {
	return a.X < b.X+b.W+gap && b.X < a.X+a.W+gap && a.Y < b.Y+b.H+gap && b.Y < a.Y+a.H+gap
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg, ps := drawConfig(t), drawParticipants(t)
		canvas := Size{2 * rapid.IntRange(1, 960).Draw(t, "w/2"), 2 * rapid.IntRange(1, 960).Draw(t, "h/2")}
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
