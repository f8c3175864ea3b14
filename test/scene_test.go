package test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"

	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/scene"
	"github.com/footlight-live/footlight/test/harness"
)

// TestScene starts a composition with a scene of its own by a tag, and changes how it looks while it runs: custom
// regions, an overlay that covers a participant, and back to the plain layout. Everything happened is in the log.
func TestScene(t *testing.T) {
	const grace = 3
	s := harness.StartServer(t)
	stage := s.CreateStage("scene")
	s.Publish(stage, ada, "Ada")
	s.WaitPublishing(stage, 1)
	s.Publish(stage, grace, "Grace")
	s.WaitPublishing(stage, 2)
	people := []layout.Participant{camera("ada", map[string]string{"username": "Ada"}), camera("grace", map[string]string{"username": "Grace"})}

	const regions = `{"layout": {"custom": {"width": 1280, "height": 720, "regions": [
		{"id": "guest", "x": 40, "y": 40, "width": 480, "height": 270, "select": {"attribute": "username", "value": "Grace"}},
		{"id": "host", "x": 600, "y": 300, "width": 640, "height": 360, "select": {"attribute": "username", "value": "Ada"}, "cornerRadius": 24}
	]}}, "background": {"color": "#204060"}, "namePlates": {}, "activeSpeaker": {}}`
	custom := places(t, regions, people)
	plain := harness.Tiles(layout.Default(), people...)

	// A white board that covers Grace's tile in the plain grid of two, but for its edge.
	board := image.NewRGBA(image.Rect(0, 0, 600, 340))
	for i := range board.Pix {
		board.Pix[i] = 0xff
	}
	var file bytes.Buffer
	if err := png.Encode(&file, board); err != nil {
		t.Fatal(err)
	}
	s.Call("PUT", "images/board", "image/png", file.Bytes())
	s.Call("PUT", "scenes/talk", "application/json", []byte(regions))
	const covered = `{"overlays": [{"id": "board", "image": "board", "x": 660, "y": 190}]}`

	var arn, path string
	p := plan{
		start: func(in *ivsrealtime.StartCompositionInput) { in.Tags = map[string]string{"footlight:scene": "talk"} },
		begun: func(composition string) {
			arn = composition
			path = "compositions/" + id(arn)
		},
		steps: []step{
			{"regions by a tag", func() {}, []sight{{ada, custom[0], false}, {grace, custom[1], false}}, []int{ada, grace}, time.Second},
			{"an overlay over the plain grid", func() { s.Call("PUT", path+"/scene", "application/json", []byte(covered)) },
				[]sight{{ada, plain[0], false}, {grace, plain[1], true}}, []int{ada, grace}, time.Second},
			{"the plain grid", func() { s.Call("DELETE", path+"/scene", "", nil) },
				[]sight{{ada, plain[0], false}, {grace, plain[1], false}}, []int{ada, grace}, time.Second},
			{"the stored scene", func() { s.Call("PUT", path+"/scene", "application/json", []byte(`{"name": "talk"}`)) },
				[]sight{{ada, custom[0], false}, {grace, custom[1], false}}, []int{ada, grace}, time.Second},
			{"the composition is looked at", func() { measured(t, s.Call("GET", path, "", nil), custom) },
				[]sight{{ada, custom[0], false}, {grace, custom[1], false}}, []int{ada, grace}, time.Second},
		},
	}
	p.carryOut(t, s, stage)

	want := []string{"Session Start", "Destination Start", "Destination End", "Session End"}
	waitEventNames(t, s, arn, want)

	preview, err := png.Decode(bytes.NewReader(s.Call("POST", "preview", "application/json", []byte(`{"scene": {"name": "talk"}, "count": 2}`))))
	if err != nil || preview.Bounds().Dx() != 1280 || preview.Bounds().Dy() != 720 {
		t.Fatalf("the preview is no picture of 1280x720: %v", err)
	}
	if r, g, b, _ := preview.At(1270, 710).RGBA(); !near(color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 255}, color.RGBA{0x20, 0x40, 0x60, 255}) {
		t.Errorf("the preview's background is %d %d %d", r>>8, g>>8, b>>8)
	}
}

// places is where a scene's layout shows the participants.
func places(t *testing.T, document string, people []layout.Participant) []image.Rectangle {
	t.Helper()
	sc, err := scene.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return harness.Tiles(*sc.Layout, people...)
}

// measured checks what a composition says of itself: two live inputs and their tiles.
func measured(t *testing.T, answer []byte, at []image.Rectangle) {
	t.Helper()
	var got struct {
		Measurements struct {
			Frames       uint64                          `json:"frames"`
			Encode       struct{ Count uint64 }          `json:"encode"`
			Participants []struct{ Video, Audio string } `json:"participants"`
			Canvases     []struct {
				Tiles []struct {
					X, Y, Width, Height int
					Shows               string
				} `json:"tiles"`
			} `json:"canvases"`
		} `json:"measurements"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	m := got.Measurements
	if m.Frames == 0 || m.Encode.Count == 0 || len(m.Participants) != 2 || len(m.Canvases) != 1 || len(m.Canvases[0].Tiles) != 2 {
		t.Fatalf("the composition measures %s", answer)
	}
	for _, p := range m.Participants {
		if p.Video != "live" || p.Audio != "live" {
			t.Errorf("a participant is said to have video %s and audio %s", p.Video, p.Audio)
		}
	}
	for _, tile := range m.Canvases[0].Tiles {
		r := image.Rect(tile.X, tile.Y, tile.X+tile.Width, tile.Y+tile.Height)
		if tile.Shows != "video" || !slices.Contains(at, r) {
			t.Errorf("a tile shows %s at %v, want %v", tile.Shows, r, at)
		}
	}
}

func near(a, b color.RGBA) bool {
	apart := func(x, y uint8) bool { return max(x, y)-min(x, y) > 6 }
	return !apart(a.R, b.R) && !apart(a.G, b.G) && !apart(a.B, b.B)
}
