package ladder

import (
	"fmt"
	"strings"
	"testing"
)

// words writes rungs as WxH/every@kilobits.
func words(rungs []Rung) string {
	var all []string
	for _, r := range rungs {
		all = append(all, fmt.Sprintf("%dx%d/%d@%d", r.Width, r.Height, r.Every, r.BitRate/1000))
	}
	return strings.Join(all, " ")
}

func TestRungs(t *testing.T) {
	for _, c := range []struct {
		kind   Type
		preset Preset
		in     Source
		want   string
	}{
		{AdvancedHD, HigherBandwidth, Source{1280, 720, 30}, "1280x720/1@2300 852x480/1@1300 640x360/1@700 284x160/1@270"},
		{AdvancedHD, ConstrainedBandwidth, Source{1280, 720, 30}, "1280x720/1@1900 852x480/1@800 640x360/1@400 284x160/1@220"},
		{AdvancedSD, HigherBandwidth, Source{1280, 720, 30}, "852x480/1@1300 640x360/1@700 284x160/1@270"},
		{AdvancedSD, ConstrainedBandwidth, Source{1920, 1080, 60}, "852x480/2@800 640x360/2@400 284x160/2@220"},
		{AdvancedHD, HigherBandwidth, Source{1920, 1080, 30}, "1280x720/1@2300 852x480/1@1300 640x360/1@700 284x160/1@270"},
		{AdvancedHD, HigherBandwidth, Source{1920, 1080, 60}, "1280x720/1@3000 852x480/2@1300 640x360/2@700 284x160/2@270"},
		{AdvancedHD, ConstrainedBandwidth, Source{1920, 1080, 60000. / 1001}, "1280x720/1@2200 852x480/2@800 640x360/2@400 284x160/2@220"},
		{AdvancedHD, HigherBandwidth, Source{1280, 720, 50}, "1280x720/1@3000 852x480/2@1300 640x360/2@700 284x160/2@270"},
		{AdvancedHD, HigherBandwidth, Source{1280, 720, 24}, "1280x720/1@2300 852x480/1@1300 640x360/1@700 284x160/1@270"},
		{AdvancedHD, HigherBandwidth, Source{1280, 720, 120}, "1280x720/2@3000 852x480/4@1300 640x360/4@700 284x160/4@270"},
		{AdvancedHD, HigherBandwidth, Source{1280, 720, 90}, "1280x720/2@3000 852x480/4@1300 640x360/4@700 284x160/4@270"},
		{AdvancedHD, HigherBandwidth, Source{1280, 720, 240}, "1280x720/4@3000 852x480/8@1300 640x360/8@700 284x160/8@270"},
		{AdvancedHD, HigherBandwidth, Source{1280, 720, 5}, "1280x720/1@2300 852x480/1@1300 640x360/1@700 284x160/1@270"},

		// Portrait, square, 4:3, cinema.
		{AdvancedHD, HigherBandwidth, Source{720, 1280, 30}, "720x1280/1@2300 480x852/1@1300 360x640/1@700 160x284/1@270"},
		{AdvancedHD, HigherBandwidth, Source{1080, 1920, 30}, "720x1280/1@2300 480x852/1@1300 360x640/1@700 160x284/1@270"},
		{AdvancedHD, HigherBandwidth, Source{1080, 1080, 30}, "720x720/1@2300 480x480/1@1300 360x360/1@700 160x160/1@270"},
		{AdvancedHD, HigherBandwidth, Source{1440, 1080, 25}, "960x720/1@2300 640x480/1@1300 480x360/1@700 214x160/1@270"},
		{AdvancedHD, HigherBandwidth, Source{640, 480, 30}, "640x480/1@1300 480x360/1@700 214x160/1@270"},
		{AdvancedHD, HigherBandwidth, Source{1920, 800, 24}, "1280x534/1@2300 852x356/1@1300 640x266/1@700 284x118/1@270"},

		// Nothing is enlarged.
		{AdvancedHD, HigherBandwidth, Source{960, 540, 30}, "852x480/1@1300 640x360/1@700 284x160/1@270"},
		{AdvancedHD, HigherBandwidth, Source{640, 360, 30}, "640x360/1@700 284x160/1@270"},
		{AdvancedHD, HigherBandwidth, Source{426, 240, 30}, "284x160/1@270"},
		{AdvancedHD, HigherBandwidth, Source{284, 160, 60}, "284x160/2@270"},
		{AdvancedSD, HigherBandwidth, Source{160, 120, 30}, "160x120/1@270"},
		{AdvancedSD, HigherBandwidth, Source{64, 48, 30}, "64x48/1@270"},
		{AdvancedSD, HigherBandwidth, Source{3, 2, 30}, "2x2/1@270"},

		// Encoders crop, and sides are odd.
		{AdvancedHD, HigherBandwidth, Source{1278, 718, 30}, "1278x718/1@2300 852x480/1@1300 640x360/1@700 284x160/1@270"},
		{AdvancedHD, HigherBandwidth, Source{1279, 719, 30}, "1278x718/1@2300 852x480/1@1300 640x360/1@700 284x160/1@270"},
		{AdvancedHD, HigherBandwidth, Source{1920, 1088, 30}, "1280x720/1@2300 852x480/1@1300 640x360/1@700 284x160/1@270"},
		{AdvancedHD, HigherBandwidth, Source{853, 480, 30}, "852x480/1@1300 640x360/1@700 284x160/1@270"},
		{AdvancedHD, HigherBandwidth, Source{1921, 17, 30}, "1920x16/1@270"},
	} {
		if got := words(Rungs(c.kind, c.preset, c.in)); got != c.want {
			t.Errorf("%s %s %+v:\n got %s\nwant %s", c.kind, c.preset, c.in, got, c.want)
		}
	}
}

// TestRungsAlways goes through all shapes: what holds for every ladder.
func TestRungsAlways(t *testing.T) {
	for _, kind := range []Type{AdvancedSD, AdvancedHD} {
		for w := 2; w <= 1920; w += 13 {
			for h := 2; h <= 1920; h += 7 {
				for _, rate := range []float64{1, 15, 30, 48, 60, 75, 100, 144} {
					in := Source{w, h, rate}
					rungs := Rungs(kind, HigherBandwidth, in)
					if len(rungs) == 0 || len(rungs) > 4 {
						t.Fatalf("%+v: %d rungs", in, len(rungs))
					}
					for i, r := range rungs {
						switch {
						case r.Width < 2 || r.Height < 2 || r.Width%2 != 0 || r.Height%2 != 0:
							t.Fatalf("%+v: sides of %+v", in, r)
						case r.Width > w || r.Height > h:
							t.Fatalf("%+v: %+v is enlarged", in, r)
						case min(r.Width, r.Height) > 720 && len(rungs) > 1:
							t.Fatalf("%+v: %+v is too large", in, r)
						case r.Every < 1 || r.FrameRate > 66 || r.FrameRate*float64(r.Every) != rate && rate/float64(r.Every) != r.FrameRate:
							t.Fatalf("%+v: pictures of %+v", in, r)
						case i > 0 && (r.Every%rungs[i-1].Every != 0 || r.BitRate >= rungs[i-1].BitRate || r.Width >= rungs[i-1].Width && r.Height >= rungs[i-1].Height):
							t.Fatalf("%+v: %+v below %+v", in, r, rungs[i-1])
						}
						if shape, want := float64(r.Width)/float64(r.Height), float64(w)/float64(h); min(r.Width, r.Height) >= 128 && (shape/want > 1.02 || shape/want < 0.98) {
							t.Fatalf("%+v: %+v has another shape", in, r)
						}
					}
				}
			}
		}
	}
}
