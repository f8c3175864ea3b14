package layout

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func pipConfig() Config {
	return Config{Kind: PIP, PIPAttribute: "cam", FeaturedAttribute: "screen"}
}

func TestPIPWindow(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config, *Participant)
		want   Rect
	}{
		{"default", func(*Config, *Participant) {}, Rect{960, 540, 320, 180}},
		{"offset", func(c *Config, _ *Participant) { c.PIPOffset = 20 }, Rect{940, 520, 320, 180}},
		{"odd offset", func(c *Config, _ *Participant) { c.PIPOffset = 21 }, Rect{938, 518, 320, 180}},
		{"top left", func(c *Config, _ *Participant) { c.PIPPosition, c.PIPOffset = TopLeft, 10 }, Rect{10, 10, 320, 180}},
		{"top right", func(c *Config, _ *Participant) { c.PIPPosition, c.PIPOffset = TopRight, 10 }, Rect{950, 10, 320, 180}},
		{"bottom left", func(c *Config, _ *Participant) { c.PIPPosition, c.PIPOffset = BottomLeft, 10 }, Rect{10, 530, 320, 180}},
		{"both sides", func(c *Config, _ *Participant) { c.PIPWidth, c.PIPHeight = 200, 200 }, Rect{1080, 520, 200, 200}},
		{"width only", func(c *Config, _ *Participant) { c.PIPWidth = 640 }, Rect{640, 360, 640, 360}},
		{"height only", func(c *Config, _ *Participant) { c.PIPHeight = 360 }, Rect{640, 360, 640, 360}},
		{"portrait video", func(_ *Config, p *Participant) { p.VideoWidth, p.VideoHeight = 720, 1280 }, Rect{1146, 480, 134, 240}},
		{"4:3 video", func(_ *Config, p *Participant) { p.VideoWidth, p.VideoHeight = 640, 480 }, Rect{960, 480, 320, 240}},
		{"video of no use", func(_ *Config, p *Participant) { p.VideoWidth, p.VideoHeight = 1920, 1 }, Rect{960, 718, 320, 2}},
		{"stopped video", func(_ *Config, p *Participant) { p.VideoWidth, p.VideoHeight, p.HasVideo = 640, 480, false }, Rect{960, 540, 320, 180}},
		{"too large", func(c *Config, _ *Participant) { c.PIPWidth, c.PIPHeight = 5000, 5000 }, Rect{0, 0, 1280, 720}},
		{"pushed out", func(c *Config, _ *Participant) { c.PIPOffset = 1 << 40 }, Rect{0, 0, 320, 180}},
		{"pushed out at the top left", func(c *Config, _ *Participant) { c.PIPOffset, c.PIPPosition = 1<<40, TopLeft }, Rect{960, 540, 320, 180}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ps, cfg := people(2), pipConfig()
			ps[0] = with(ps[0], "cam", "true")
			c.change(&cfg, &ps[0])
			want := []Tile{{ParticipantID: "B", Rect: Rect{0, 0, 1280, 720}, Fill: Cover}, {ParticipantID: "A", Rect: c.want, Fill: Cover, Z: 1}}
			if diff := cmp.Diff(want, Compute(cfg, hd, ps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPIPMainArea(t *testing.T) {
	ps := people(4)
	ps[1] = with(ps[1], "cam", "true")
	cfg := pipConfig()
	got := Compute(cfg, hd, ps)
	want := []Tile{ // gap 0, whole cells
		{ParticipantID: "A", Rect: Rect{0, 0, 640, 360}, Fill: Cover},
		{ParticipantID: "C", Rect: Rect{640, 0, 640, 360}, Fill: Cover},
		{ParticipantID: "D", Rect: Rect{320, 360, 640, 360}, Fill: Cover},
		{ParticipantID: "B", Rect: Rect{960, 540, 320, 180}, Fill: Cover, Z: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	ps[3] = with(ps[3], "screen", "true")
	got = Compute(cfg, hd, ps)
	if got[0].ParticipantID != "D" || got[0].Rect != (Rect{0, 0, 1280, 540}) || got[0].Fill != Cover {
		t.Errorf("featured in the main area: %+v", got[0])
	}
	if last := got[3]; last.ParticipantID != "B" || last.Z != 1 {
		t.Errorf("window: %+v", last)
	}

	cfg.PIPAttribute = ""
	if got := Compute(cfg, hd, ps); len(got) != 4 || got[3].Z != 0 {
		t.Errorf("no window attribute, yet %+v", got)
	}
}

func TestPIPAlone(t *testing.T) {
	whole := Rect{0, 0, 1280, 720}
	ps := []Participant{with(people(1)[0], "cam", "true")}
	cfg := pipConfig()
	if got := Compute(cfg, hd, ps); len(got) != 1 || got[0].Rect == whole || got[0].Z != 1 {
		t.Errorf("static: %+v, want the window in its place", got)
	}
	cfg.PIPBehavior = Dynamic
	if got := Compute(cfg, hd, ps); len(got) != 1 || got[0].Rect != whole {
		t.Errorf("dynamic: %+v, want the whole canvas", got)
	}
	cfg.PIPBehavior = Static
	ps[0].Attributes["screen"] = "true"
	if got := Compute(cfg, hd, ps); len(got) != 1 || got[0].Rect != whole {
		t.Errorf("featured as well: %+v, want the main screen", got)
	}
	ps = append(ps, Participant{ID: "B", Joined: 1})
	if got := Compute(cfg, hd, ps); got[0].ParticipantID != "B" || got[1].ParticipantID != "A" || got[1].Z != 1 {
		t.Errorf("featured as well, with company: %+v, want A in the window", got)
	}
}

// A canvas of another shape is covered by a single main participant.
func TestPIPPortraitCanvas(t *testing.T) {
	ps := people(2)
	ps[0] = with(ps[0], "cam", "true")
	got := Compute(pipConfig(), Size{1080, 1920}, ps)
	if got[0].Rect != (Rect{0, 0, 1080, 1920}) {
		t.Errorf("main area %+v", got[0].Rect)
	}
	if got[1].Rect != (Rect{810, 1770, 270, 150}) {
		t.Errorf("window %+v", got[1].Rect)
	}
}
