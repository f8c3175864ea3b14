package layout

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func region(id string, x, y, w, h int, s Selector) Region {
	return Region{ID: id, Rect: Rect{x, y, w, h}, Select: s}
}

// where returns region:participant of each tile, in drawing order.
func where(tiles []Tile) []string {
	var out []string
	for _, t := range tiles {
		out = append(out, t.Region+":"+t.ParticipantID)
	}
	return out
}

func TestCustomSelects(t *testing.T) {
	ps := people(6) // A to F
	ps[1] = with(ps[1], "role", "host", "turn", "9")
	ps[3] = with(ps[3], "role", "host", "turn", "-1")
	ps[4].UserID = "eve"
	ps[5].HasVideo = false
	host := Selector{Attribute: "role", Value: "host"}
	grid := Region{ID: "rest", Rect: Rect{0, 0, 1280, 100}, Grid: &RegionGrid{}}
	byTurn := region("main", 0, 0, 100, 100, host)
	byTurn.Order = "turn"
	low := region("low", 0, 0, 100, 100, Selector{})
	low.Z = -1
	for _, c := range []struct {
		name    string
		regions []Region
		want    []string
	}{
		{"no regions", nil, nil},
		{"first come", []Region{region("main", 0, 0, 100, 100, host)}, []string{"main:B"}},
		{"by order", []Region{byTurn}, []string{"main:D"}},
		{"two of a kind", []Region{region("a", 0, 0, 9, 9, host), region("b", 0, 0, 9, 9, host), region("c", 0, 0, 9, 9, host)}, []string{"a:B", "b:D"}},
		{"the first region wins", []Region{region("any", 0, 0, 9, 9, Selector{}), region("a", 0, 0, 9, 9, Selector{ParticipantID: "A"})}, []string{"any:A"}},
		{"ids and users", []Region{region("f", 0, 0, 9, 9, Selector{ParticipantID: "F"}), region("e", 0, 0, 9, 9, Selector{UserID: "eve"}),
			region("x", 0, 0, 9, 9, Selector{UserID: "mallory"})}, []string{"f:F", "e:E"}},
		{"with video", []Region{region("f", 0, 0, 9, 9, Selector{ParticipantID: "F", Video: true})}, nil},
		{"all that is set must hold", []Region{region("x", 0, 0, 9, 9, Selector{Attribute: "role", Value: "host", ParticipantID: "A"})}, nil},
		{"an absent attribute is not empty", []Region{region("x", 0, 0, 9, 9, Selector{Attribute: "role"})}, nil},
		{"grids come after, wherever they stand", []Region{grid, region("main", 0, 0, 100, 100, host)},
			[]string{"rest:A", "rest:C", "rest:D", "rest:E", "rest:F", "main:B"}},
		{"z", []Region{region("high", 0, 0, 100, 100, Selector{}), low}, []string{"low:B", "high:A"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, where(Compute(Config{Kind: Custom, Regions: c.regions}, hd, ps))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCustomPlaces(t *testing.T) {
	cfg := Config{Kind: Custom, Reference: Size{1920, 1080}, Fill: Contain, Regions: []Region{
		{ID: "main", Rect: Rect{0, 0, 1440, 1080}, CornerRadius: 30, Fill: Cover},
		{ID: "side", Rect: Rect{1440, 0, 480, 1080}, CornerRadius: 15, Grid: &RegionGrid{Gap: 15}},
	}}
	want := []Tile{ // 2/3 of the document
		{ParticipantID: "A", Rect: Rect{0, 0, 960, 720}, Fill: Cover, CornerRadius: 20, Region: "main"},
		{ParticipantID: "B", Rect: Rect{960, 174, 320, 180}, Fill: Contain, CornerRadius: 10, Region: "side"},
		{ParticipantID: "C", Rect: Rect{960, 364, 320, 180}, Fill: Contain, CornerRadius: 10, Region: "side"},
	}
	if diff := cmp.Diff(want, Compute(cfg, hd, people(3))); diff != "" {
		t.Error(diff)
	}
}

// Regions that touch in the document touch on every canvas.
func TestCustomRegionsTouch(t *testing.T) {
	var cfg Config
	cfg.Kind = Custom
	for i := range 7 { // 1280/7 is no whole number
		x := i * 1280 / 7
		cfg.Regions = append(cfg.Regions, region(string(rune('a'+i)), x, 0, (i+1)*1280/7-x, 720, Selector{}))
	}
	for w := 100; w <= 1920; w += 26 {
		tiles := Compute(cfg, Size{w, 64}, people(7))
		x := 0
		for _, tile := range tiles {
			if tile.Rect.X != x || tile.Rect.H != 64 {
				t.Fatalf("%d wide: %+v does not begin at %d", w, tile, x)
			}
			x += tile.Rect.W
		}
		if x != w {
			t.Errorf("%d wide: regions end at %d", w, x)
		}
	}
}

func TestHideInAnyLayout(t *testing.T) {
	ps := people(3)
	ps[1] = with(ps[1], "hidden", "true", "star", "true")
	for _, cfg := range []Config{
		{}, {FeaturedAttribute: "star"}, {Kind: PIP, PIPAttribute: "star"},
		{Kind: Custom, Regions: []Region{{Rect: Rect{0, 0, 9, 9}, Grid: &RegionGrid{}}}},
	} {
		cfg.Hide = []Selector{{Attribute: "hidden", Value: "true"}}
		tiles := Compute(cfg, hd, ps)
		if len(tiles) != 2 || tiles[0].ParticipantID != "A" || tiles[1].ParticipantID != "C" {
			t.Errorf("%+v: %+v", cfg, tiles)
		}
	}
}

func TestMargin(t *testing.T) {
	got := Compute(Config{Margin: 20, Gap: 20, Aspect: Auto}, Size{640, 360}, people(2))
	want := []Tile{ // half of 1280x720
		{ParticipantID: "A", Rect: Rect{10, 10, 300, 340}, Fill: Cover},
		{ParticipantID: "B", Rect: Rect{330, 10, 300, 340}, Fill: Cover},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	pip := Config{Kind: PIP, PIPAttribute: "p", Margin: 40}
	ps := people(2)
	ps[0] = with(ps[0], "p", "true")
	if got := Compute(pip, hd, ps)[1].Rect; got.X+got.W != 1240 || got.Y+got.H != 680 {
		t.Errorf("window at %+v", got)
	}
}

func TestCornerRadiusOfGridAndPIP(t *testing.T) {
	for _, cfg := range []Config{{CornerRadius: 24}, {Kind: PIP, PIPAttribute: "p", CornerRadius: 24}} {
		for _, tile := range Compute(cfg, Size{640, 360}, people(2)) {
			if tile.CornerRadius != 12 { // half of 1280x720
				t.Errorf("%+v", tile)
			}
		}
	}
}
