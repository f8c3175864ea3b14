package scene

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/composer/layout"
)

const full = `{
	"width": 1920, "height": 1080,
	"layout": {"custom": {
		"participantOrderAttribute": "rank", "omitStoppedVideo": true, "videoFillMode": "CONTAIN",
		"regions": [
			{"id": "stage", "x": 40, "y": 40, "width": 1400, "height": 800, "z": 1, "fill": "COVER", "cornerRadius": 24,
			 "select": {"attribute": "role", "value": "host", "video": true}, "order": "turn"},
			{"x": 0, "y": 0, "width": 100, "height": 100, "select": {"participantId": "p1"}},
			{"x": 0, "y": 0, "width": 100, "height": 100, "select": {"userId": "u1"}},
			{"x": 0, "y": 0, "width": 100, "height": 100, "select": {"attribute": "star"}},
			{"id": "rest", "x": 0, "y": 880, "width": 1920, "height": 200, "grid": {"gap": 8, "aspect": "SQUARE"}},
			{"x": 0, "y": 0, "width": 1920, "height": 1080, "z": -1, "select": {}, "grid": {}}]}},
	"hide": [{"attribute": "hidden"}, {"userId": "bot"}],
	"tiles": {"cornerRadius": 12, "margin": 7, "color": "#010203"},
	"background": {"color": "#0a141e", "image": "wall"},
	"placeholder": {"color": "#202020", "image": "off"},
	"overlays": [
		{"id": "lower", "image": "lower-third", "x": -10, "y": 900, "width": 600, "height": 100, "opacity": 0.5, "z": 3},
		{"image": "wall", "hidden": true},
		{"image": "logo", "z": -2}, {"image": "logo", "z": 3, "height": 40}, {"image": "ghost", "opacity": 0},
		{"text": "Live", "x": 5, "z": 4}, {"text": "Now", "width": 300, "size": 50, "color": "#000001", "background": "#000002", "z": 5}],
	"namePlates": {"attribute": "title", "position": "TOP", "size": 30, "color": "#ffffff", "background": "#112233", "opacity": 0.25, "minHeight": 120},
	"activeSpeaker": {"color": "#00ff00", "width": 6}}`

func TestParse(t *testing.T) {
	got, err := Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	rgb := func(r, g, b uint8) color.RGBA { return color.RGBA{r, g, b, 255} }
	small := layout.Rect{W: 100, H: 100}
	want := Scene{
		Reference: layout.Size{W: 1920, H: 1080},
		Layout: &layout.Config{Kind: layout.Custom, Reference: layout.Size{W: 1920, H: 1080}, OrderAttribute: "rank",
			OmitStoppedVideo: true, Fill: layout.Contain, Regions: []layout.Region{
				{ID: "stage", Rect: layout.Rect{X: 40, Y: 40, W: 1400, H: 800}, Z: 1, Fill: layout.Cover, CornerRadius: 24,
					Select: layout.Selector{Attribute: "role", Value: "host", Video: true}, Order: "turn"},
				{ID: "region2", Rect: small, Select: layout.Selector{ParticipantID: "p1"}},
				{ID: "region3", Rect: small, Select: layout.Selector{UserID: "u1"}},
				{ID: "region4", Rect: small, Select: layout.Selector{Attribute: "star", Value: "true"}},
				{ID: "rest", Rect: layout.Rect{Y: 880, W: 1920, H: 200}, Grid: &layout.RegionGrid{Gap: 8, Aspect: layout.Square}},
				{ID: "region6", Rect: layout.Rect{W: 1920, H: 1080}, Z: -1, Grid: &layout.RegionGrid{Gap: 2}},
			}},
		Hide:         []layout.Selector{{Attribute: "hidden", Value: "true"}, {UserID: "bot"}},
		CornerRadius: 12, Margin: 7, TileColor: rgb(1, 2, 3),
		Background:  Background{rgb(10, 20, 30), "wall"},
		Placeholder: Placeholder{rgb(32, 32, 32), "off"},
		Overlays: []Overlay{
			{Image: "logo", Z: -2, Opacity: 1},
			{ID: "lower", Image: "lower-third", X: -10, Y: 900, Width: 600, Height: 100, Opacity: 0.5, Z: 3},
			{Image: "logo", Z: 3, Height: 40, Opacity: 1},
			{Text: "Live", X: 5, Z: 4, Opacity: 1, Size: 32, Color: rgb(255, 255, 255)},
			{Text: "Now", Width: 300, Z: 5, Opacity: 1, Size: 50, Color: rgb(0, 0, 1), Background: rgb(0, 0, 2)},
		},
		NamePlates:    &NamePlates{"title", Top, 30, rgb(255, 255, 255), rgb(17, 34, 51), 0.25, 120},
		ActiveSpeaker: &ActiveSpeaker{rgb(0, 255, 0), 6},
		Images:        []string{"logo", "lower-third", "off", "wall"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseDefaults(t *testing.T) {
	for _, in := range []string{``, `null`, ` null `, `{}`} {
		got, err := Parse([]byte(in))
		got.Reference = layout.Size{}
		if diff := cmp.Diff(Scene{}, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", in, err, diff)
		}
	}
	got, err := Parse([]byte(`{"namePlates":{},"activeSpeaker":{},"hide":null,"overlays":[],"layout":{"pip":{"pipOffset":7},"grid":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	if p := got.NamePlates; p == nil || p.Position != BottomLeft || p.Size != 20 || p.Opacity != 0.6 || p.MinHeight != 90 {
		t.Errorf("name plates %+v", p)
	}
	if a := got.ActiveSpeaker; a == nil || a.Width != 4 {
		t.Errorf("active speaker %+v", a)
	}
	if got.Layout == nil || got.Layout.Kind != layout.PIP || got.Layout.PIPOffset != 7 || got.Layout.Fill != layout.Cover {
		t.Errorf("layout %+v", got.Layout)
	}
}

// The size of the document and that of its custom layout stand for each other.
func TestReference(t *testing.T) {
	for in, want := range map[string][2]layout.Size{
		`{"layout":{"custom":{"regions":[]}}}`:                                                 {{W: 1280, H: 720}, {W: 1280, H: 720}},
		`{"width":720,"height":1280,"layout":{"custom":{"regions":[]}}}`:                       {{W: 720, H: 1280}, {W: 720, H: 1280}},
		`{"layout":{"custom":{"width":640,"height":360,"regions":[]}}}`:                        {{W: 640, H: 360}, {W: 640, H: 360}},
		`{"width":1920,"layout":{"custom":{"width":640,"height":360,"regions":[]}}}`:           {{W: 1920, H: 360}, {W: 640, H: 360}},
		`{"height":100,"width":100,"layout":{"custom":{"width":32,"height":16,"regions":[]}}}`: {{W: 100, H: 100}, {W: 32, H: 16}},
	} {
		s, err := Parse([]byte(in))
		if err != nil || s.Reference != want[0] || s.Layout.Reference != want[1] {
			t.Errorf("%s: %v %+v", in, err, s)
		}
	}
}

func TestParseErrors(t *testing.T) {
	region := func(members string) string {
		return `{"layout":{"custom":{"regions":[{"x":0,"y":0,"width":10,"height":10` + members + `}]}}}`
	}
	many := func(n int, entry string) string { return strings.TrimSuffix(strings.Repeat(entry+",", n), ",") }
	for in, want := range map[string]string{
		`{`:                               "unexpected end",
		`[]`:                              "the document must be an object",
		`7`:                               "the document must be an object",
		`{} {}`:                           "invalid character",
		`{"colour":1}`:                    `the document has no member "colour"; it can have activeSpeaker, background, height, hide`,
		`{"Layout":{}}`:                   `has no member "Layout"`,
		`{"width":640,"width":2}`:         "width is there twice",
		`{"width":2}`:                     "width must be a whole number from 16 to 7680, not 2",
		`{"width":640.5}`:                 "width must be a whole number",
		`{"width":"640"}`:                 "width must be a whole number",
		`{"layout":{}}`:                   "layout needs one of grid, pip and custom",
		`{"layout":{"grid":{},"pip":{}}}`: "both grid and pip",
		`{"layout":{"grid":{},"custom":{"regions":[]}}}`:                                                      "layout",
		`{"layout":{"grid":{"gap":1}}}`:                                                                       `no member is called "gap"`,
		`{"layout":{"grid":{"gridGap":-1}}}`:                                                                  "gridGap -1 is negative",
		`{"layout":{"custom":{}}}`:                                                                            "layout.custom.regions is missing",
		`{"layout":{"custom":{"regions":{}}}}`:                                                                "layout.custom.regions must be a list",
		`{"layout":{"custom":{"regions":[` + many(33, `{"width":1,"height":1}`) + `]}}}`:                      "layout.custom.regions has 33 entries, more than 32",
		`{"layout":{"custom":{"regions":[{"height":10}]}}}`:                                                   "layout.custom.regions[0].width is missing",
		`{"layout":{"custom":{"regions":[{"width":10}]}}}`:                                                    "layout.custom.regions[0].height is missing",
		`{"layout":{"custom":{"regions":[{"x":1275,"width":10,"height":10}]}}}`:                               "layout.custom.regions[0] reaches (1285, 10), beyond the 1280x720 of the document",
		`{"layout":{"custom":{"regions":[{"id":"a","width":1,"height":1},{"id":"a","width":1,"height":1}]}}}`: `layout.custom.regions[1].id "a" is taken`,
		region(`,"x":-1`):                                                 "x is there twice",
		region(`,"fill":"ZOOM"`):                                          `fill must be one of CONTAIN, COVER, FILL, not "ZOOM"`,
		region(`,"fill":3`):                                               "fill must be one of",
		region(`,"select":"anyone"`):                                      "layout.custom.regions[0].select must be an object",
		region(`,"select":{"value":"x"}`):                                 "select.value stands without attribute",
		region(`,"select":{"attribute":7}`):                               "select.attribute must be text in quotes",
		region(`,"grid":{"aspect":"WIDE"}`):                               "grid.aspect must be one of",
		region(`,"cornerRadius":-3`):                                      "cornerRadius must be a whole number from 0",
		region(`,"z":100000`):                                             "z must be a whole number from -1000 to 1000",
		`{"hide":[{}]}`:                                                   "hide[0] would hide everyone",
		`{"hide":{"attribute":"x"}}`:                                      "hide must be a list",
		`{"background":{"color":"red"}}`:                                  `background.color must be a colour like #1f6feb, not "red"`,
		`{"background":{"color":"#12345g"}}`:                              "background.color must be a colour",
		`{"background":{"color":"#+12345"}}`:                              "background.color must be a colour",
		`{"background":{"image":"../etc/passwd"}}`:                        "background.image must be the name of an image",
		`{"background":{"image":""}}`:                                     "background.image must be the name of an image",
		`{"overlays":[{"x":1}]}`:                                          "overlays[0] needs either image or text",
		`{"overlays":[` + many(17, `{"image":"a"}`) + `]}`:                "overlays has 17 entries, more than 16",
		`{"overlays":[{"image":"a","text":"b"}]}`:                         "overlays[0] needs either image or text",
		`{"overlays":[{"text":"b","height":9}]}`:                          "overlays[0].height is for images",
		`{"overlays":[{"text":"` + strings.Repeat("ä", 129) + `"}]}`:      "overlays[0].text has more than 128 characters",
		`{"overlays":[{"text":"b","size":4}]}`:                            "overlays[0].size must be a whole number from 8",
		`{"overlays":[{"image":"a","opacity":1.5}]}`:                      "overlays[0].opacity must be a number from 0 to 1, not 1.5",
		`{"overlays":[{"image":"a","opacity":"x"}]}`:                      "overlays[0].opacity must be a number",
		`{"overlays":[{"image":"a","hidden":1}]}`:                         "overlays[0].hidden must be true or false",
		`{"overlays":[{"image":"a","width":0}]}`:                          "overlays[0].width must be a whole number from 1",
		`{"namePlates":{"position":"LEFT"}}`:                              "namePlates.position must be one of BOTTOM, BOTTOM_LEFT",
		`{"namePlates":{"attribute":"` + strings.Repeat("x", 129) + `"}}`: "namePlates.attribute has more than 128 characters",
		`{"namePlates":true}`:                                             "namePlates must be an object",
		`{"activeSpeaker":{"width":65}}`:                                  "activeSpeaker.width must be a whole number from 1 to 64",
		`{"tiles":{"` + strings.Repeat("y", 300) + `":1}}`:                "tiles has no member",
		`{"width":` + strings.Repeat(" ", maxDocument) + `100}`:           "more than 262144",
	} {
		_, err := Parse([]byte(in))
		switch {
		case err == nil || !strings.Contains(err.Error(), want):
			t.Errorf("%.80s: error %v, want one with %q", in, err, want)
		case !errors.Is(err, ErrInvalid):
			t.Errorf("%.80s: %v is not of kind ErrInvalid", in, err)
		case len(err.Error()) > 300:
			t.Errorf("%.80s: the error has %d bytes", in, len(err.Error()))
		}
	}
}

func TestLayoutOver(t *testing.T) {
	own := layout.Config{Gap: 5, Hide: []layout.Selector{{UserID: "a"}}}
	plain := Scene{}
	if diff := cmp.Diff(own, plain.LayoutOver(own)); diff != "" {
		t.Error(diff)
	}
	s, err := Parse([]byte(`{"width":640,"height":360,"hide":[{"userId":"b"}],"tiles":{"cornerRadius":9,"margin":4}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := layout.Config{Gap: 5, Hide: []layout.Selector{{UserID: "a"}, {UserID: "b"}}, CornerRadius: 9, Margin: 4, Reference: layout.Size{W: 640, H: 360}}
	if diff := cmp.Diff(want, s.LayoutOver(own)); diff != "" {
		t.Error(diff)
	}
	s.Layout = &layout.Config{Kind: layout.PIP}
	if got := s.LayoutOver(own); got.Kind != layout.PIP || got.Gap != 0 {
		t.Errorf("%+v", got)
	}
}

func TestNames(t *testing.T) {
	for i, c := range []struct {
		p               layout.Participant
		display, chosen string
	}{
		{layout.Participant{ID: "i", UserID: "u", Attributes: map[string]string{"username": "n", "name": "m", "title": "t"}}, "n", "t"},
		{layout.Participant{ID: "i", UserID: "u", Attributes: map[string]string{"name": "m", "title": ""}}, "m", "m"},
		{layout.Participant{ID: "i", UserID: "u"}, "u", "u"},
		{layout.Participant{ID: "i"}, "i", "i"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := Scene{}
			if got := s.PlateName(&c.p); got != "" || DisplayName(&c.p) != c.display {
				t.Errorf("plate %q, display %q", got, DisplayName(&c.p))
			}
			s.NamePlates = &NamePlates{Attribute: "title"}
			if got := s.PlateName(&c.p); got != c.chosen {
				t.Errorf("plate %q", got)
			}
		})
	}
}

// Parse never panics, and what it takes is within the bounds that drawing relies on.
func FuzzParse(f *testing.F) {
	for _, s := range []string{full, ``, `null`, `{}`, `{"layout":{"grid":{"gridGap":2}}}`, `{"hide":[{"video":true}]}`, `[[[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("%v is not of kind ErrInvalid", err)
			}
			return
		}
		if len(bytes.TrimSpace(data)) > 0 && !json.Valid(data) {
			t.Fatal("taken although it is no JSON")
		}
		if len(s.Overlays) > maxOverlays || len(s.Hide) > maxHide || s.Reference.W < 0 || s.Reference.W > maxSide {
			t.Fatalf("beyond the bounds: %+v", s)
		}
		if s.Layout != nil {
			ps := []layout.Participant{{ID: "a", HasVideo: true}, {ID: "b", Attributes: map[string]string{"role": "host"}}}
			for _, tile := range layout.Compute(s.LayoutOver(layout.Default()), layout.Size{W: 1280, H: 720}, ps) {
				if r := tile.Rect; r.X < 0 || r.Y < 0 || r.W < 2 || r.H < 2 || r.X+r.W > 1280 || r.Y+r.H > 720 || (r.X|r.Y|r.W|r.H)&1 != 0 {
					t.Fatalf("tile %+v", tile)
				}
			}
		}
	})
}
