package video

import (
	"strconv"
	"testing"

	"github.com/footlight-live/footlight/internal/composer/layout"
)

// Encoder configurations go down to 2 pixels: tiles get lost there, with or without a picture, nothing else does.
func TestComposeTiny(t *testing.T) {
	picture := chart(t, 320, 180, 90, 90)
	for _, size := range [][2]int{{2, 2}, {2, 1920}, {1920, 2}, {8, 8}, {14, 180}, {4, 6}} {
		m := newMixer(t, size[0], size[1])
		for n := range 13 {
			ps := make([]layout.Participant, n)
			for i := range ps {
				ps[i] = layout.Participant{ID: strconv.Itoa(i), HasVideo: i%2 == 0, VideoWidth: 320, VideoHeight: 180, Joined: int64(i)}
			}
			for _, config := range []string{`{}`, `{"grid":{"gridGap":20}}`, `{"pip":{"pipOffset":10,"pipWidth":4,"pipHeight":4}}`} {
				cfg, err := layout.ParseConfig([]byte(config))
				if err != nil {
					t.Fatal(err)
				}
				var tiles []Tile
				for i, tile := range layout.Compute(cfg, layout.Size{W: size[0], H: size[1]}, ps) {
					out := Tile{Rect: tile.Rect, Fill: tile.Fill, Label: "Ada " + tile.ParticipantID}
					if i%2 == 0 {
						out.Picture = picture
					}
					tiles = append(tiles, out)
				}
				if c := m.Compose(tiles); c.Width != size[0] || c.Height != size[1] {
					t.Fatalf("%v with %d in %s: canvas %dx%d", size, n, config, c.Width, c.Height)
				}
			}
		}
	}
}
