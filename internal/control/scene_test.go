package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/internal/api"
)

func pngOf(t testing.TB, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// padded is a picture of about that many bytes: PNG readers stop at the end of the picture.
func padded(t testing.TB, size int) []byte {
	t.Helper()
	p := pngOf(t, 8, 8)
	return append(p, make([]byte, size-len(p))...)
}

// code is the API's error code.
func code(err error) string {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Code
	}
	return fmt.Sprint(err)
}

func TestScenesAndImagesStay(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	logo := pngOf(t, 64, 32)
	if _, err := f.PutImage(ctx, "logo", logo); err != nil {
		t.Fatal(err)
	}
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewRGBA(image.Rect(0, 0, 1920, 1080)), nil); err != nil {
		t.Fatal(err)
	}
	img, err := f.PutImage(ctx, "photo", photo.Bytes())
	if err != nil || img.Type != "image/jpeg" || img.Width != 1920 || img.Height != 1080 || img.Size != photo.Len() {
		t.Errorf("%+v, %v", img, err)
	}
	if _, err := f.PutScene(ctx, "show", json.RawMessage(`{"background":{"image":"photo"},"overlays":[{"id":"l","image":"logo"}]}`)); err != nil {
		t.Fatal(err)
	}
	f.restart(t)
	img, data, err := f.Image(ctx, "logo")
	if err != nil || !bytes.Equal(data, logo) || img.Type != "image/png" || img.Width != 64 || img.Height != 32 || img.Changed.IsZero() {
		t.Errorf("%+v, %v", img, err)
	}
	if list, err := f.Images(ctx); err != nil || len(list) != 2 || list[0].Name != "logo" || list[1].Width != 1920 {
		t.Errorf("%+v, %v", list, err)
	}
	document, err := f.SceneFor(ctx, map[string]string{SceneTag: "show", "other": "tag"})
	if err != nil || !strings.Contains(string(document), `"photo"`) {
		t.Errorf("%s, %v", document, err)
	}
	if document, err := f.SceneFor(ctx, map[string]string{"other": "tag"}); err != nil || document != nil {
		t.Errorf("%s, %v", document, err)
	}
	for _, name := range []string{"nobody", "", strings.Repeat("x", 5000)} {
		if _, err := f.SceneFor(ctx, map[string]string{SceneTag: name}); code(err) != "ValidationException" || !strings.Contains(err.Error(), "there is no scene") {
			t.Errorf("scene %.10q: %v", name, err)
		}
	}
}

// The images of one scene are bounded together, also when one of them is replaced.
func TestImagesOfASceneTogether(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	document := json.RawMessage(`{"overlays":[{"id":"a","image":"a"},{"id":"b","image":"b"},{"id":"c","image":"c"},{"id":"d","image":"d"},{"id":"e","image":"e"}]}`)
	for _, name := range []string{"a", "b", "c", "d"} {
		if _, err := f.PutImage(ctx, name, padded(t, MaxImageSize-4096)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.PutImage(ctx, "e", padded(t, 4096)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.PutScene(ctx, "full", document); err != nil {
		t.Fatal(err)
	}
	if _, err := f.PutImage(ctx, "e", padded(t, 5*4096)); code(err) != "ValidationException" || !strings.Contains(err.Error(), "scene full uses the image") {
		t.Errorf("%v", err)
	}
	if img, _, err := f.Image(ctx, "e"); err != nil || img.Size != 4096 {
		t.Errorf("a refused image replaced one: %+v, %v", img, err)
	}
	if err := f.DeleteScene(ctx, "full"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.PutImage(ctx, "e", padded(t, 5*4096)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.PutScene(ctx, "full", document); code(err) != "ValidationException" || !strings.Contains(err.Error(), "at most 16777216 bytes together") {
		t.Errorf("%v", err)
	}
}

func TestHowManyScenes(t *testing.T) {
	f := start(t)
	ctx := t.Context()
	defer func(l limit) { sceneLimit = l }(sceneLimit)
	sceneLimit.max = 2
	for _, name := range []string{"a", "b", "a"} { // the third replaces the first
		if _, err := f.PutScene(ctx, name, json.RawMessage(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.PutScene(ctx, "c", json.RawMessage(`{}`)); code(err) != "ServiceQuotaExceededException" {
		t.Error(err)
	}
}

// An image that a composition uses cannot go, and a new one reaches the composition.
func TestImagesOfACompositionStay(t *testing.T) {
	f := startComposing(t)
	ctx := t.Context()
	read := make(chan []string, 10)
	f.manager.Images = func(_ context.Context, names []string) (map[string][]byte, error) {
		read <- slices.Clone(names)
		return f.ImageData(ctx, names)
	}
	if _, err := f.PutImage(ctx, "logo", pngOf(t, 64, 32)); err != nil {
		t.Fatal(err)
	}
	out := f.must(t, "StartComposition", f.body(f.channel, ""))
	name := text(t, out, "composition", "arn")
	_, id, _ := strings.Cut(name, "/")
	set := func(document string) error {
		return f.UseScene(ctx, json.RawMessage(document), func(d json.RawMessage) error { return f.manager.SetScene(ctx, id, d) })
	}
	if err := set(`{"overlays":[{"id":"a","image":"logo"}]}`); err != nil {
		t.Fatal(err)
	}
	if got := <-read; !slices.Equal(got, []string{"logo"}) {
		t.Errorf("read %v", got)
	}
	if err := f.DeleteImage(ctx, "logo"); code(err) != "ConflictException" || !strings.Contains(err.Error(), id) {
		t.Errorf("%v", err)
	}
	if _, err := f.PutImage(ctx, "logo", pngOf(t, 32, 32)); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-read: // again: the composition was given its scene anew
		if !slices.Equal(got, []string{"logo"}) {
			t.Errorf("read %v", got)
		}
	default:
		t.Error("the new image did not reach the composition")
	}
	if err := set(`{}`); err != nil {
		t.Fatal(err)
	}
	if err := f.DeleteImage(ctx, "logo"); err != nil {
		t.Error(err)
	}
}

// Whatever comes as an image is refused in words, or is a picture within the bounds.
func FuzzInspect(f *testing.F) {
	f.Add(pngOf(f, 3, 2))
	f.Add(pngOf(f, 1920, 1))
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewRGBA(image.Rect(0, 0, 16, 8)), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(photo.Bytes())
	f.Add([]byte("GIF89a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		img, err := inspect(data)
		if err != nil {
			if code(err) != "ValidationException" {
				t.Errorf("%v", err)
			}
			return
		}
		if img.Width < 1 || img.Height < 1 || img.Width > maxImageSide || img.Height > maxImageSide || img.Size != len(data) ||
			img.Type != "image/png" && img.Type != "image/jpeg" {
			t.Errorf("%+v", img)
		}
	})
}
