package layout

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseConfig(t *testing.T) {
	for in, want := range map[string]Config{
		``:            Default(),
		`null`:        Default(),
		`{}`:          Default(),
		`{"grid":{}}`: Default(),
		`{"pip":{}}`:  {Kind: PIP, Fill: Cover},
		// The API's own echoes of the defaults.
		`{"grid":{"featuredParticipantAttribute":"","gridGap":2,"omitStoppedVideo":false,"participantOrderAttribute":"","videoAspectRatio":"VIDEO","videoFillMode":""}}`:                                                                         Default(),
		`{"pip":{"featuredParticipantAttribute":"","gridGap":0,"omitStoppedVideo":false,"participantOrderAttribute":"","pipBehavior":"STATIC","pipOffset":0,"pipParticipantAttribute":"","pipPosition":"BOTTOM_RIGHT","videoFillMode":"COVER"}}`: {Kind: PIP, Fill: Cover},
		`{"grid":{"featuredParticipantAttribute":"f","gridGap":0,"omitStoppedVideo":true,"participantOrderAttribute":"o","videoAspectRatio":"PORTRAIT","videoFillMode":"CONTAIN"}}`: {
			FeaturedAttribute: "f", OrderAttribute: "o", OmitStoppedVideo: true, Aspect: Portrait, Fill: Contain,
		},
		`{"pip":{"gridGap":4,"pipBehavior":"DYNAMIC","pipOffset":12,"pipParticipantAttribute":"p","pipPosition":"TOP_LEFT","pipWidth":300,"pipHeight":200,"videoFillMode":"FILL"}}`: {
			Kind: PIP, Gap: 4, PIPBehavior: Dynamic, PIPOffset: 12, PIPAttribute: "p", PIPPosition: TopLeft,
			PIPWidth: 300, PIPHeight: 200, Fill: Fill,
		},
	} {
		got, err := ParseConfig([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
}

func TestParseConfigErrors(t *testing.T) {
	for in, want := range map[string]string{
		`{"grid":{},"pip":{}}`:                  "both grid and pip",
		`{"grid":{"gridGap":-1}}`:               "gridGap",
		`{"grid":{"videoFillMode":"ZOOM"}}`:     "videoFillMode",
		`{"grid":{"videoAspectRatio":"16:9"}}`:  "videoAspectRatio",
		`{"pip":{"pipWidth":0}}`:                "pipWidth",
		`{"pip":{"pipHeight":-3}}`:              "pipHeight",
		`{"pip":{"pipOffset":-3}}`:              "pipOffset",
		`{"pip":{"pipBehavior":"static"}}`:      "pipBehavior",
		`{"pip":{"pipPosition":"MIDDLE"}}`:      "pipPosition",
		`{"grid":{"gridGap":"two"}}`:            "gridGap cannot be a string",
		`{"grid":{"gap":3}}`:                    `no member is called "gap"`,
		`{"gird":{}}`:                           `no member is called "gird"`,
		`{} {}`:                                 "more than one",
		`[]`:                                    "parse layout",
		`{"grid":{"featuredParticipantAttribut`: "parse layout",
	} {
		if _, err := ParseConfig([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that names %s", in, err, want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"grid":{"gridGap":2}}`))
	f.Add([]byte(`{"pip":{"pipWidth":300,"pipOffset":9}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := ParseConfig(data)
		if err != nil {
			return
		}
		ps := people(4)
		ps[1] = with(ps[1], cfg.PIPAttribute, "true")
		for _, tile := range Compute(cfg, hd, ps) {
			if r := tile.Rect; r.X < 0 || r.Y < 0 || r.X+r.W > hd.W || r.Y+r.H > hd.H {
				t.Errorf("%+v is off the canvas", tile)
			}
		}
	})
}
