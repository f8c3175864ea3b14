package scene

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"strings"
	"testing"
)

func pngOf(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecodeImages(t *testing.T) {
	s := Scene{Images: []string{"a", "b"}}
	good := map[string][]byte{"a": pngOf(t, 3, 5), "b": pngOf(t, 1920, 2), "unused": []byte("no image")}
	got, err := s.DecodeImages(good)
	if err != nil || len(got) != 2 || got["a"].Bounds() != image.Rect(0, 0, 3, 5) {
		t.Fatalf("%v, %v", got, err)
	}
	for want, data := range map[string][]byte{
		"1921x1 pixels":  pngOf(t, 1921, 1),
		"unknown format": []byte("GIF89a"),
		"unexpected EOF": good["a"][:40],
	} {
		_, err := s.DecodeImages(map[string][]byte{"a": data, "b": good["b"]})
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("error %v, want one with %q that names the image", err, want)
		}
	}
	if _, err := s.DecodeImages(map[string][]byte{"a": good["a"]}); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), `there is no image "b"`) {
		t.Error(err)
	}
}
