package av

import (
	"fmt"
	"image"
	"testing"
)

// BenchmarkDraw measures one tile: as it is, with colours to convert, and for the ratios of usual grids.
func BenchmarkDraw(b *testing.B) {
	for _, c := range []struct {
		name   string
		src    image.Point
		dst    image.Point
		full   bool
		matrix Matrix
	}{
		{"1to1", image.Pt(638, 358), image.Pt(638, 358), false, BT709},
		{"1to1-601", image.Pt(638, 358), image.Pt(638, 358), false, BT601},
		{"1to1-full601", image.Pt(638, 358), image.Pt(638, 358), true, BT601},
		{"2to1", image.Pt(1276, 716), image.Pt(638, 358), false, BT709},
		{"3to2", image.Pt(636, 357), image.Pt(424, 238), false, BT709},
		{"3to1", image.Pt(1272, 714), image.Pt(424, 238), false, BT709},
		{"4to1", image.Pt(1272, 712), image.Pt(318, 178), false, BT709},
		{"4to3", image.Pt(1274, 716), image.Pt(956, 538), false, BT709},
		{"1to2", image.Pt(640, 360), image.Pt(1280, 720), false, BT709},
		{"any", image.Pt(960, 540), image.Pt(640, 358), false, BT709},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, err := NewPicture(image.NewYCbCr(image.Rectangle{Max: c.src}, image.YCbCrSubsampleRatio420), c.full, c.matrix)
			if err != nil {
				b.Fatal(err)
			}
			defer p.Release()
			canvas, err := NewCanvas(1280, 720)
			if err != nil {
				b.Fatal(err)
			}
			defer canvas.Close()
			for b.Loop() {
				if err := canvas.DrawPicture(p, image.Rectangle{Max: c.src}, image.Rectangle{Max: c.dst}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkH264Encode(b *testing.B) {
	for _, preset := range []string{"ultrafast", "superfast", "veryfast"} {
		b.Run(fmt.Sprint("720p-", preset), func(b *testing.B) {
			e, err := NewH264Encoder(H264Config{Width: 1280, Height: 720, Preset: preset})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			canvases := make([]*Canvas, 8)
			for i := range canvases {
				if canvases[i], err = NewCanvas(1280, 720); err != nil {
					b.Fatal(err)
				}
				defer canvases[i].Close()
				gradient(canvases[i], i)
			}
			n := 0
			for b.Loop() {
				if _, err := e.Encode(canvases[n%len(canvases)], int64(n), false); err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
}

func BenchmarkAACEncode(b *testing.B) {
	for _, coder := range []string{"fast", "twoloop"} {
		b.Run(coder, func(b *testing.B) {
			e, err := newAAC(160_000, coder)
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			pcm := tone(0, AACFrame, 440, 1000)
			for i := range pcm {
				pcm[i] += float32(i*7919%1000)/5000 - 0.1
			}
			for b.Loop() {
				if _, err := e.Encode(pcm); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
