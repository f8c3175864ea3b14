package judge

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser returns the context of a headless Chromium's page, which ends with the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	if !slices.ContainsFunc([]string{"chromium", "chromium-browser", "google-chrome"}, func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	}) {
		t.Skip("no Chromium is on PATH")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox,
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.WSURLReadTimeout(time.Minute))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	page, closePage := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		closePage()
		stop()
	})
	if err := chromedp.Do(page, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return page
}

// evaluate runs an expression, waits for its promise and decodes its value.
func evaluate[T any](t *testing.T, page context.Context, expression string) T {
	t.Helper()
	value, err := chromedp.Run(page, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestStripJS(t *testing.T) {
	page := browser(t)
	canvas := image.NewRGBA(image.Rect(0, 0, 1280, 720))
	show(canvas, grid2x2[0], paint(t, 1, 640, 360, when), 0, 0, 0, 0)
	show(canvas, grid2x2[1], paint(t, 62, 640, 360, when.Add(17*time.Millisecond)), 0.02, 0.02, 0.02, 0.02)
	show(canvas, image.Rect(0, 360, 318, 538), paint(t, 11, 640, 360, when.Add(time.Hour)), 0.01, 0, 0.01, 0.02)
	show(canvas, image.Rect(640, 360, 958, 538), paint(t, 3, 1280, 720, time.UnixMilli(0)), 0, 0, 0, 0)
	tiles := []image.Rectangle{grid2x2[0], grid2x2[1], image.Rect(0, 360, 318, 538), image.Rect(640, 360, 958, 538), image.Rect(960, 540, 1280, 720), image.Rect(1000, 0, 1800, 450)}

	var encoded bytes.Buffer
	if err := png.Encode(&encoded, canvas); err != nil {
		t.Fatal(err)
	}
	for _, tile := range tiles {
		got := evaluate[WatchReading](t, page, fmt.Sprintf(`(async () => {
			const image = new Image();
			image.src = 'data:image/png;base64,%s';
			await image.decode();
			const canvas = document.createElement('canvas');
			canvas.width = image.width;
			canvas.height = image.height;
			const context = canvas.getContext('2d');
			context.drawImage(image, 0, 0);
			return %s(context.getImageData(0, 0, canvas.width, canvas.height), {x: %d, y: %d, width: %d, height: %d});
		})()`, base64.StdEncoding.EncodeToString(encoded.Bytes()), StripJS, tile.Min.X, tile.Min.Y, tile.Dx(), tile.Dy()))
		index, ms, ok := ReadStrip(canvas, tile)
		if want := (WatchReading{index, ms, ok}); got != want {
			t.Errorf("%v: JavaScript reads %+v, Go %+v", tile, got, want)
		}
	}
}

func TestWatchJS(t *testing.T) {
	page := browser(t)
	clip(t, 7) // made before the page is open
	mux := http.NewServeMux()
	mp4 := filepath.Join(t.TempDir(), "7.mp4")
	ffmpeg(t, nil, "-i", clip(t, 7), "-c:v", "copy", "-c:a", "aac", "-movflags", "faststart", mp4)
	mux.HandleFunc("/7.mp4", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, mp4) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<video src="/7.mp4" muted></video>`) // the browser is gone otherwise
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	if err := chromedp.Do(page, chromedp.Navigate(server.URL)); err != nil {
		t.Fatal(err)
	}
	samples := evaluate[[]WatchSample](t, page, fmt.Sprintf(`(async () => {
		const video = document.querySelector('video');
		const samples = %s(%s, video, [{x: 0, y: 0, width: 640, height: 360}, {x: 0, y: 0, width: 64, height: 36}], 3000);
		await video.play();
		return await samples;
	})()`, WatchJS, StripJS))
	if len(samples) < 5 {
		t.Fatalf("%d pictures were seen", len(samples))
	}
	for _, sample := range samples {
		if age := time.Since(time.UnixMicro(int64(sample.WallMS * 1000))); age < -time.Second || age > time.Minute {
			t.Errorf("a picture was shown %v ago", age)
		}
		reading := sample.Readings[0]
		if off := float64(reading.TimeMS-clipStart.UnixMilli())/1000 - sample.MediaTime; !reading.OK || reading.Index != 7 || off < -0.06 || off > 0.06 {
			t.Errorf("at %v: %+v", sample.MediaTime, reading)
		}
		if sample.Readings[1].OK {
			t.Error("a strip is read where there is none")
		}
	}
	if latencies := Latencies(samples); len(latencies) != len(samples) {
		t.Errorf("%d latencies of %d samples", len(latencies), len(samples))
	}
}
