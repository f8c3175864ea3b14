package preview

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"
)

// run draws a request that must work.
func run(t *testing.T, request string) image.Image {
	t.Helper()
	var out bytes.Buffer
	if err := Run(strings.NewReader(request), &out); err != nil {
		t.Fatalf("%.100s: %v", request, err)
	}
	img, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// near tells whether two colours are the same but for the rounding of conversions.
func near(a, b color.Color) bool {
	r, g, bl, _ := a.RGBA()
	r2, g2, b2, _ := b.RGBA()
	for _, d := range [3]int{int(r>>8) - int(r2>>8), int(g>>8) - int(g2>>8), int(bl>>8) - int(b2>>8)} {
		if d > 4 || d < -4 {
			return false
		}
	}
	return true
}

func TestRun(t *testing.T) {
	if got := run(t, `{}`).Bounds(); got != image.Rect(0, 0, 1280, 720) {
		t.Errorf("size %v", got)
	}
	img := run(t, `{"width":640,"height":360,"count":4,"scene":{"background":{"color":"#ff0000"}},"layout":{"grid":{"gridGap":8}}}`)
	for _, p := range []struct {
		x, y int
		is   bool
	}{{319, 100, true}, {100, 180, true}, {5, 5, false}, {500, 300, false}} {
		if got := near(img.At(p.x, p.y), color.RGBA{255, 0, 0, 255}); got != p.is {
			t.Errorf("at %d,%d: %v", p.x, p.y, img.At(p.x, p.y))
		}
	}
	// Portrait, without picture, too large, speaking, with an image.
	var logo bytes.Buffer
	blue := image.NewRGBA(image.Rect(0, 0, 8, 8))
	for i := range 64 {
		blue.Set(i%8, i/8, color.RGBA{0, 0, 255, 255})
	}
	if err := png.Encode(&logo, blue); err != nil {
		t.Fatal(err)
	}
	img = run(t, fmt.Sprintf(`{"width":360,"height":640,"images":{"logo":%q},
		"scene":{"width":360,"height":640,"overlays":[{"image":"logo","x":20,"y":30,"width":40}],"activeSpeaker":{"color":"#00ff00","width":8}},
		"participants":[{"userId":"ann","video":false},{"id":"x","videoWidth":3840,"videoHeight":2160,"speaking":true},{"attributes":{"screen":"true"},"videoWidth":720,"videoHeight":1280}]}`,
		base64.StdEncoding.EncodeToString(logo.Bytes())))
	for _, p := range []struct {
		x, y int
		want color.RGBA
	}{{40, 50, color.RGBA{0, 0, 255, 255}}, {4, 110, color.RGBA{0x1f, 0x1f, 0x1f, 255}}, {180, 220, color.RGBA{0, 255, 0, 255}}} {
		if got := img.At(p.x, p.y); !near(got, p.want) {
			t.Errorf("at %d,%d: %v, want %v", p.x, p.y, got, p.want)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for request, want := range map[string]string{
		``:                                "not as it should be",
		`{"width":"a"}`:                   "not as it should be",
		`{"width":641}`:                   "641x720",
		`{"width":1922,"height":2}`:       "1922x2",
		`{"width":1920,"height":1920}`:    "1920x1920",
		`{"height":-2}`:                   "1280x-2",
		`{"count":13}`:                    "13 participants",
		`{"count":-1}`:                    "participants",
		`{"count":1,"participants":[{}]}`: "not both",
		`{"participants":[{"id":"a"},{"id":"a"}]}`:                     `two participants have the id "a"`,
		`{"participants":[{"videoWidth":9999}]}`:                       "9999x720",
		`{"participants":[{"videoWidth":-1}]}`:                         "-1x720",
		`{"layout":{"gird":{}}}`:                                       "gird",
		`{"layout":{"pip":{"pipWidth":0}}}`:                            "pipWidth",
		`{"scene":{"colour":1}}`:                                       "colour",
		`{"scene":{"background":{"image":"x"}}}`:                       `no image "x"`,
		`{"images":{"x":"AAAA"},"scene":{"background":{"image":"x"}}}`: `image "x"`,
		`{"images":{"x":"` + strings.Repeat("A", maxRequest) + `"}}`:   "more than",
	} {
		var out bytes.Buffer
		err := Run(strings.NewReader(request), &out)
		if err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%.60s: error %v, want one with %q", request, err, want)
		}
	}
}

func FuzzRun(f *testing.F) {
	f.Add([]byte(`{"width":64,"height":36,"count":3,"layout":{"pip":{"pipParticipantAttribute":"p"}},"scene":{"namePlates":{}}}`))
	f.Add([]byte(`{"width":64,"height":64,"participants":[{"userId":"王","attributes":{"a":"b"},"videoWidth":64,"videoHeight":36,"speaking":true}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := parse(data)
		if err != nil || req.Width*req.Height > 640*360 || len(req.Participants) > 3 {
			return
		}
		for i := range req.Participants { // large ones take long
			req.Participants[i].VideoWidth, req.Participants[i].VideoHeight = 64, 36
		}
		_, _ = req.draw()
	})
}
