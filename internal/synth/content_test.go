package synth

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/test/judge"
)

// TestStripIsReadableAtAllSizes encodes and decodes pictures of each content as publishers send them.
func TestStripIsReadableAtAllSizes(t *testing.T) {
	for _, content := range []Content{Camera, Screen} {
		for _, size := range [][2]int{{160, 90}, {320, 180}, {640, 360}, {360, 640}, {180, 320}, {640, 480}, {1280, 720}, {720, 1280}, {1920, 1080}} {
			t.Run(fmt.Sprintf("%s/%dx%d", content, size[0], size[1]), func(t *testing.T) {
				p := &Publisher{Index: 9, Name: "Grace", FrameRate: 30, BitRate: 1_000_000, Preset: "ultrafast", Content: content}
				c, err := newCamera(p, nil, 0, size[0], size[1])
				if err != nil {
					t.Fatal(err)
				}
				defer c.close()
				decoder, err := av.NewH264Decoder()
				if err != nil {
					t.Fatal(err)
				}
				defer decoder.Close()
				for n := range int64(4) {
					// Within the time in which the screen scrolls.
					captured := time.Unix(1764000006, 0).Add(time.Duration(n) * 501 * time.Millisecond)
					c.painter.Draw(c.frame, captured)
					picture, err := c.encoder.Encode(c.canvas, n, false)
					if err != nil {
						t.Fatal(err)
					}
					got, err := decoder.Decode(picture.Data, n)
					if err != nil || got == nil {
						t.Fatalf("decode picture %d: %v", n, err)
					}
					canvas, err := av.NewCanvas(got.Width, got.Height)
					if err == nil {
						err = canvas.DrawPicture(got, canvas.Bounds(), canvas.Bounds())
					}
					got.Release()
					if err != nil {
						t.Fatal(err)
					}
					img := canvas.Image()
					canvas.Close()
					if index, ms, ok := judge.ReadStrip(img, img.Rect); !ok || index != 9 || ms != captured.UnixMilli() {
						t.Errorf("picture %d: read %d at %d, %v; want 9 at %d", n, index, ms, ok, captured.UnixMilli())
					}
				}
			})
		}
	}
}

func TestDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Publisher{Log: slog.New(slog.DiscardHandler)}
		begin := time.Now()
		if off := p.now().Sub(begin); off != 0 {
			t.Errorf("off by %v at the start", off)
		}
		p.SetFaults(Faults{Drift: 100})
		p.now()
		time.Sleep(1000 * time.Second)
		if off := time.Until(p.now()); off != 100*time.Millisecond {
			t.Errorf("off by %v after 1000 s of 100 ppm", off)
		}
		p.SetFaults(Faults{Drift: -1000})
		p.now()
		time.Sleep(100 * time.Second)
		if off := time.Until(p.now()); off != 0 {
			t.Errorf("off by %v after 100 s of -1000 ppm", off)
		}
		before := p.now()
		if err := p.sleepUntil(context.Background(), before.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if late := p.now().Sub(before.Add(time.Hour)); late.Abs() > time.Microsecond {
			t.Errorf("slept %v too long", late)
		}
	})
}
