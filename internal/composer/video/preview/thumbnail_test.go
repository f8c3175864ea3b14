package preview

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// keyFrame is a picture of one colour as H.264 in Annex B form.
func keyFrame(t testing.TB, size, colour string) []byte {
	t.Helper()
	data, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color="+colour+":size="+size+":rate=1", "-frames:v", "1",
		"-c:v", "libx264", "-pix_fmt", "yuv420p", "-f", "h264", "-").Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	return data
}

func TestThumbnail(t *testing.T) {
	for _, c := range []struct {
		size, colour string
		maxHeight    int
		want         image.Point
		is           color.RGBA
	}{
		{"320x180", "0x0000ff", 0, image.Pt(320, 180), color.RGBA{0, 0, 255, 255}},
		{"320x180", "0x00ff00", 90, image.Pt(160, 90), color.RGBA{0, 255, 0, 255}},
		{"320x180", "0xff0000", 720, image.Pt(320, 180), color.RGBA{255, 0, 0, 255}}, // never larger
		{"90x160", "0xffffff", 100, image.Pt(56, 100), color.RGBA{255, 255, 255, 255}},
		{"642x362", "0x808080", 101, image.Pt(178, 100), color.RGBA{128, 128, 128, 255}},
	} {
		var out bytes.Buffer
		if err := Thumbnail(bytes.NewReader(keyFrame(t, c.size, c.colour)), &out, c.maxHeight); err != nil {
			t.Errorf("%s: %v", c.size, err)
			continue
		}
		img, err := jpeg.Decode(&out)
		if err != nil {
			t.Errorf("%s: %v", c.size, err)
			continue
		}
		if got := img.Bounds().Size(); got != c.want {
			t.Errorf("%s at %d: %v, want %v", c.size, c.maxHeight, got, c.want)
		}
		for _, p := range []image.Point{{1, 1}, {c.want.X / 2, c.want.Y / 2}, {c.want.X - 2, c.want.Y - 2}} {
			if got := img.At(p.X, p.Y); !near(got, c.is) {
				t.Errorf("%s %s at %v: %v", c.size, c.colour, p, got)
			}
		}
	}
}

func TestThumbnailRefuses(t *testing.T) {
	whole := keyFrame(t, "320x180", "0x0000ff")
	for name, r := range map[string]io.Reader{
		"nothing":            strings.NewReader(""),
		"no H.264":           strings.NewReader(strings.Repeat("GIF89a", 1000)),
		"parameters only":    bytes.NewReader(whole[:bytes.Index(whole, []byte{0, 0, 1, 0x68})]),
		"too large":          io.LimitReader(zeros{}, maxAccessUnit+1),
		"a reader that ends": io.MultiReader(bytes.NewReader(whole), failing{}),
	} {
		var out bytes.Buffer
		if err := Thumbnail(r, &out, 0); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, %d bytes came", name, err, out.Len())
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
