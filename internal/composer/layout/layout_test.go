package layout

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var hd = Size{1280, 720}

// people returns n participants with video, named A, B, C… in order of arrival.
func people(n int) []Participant {
	ps := make([]Participant, n)
	for i := range ps {
		ps[i] = Participant{ID: string(rune('A' + i)), HasVideo: true, Joined: int64(i)}
	}
	return ps
}

func with(p Participant, attributes ...string) Participant {
	p.Attributes = map[string]string{}
	for i := 0; i < len(attributes); i += 2 {
		p.Attributes[attributes[i]] = attributes[i+1]
	}
	return p
}

// The regression table of the specification: 1280x720, gap 2, VIDEO.
func TestGridTable(t *testing.T) {
	for n, want := range map[int]struct{ cols, w, h int }{
		1: {1, 1280, 720},
		2: {2, 638, 358},
		3: {2, 638, 358}, 4: {2, 638, 358},
		5: {3, 424, 238}, 6: {3, 424, 238},
		7: {3, 424, 238}, 8: {3, 424, 238}, 9: {3, 424, 238},
		10: {4, 318, 178}, 11: {4, 318, 178}, 12: {4, 318, 178},
	} {
		tiles := Compute(Default(), hd, people(n))
		if len(tiles) != n {
			t.Fatalf("n=%d: %d tiles", n, len(tiles))
		}
		perRow := map[int]int{}
		for i, tile := range tiles {
			if tile.ParticipantID != string(rune('A'+i)) || tile.Fill != Cover || tile.Z != 0 {
				t.Errorf("n=%d: tile %d is %+v", n, i, tile)
			}
			if tile.Rect.W != want.w || tile.Rect.H != want.h {
				t.Errorf("n=%d: tile %d is %dx%d, want %dx%d", n, i, tile.Rect.W, tile.Rect.H, want.w, want.h)
			}
			perRow[tile.Rect.Y]++
		}
		if perRow[tiles[0].Rect.Y] != want.cols || len(perRow) != (n+want.cols-1)/want.cols {
			t.Errorf("n=%d: rows %v, want %d columns", n, perRow, want.cols)
		}
	}
}

func TestGridPlaces(t *testing.T) {
	got := Compute(Default(), hd, people(3))
	want := []Tile{
		{ParticipantID: "A", Rect: Rect{0, 0, 638, 358}, Fill: Cover},
		{ParticipantID: "B", Rect: Rect{640, 0, 638, 358}, Fill: Cover},
		{ParticipantID: "C", Rect: Rect{320, 360, 638, 358}, Fill: Cover},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFeatured(t *testing.T) {
	ps := people(4)
	ps[2] = with(ps[2], "screen", "true")
	ps[3] = with(ps[3], "screen", "true") // later: an ordinary tile
	cfg := Default()
	cfg.FeaturedAttribute = "screen"
	want := []Tile{
		{ParticipantID: "C", Rect: Rect{0, 0, 1280, 538}, Fill: Contain},
		{ParticipantID: "A", Rect: Rect{158, 540, 320, 180}, Fill: Cover},
		{ParticipantID: "B", Rect: Rect{480, 540, 320, 180}, Fill: Cover},
		{ParticipantID: "D", Rect: Rect{802, 540, 320, 180}, Fill: Cover},
	}
	if diff := cmp.Diff(want, Compute(cfg, hd, ps)); diff != "" {
		t.Error(diff)
	}
	cfg.Fill = Fill
	for _, tile := range Compute(cfg, hd, ps) {
		if tile.Fill != Fill {
			t.Errorf("explicit fill mode not used: %+v", tile)
		}
	}
	if got := Compute(cfg, hd, ps[2:3]); got[0].Rect != (Rect{0, 0, 1280, 720}) {
		t.Errorf("featured alone: %+v", got)
	}
	ps[2].Attributes["screen"], ps[3].Attributes["screen"] = "TRUE", "1" // only the string "true" counts
	if got := Compute(cfg, hd, ps); got[0].Rect.W != 638 {
		t.Errorf("featured without \"true\": %+v", got)
	}
}

func TestOrderVector(t *testing.T) {
	ps := people(8)
	for i, v := range []string{"10", "9", "abc", "", "-1", "1.5", "9", "2"} {
		if i != 3 {
			ps[i] = with(ps[i], "order", v)
		}
	}
	slices.Reverse(ps) // the order of the argument must not matter
	cfg := Default()
	cfg.OrderAttribute = "order"
	var got strings.Builder
	for _, tile := range Compute(cfg, hd, ps) {
		got.WriteString(tile.ParticipantID)
	}
	if got.String() != "EHBGACDF" {
		t.Errorf("order %s, want EHBGACDF", got.String())
	}
}

func TestOrderNumbers(t *testing.T) {
	for value, want := range map[string]bool{
		"0": true, "+7": true, "-7": true, "007": true, "9223372036854775807": true, "-9223372036854775808": true,
		"9223372036854775808": false, " 1": false, "1 ": false, "1.0": false, "1e3": false, "0x1": false, "": false,
		"+": false, "1_000": false,
	} {
		if _, ok := rank(with(Participant{}, "k", value), "k"); ok != want {
			t.Errorf("%q counts as a number: %v, want %v", value, ok, want)
		}
	}
}

func TestOrderDecidesWhoIsFeatured(t *testing.T) {
	ps := people(3)
	ps[0] = with(ps[0], "star", "true")
	ps[2] = with(ps[2], "star", "true", "order", "1")
	cfg := Default()
	cfg.FeaturedAttribute, cfg.OrderAttribute = "star", "order"
	if got := Compute(cfg, hd, ps); got[0].ParticipantID != "C" || got[0].Rect.W != 1280 {
		t.Errorf("featured is %+v, want C", got[0])
	}
}

func TestOmitStoppedVideo(t *testing.T) {
	ps := people(4)
	ps[1].HasVideo = false
	ps[2].VideoWidth, ps[2].VideoHeight = 2560, 1440 // above 1080p: audio only
	ps[3].VideoWidth, ps[3].VideoHeight = 1080, 1920
	cfg := Default()
	if got := Compute(cfg, hd, ps); len(got) != 4 {
		t.Errorf("%d tiles, want 4: stopped video keeps its tile", len(got))
	}
	cfg.OmitStoppedVideo = true
	got := Compute(cfg, hd, ps)
	if len(got) != 2 || got[0].ParticipantID != "A" || got[1].ParticipantID != "D" {
		t.Errorf("tiles %+v, want A and D", got)
	}
}

func TestAspects(t *testing.T) {
	for _, c := range []struct {
		aspect Aspect
		n      int
		w, h   int
	}{
		{Square, 1, 720, 720}, {Square, 2, 638, 638}, {Square, 4, 358, 358},
		{Portrait, 1, 540, 720}, {Portrait, 3, 424, 566},
		{Auto, 1, 1280, 720}, {Auto, 2, 638, 720}, {Auto, 4, 638, 358}, {Auto, 5, 424, 358},
	} {
		t.Run(fmt.Sprint(c.aspect, c.n), func(t *testing.T) {
			got := Compute(Config{Gap: 2, Aspect: c.aspect}, hd, people(c.n))[0].Rect
			if got.W != c.w || got.H != c.h {
				t.Errorf("%dx%d, want %dx%d", got.W, got.H, c.w, c.h)
			}
		})
	}
}

func TestComputeLeavesItsArgumentAlone(t *testing.T) {
	ps := people(5)
	slices.Reverse(ps)
	ps[1].HasVideo = false
	before := slices.Clone(ps)
	Compute(Config{OmitStoppedVideo: true}, hd, ps)
	if diff := cmp.Diff(before, ps); diff != "" {
		t.Error(diff)
	}
}

func TestNoRoom(t *testing.T) {
	if got := Compute(Default(), Size{0, 0}, people(3)); len(got) != 0 {
		t.Errorf("empty canvas: %+v", got)
	}
	if got := Compute(Config{Gap: 1 << 40}, hd, people(3)); len(got) != 3 {
		t.Errorf("gap beyond the canvas: %+v", got)
	}
	if got := Compute(Default(), hd, nil); len(got) != 0 {
		t.Errorf("nobody: %+v", got)
	}
}
