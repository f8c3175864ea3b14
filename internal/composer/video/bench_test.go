package video

import (
	"fmt"
	"image"
	"testing"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/layout"
)

func benchPicture(b *testing.B, w, h int) *av.Picture {
	b.Helper()
	p, err := av.NewPicture(image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420), false, av.BT709)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Release)
	return p
}

// BenchmarkCompose measures one picture of 1280x720 in which every tile has a new picture of 640x360, without a
// scene and with all that a scene can have, and one in which nothing changed.
func BenchmarkCompose(b *testing.B) {
	for _, n := range []int{1, 4, 12} {
		b.Run(fmt.Sprintf("plain/%d", n), func(b *testing.B) { benchCompose(b, n, 2, nil) })
		b.Run(fmt.Sprintf("scene/%d", n), func(b *testing.B) { benchCompose(b, n, 2, everything(b, 1280, 720)) })
		b.Run(fmt.Sprintf("still/%d", n), func(b *testing.B) { benchCompose(b, n, 1, everything(b, 1280, 720)) })
	}
}

func benchCompose(b *testing.B, n, pictures int, look *Look) {
	m, err := New(Config{Width: 1280, Height: 720})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.Close)
	m.SetLook(look)
	pics := []*av.Picture{benchPicture(b, 640, 360), benchPicture(b, 640, 360)}
	ps := make([]layout.Participant, n)
	for i := range ps {
		ps[i] = layout.Participant{ID: fmt.Sprint(i), HasVideo: true, Joined: int64(i)}
	}
	cfg := layout.Default()
	if look != nil {
		cfg.CornerRadius = 16
	}
	var tiles []Tile
	for _, t := range layout.Compute(cfg, layout.Size{W: 1280, H: 720}, ps) {
		tiles = append(tiles, Tile{Rect: t.Rect, Fill: t.Fill, CornerRadius: t.CornerRadius, Name: "Ann " + t.ParticipantID, Speaking: true})
	}
	round := 0
	for b.Loop() {
		round++
		for i := range tiles {
			tiles[i].Picture = pics[round%pictures]
		}
		m.Compose(tiles)
	}
}
