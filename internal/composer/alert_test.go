package composer

import (
	"image"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/audio"
	"github.com/footlight-live/footlight/internal/composer/video"
)

// picture is all of one brightness.
func picture(t *testing.T, luma uint8) *av.Picture {
	t.Helper()
	img := image.NewYCbCr(image.Rect(0, 0, 64, 64), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = luma
	}
	pic, err := av.NewPicture(img, false, av.BT709)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pic.Release)
	return pic
}

// TestDarkness: a black canvas is worth an alert after some seconds, if a tile's picture is not black.
func TestDarkness(t *testing.T) {
	canvas, err := av.NewCanvas(64, 64)
	if err != nil {
		t.Fatal(err)
	}
	defer canvas.Close()
	bright, dark := []video.Tile{{Picture: picture(t, 120)}}, []video.Tile{{Picture: picture(t, 16)}}
	for _, c := range []struct {
		name  string
		luma  uint8
		tiles []video.Tile
		want  bool
	}{
		{"nothing shown", 16, []video.Tile{{}}, false},
		{"black pictures", 16, dark, false},
		{"black in spite of pictures", 16, bright, true},
		{"all well", 100, bright, false},
	} {
		canvas.Fill(canvas.Bounds(), c.luma, 128, 128)
		var d darkness
		for now := time.Second; now <= 8*time.Second; now += time.Second / 30 {
			d.look(now, canvas, c.tiles)
			if now < 3*time.Second && d.lasts(now) {
				t.Fatalf("%s: an alert after %v", c.name, now)
			}
		}
		if got := d.lasts(8 * time.Second); got != c.want {
			t.Errorf("%s: alert %v", c.name, got)
		}
	}
}

// TestSilence: silence is worth an alert after some seconds, if somebody should be heard.
func TestSilence(t *testing.T) {
	loud := make([]float32, 2*audio.Block)
	for i := range loud {
		loud[i] = 0.25
	}
	quiet := make([]float32, 2*audio.Block)
	for _, c := range []struct {
		name   string
		writes []float32 // of the participant
		muted  bool
		out    []float32
		want   bool
	}{
		{"nobody speaks", quiet, false, quiet, false},
		{"somebody muted speaks", loud, true, quiet, false},
		{"somebody speaks and is not heard", loud, false, quiet, true},
		{"somebody is heard", loud, false, loud, false},
	} {
		var s silence
		tl := &audio.Timeline{}
		tl.Mute(c.muted)
		for now := time.Second; now <= 8*time.Second; now += 20 * time.Millisecond {
			tl.Write(0, c.writes)
			s.listen(now, c.out, []*audio.Timeline{tl})
		}
		if got := s.lasts(8 * time.Second); got != c.want {
			t.Errorf("%s: alert %v", c.name, got)
		}
	}
}
