package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/test/judge"
)

// WaitPlayable waits until a playback URL answers with a playlist.
func WaitPlayable(t testing.TB, playbackURL string) {
	t.Helper()
	Eventually(t, time.Minute, "the channel is playable", func(ctx context.Context) error {
		_, err := Get(ctx, playbackURL)
		return err
	})
}

// Variant returns the URL of the media playlist that a multivariant playlist names.
func Variant(ctx context.Context, playbackURL string) (string, error) {
	playlist, err := Get(ctx, playbackURL)
	if err != nil {
		return "", err
	}
	base, err := url.Parse(playbackURL)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(playlist) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			u, err := base.Parse(line)
			if err != nil {
				return "", err
			}
			return u.String(), nil
		}
	}
	return "", fmt.Errorf("%s names no media playlist", playbackURL)
}

// MediaSequence reads EXT-X-MEDIA-SEQUENCE of a media playlist.
func MediaSequence(ctx context.Context, variant string) (int64, error) {
	playlist, err := Get(ctx, variant)
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(playlist, "#EXT-X-MEDIA-SEQUENCE:")
	if !ok {
		return 0, fmt.Errorf("%s has no media sequence", variant)
	}
	number, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseInt(strings.TrimSpace(number), 10, 64)
}

// WatchPage opens the watch page in a tab, waits until it plays, and returns what hls.js shows for the given
// time: each picture with the moment of its showing and the clocks drawn in it.
func WatchPage(t testing.TB, tab context.Context, s *Server, playbackURL string, tiles []image.Rectangle, length time.Duration) []judge.WatchSample {
	t.Helper()
	if err := chromedp.Do(tab, chromedp.Navigate(s.URL+"/console/watch?src="+url.QueryEscape(playbackURL))); err != nil {
		t.Fatalf("open the watch page: %v", err)
	}
	Eventually(t, 60*time.Second, "the watch page plays", func(context.Context) error {
		played, err := chromedp.Run(tab, chromedp.Evaluate[float64](`(() => { const p = footlight.video.played; return p.length ? p.end(p.length-1) - p.start(0) : 0 })()`))
		if err == nil && played < 3 {
			err = fmt.Errorf("played %.1f s", played)
		}
		return err
	})
	return WatchVideo(t, tab, "footlight.video", tiles, length)
}

// WatchVideo returns what the video element that a script names shows in a tab for the given time: each picture with the moment
// of its showing and the clocks drawn in the tiles.
func WatchVideo(t testing.TB, tab context.Context, video string, tiles []image.Rectangle, length time.Duration) []judge.WatchSample {
	t.Helper()
	type rect struct {
		X      int `json:"x"`
		Y      int `json:"y"`
		Width  int `json:"width"`
		Height int `json:"height"`
	}
	rects := make([]rect, len(tiles))
	for i, r := range tiles {
		rects[i] = rect{r.Min.X, r.Min.Y, r.Dx(), r.Dy()}
	}
	list, err := json.Marshal(rects)
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("(%s)(%s, %s, %s, %d)", judge.WatchJS, judge.StripJS, video, list, length.Milliseconds())
	samples, err := chromedp.Run(tab, chromedp.Evaluate[[]judge.WatchSample](script, AwaitPromise))
	if err != nil {
		t.Fatalf("read the picture in the browser: %v", err)
	}
	return samples
}

// GridTiles is where the whole 640x360 pictures of n participants lie in the default grid on 1280x720, in order
// of arrival.
func GridTiles(n int) []image.Rectangle {
	ps := make([]layout.Participant, n)
	for i := range ps {
		ps[i] = layout.Participant{ID: strconv.Itoa(i), HasVideo: true, VideoWidth: 640, VideoHeight: 360}
	}
	return Tiles(layout.Default(), ps...)
}

// Tiles is where the whole pictures of participants, given in order of arrival, lie in a layout on 1280x720.
// The place of somebody without a tile is empty.
func Tiles(cfg layout.Config, ps ...layout.Participant) []image.Rectangle {
	at := map[string]int{}
	for i := range ps {
		ps[i].Joined = int64(i)
		at[ps[i].ID] = i
	}
	out := make([]image.Rectangle, len(ps))
	for _, tile := range layout.Compute(cfg, layout.Size{W: 1280, H: 720}, ps) {
		p, r := ps[at[tile.ParticipantID]], tile.Rect
		place := image.Rect(r.X, r.Y, r.X+r.W, r.Y+r.H)
		switch {
		case !p.HasVideo || tile.Fill == layout.Fill:
		case tile.Fill == layout.Contain:
			place = judge.Contain(place, p.VideoWidth, p.VideoHeight)
		default:
			place = judge.Cover(place, p.VideoWidth, p.VideoHeight)
		}
		out[at[p.ID]] = place
	}
	return out
}

// AwaitPromise makes an evaluation wait for the promise that the script returns.
func AwaitPromise(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) }

// Get fetches a URL that must answer 200.
func Get(ctx context.Context, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", address, resp.Status, body)
	}
	return string(body), err
}
