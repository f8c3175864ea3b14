package test

import (
	"context"
	"fmt"
	"image"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"
	"github.com/chromedp/chromedp"

	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/synth/signal"
	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// TestPlayers has players by others show both kinds of channel, from a page of another origin: the participant is seen and
// heard while time goes on. How late, and how smoothly, is not judged here.
func TestPlayers(t *testing.T) {
	dir := filepath.Join(harness.Root(t), "test", "players")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Skip("the players are not installed: run scripts/setup.sh test")
	}
	pages := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer pages.Close()
	const index = 1
	s := harness.StartServer(t)
	stage := s.CreateStage("stage")
	s.Publish(stage, index, "Ada")
	s.WaitPublishing(stage, 1)
	encoder := s.CreateEncoder(640, 360, 30, 900_000)
	ts, fmp4 := s.CreateChannel("ts"), s.CreateChannel("fmp4", harness.FragmentedMP4)
	s.WaitComposition(s.StartComposition(stage, ts, encoder).Arn, types.CompositionStateActive)
	s.WaitComposition(s.StartComposition(stage, fmp4, encoder).Arn, types.CompositionStateActive)
	browser := harness.Browser(t)
	for _, c := range []struct {
		player, container, url string
		lowLatency             bool
	}{
		// By parts of MPEG-TS neither plays without holes: see docs/playback.md.
		{"shaka-player", "MPEG-TS", *ts.PlaybackUrl, false},
		{"shaka-player", "fragmented MP4", *fmp4.PlaybackUrl, true},
		{"video.js", "MPEG-TS", *ts.PlaybackUrl, false},
		{"video.js", "fragmented MP4", *fmp4.PlaybackUrl, true},
	} {
		t.Run(c.player+" plays "+c.container, func(t *testing.T) {
			harness.WaitPlayable(t, c.url)
			tab, cancel := context.WithTimeout(harness.Tab(t, browser), time.Minute)
			defer cancel()
			if err := chromedp.Do(tab, chromedp.Navigate(pages.URL+"/page.html")); err != nil {
				t.Fatal(err)
			}
			if _, err := chromedp.Run(tab, chromedp.Evaluate[bool](fmt.Sprintf("play(%q, %q, %v)", c.player, c.url, c.lowLatency), harness.AwaitPromise)); err != nil {
				t.Fatalf("play: %v", err)
			}
			harness.Eventually(t, 30*time.Second, "the player shows and sounds the participant", func(context.Context) error {
				return shows(tab, index)
			})
			samples := harness.WatchVideo(t, tab, "video", oneTile(), 3*time.Second)
			read := 0
			for i, sample := range samples {
				if r := sample.Readings[0]; r.OK && r.Index == index {
					read++
				}
				if i > 0 && sample.MediaTime < samples[i-1].MediaTime {
					t.Errorf("the picture goes back from %.2f s to %.2f s", samples[i-1].MediaTime, sample.MediaTime)
				}
			}
			if n := len(samples); n < 2 || read < n*9/10 || samples[n-1].MediaTime <= samples[0].MediaTime {
				t.Errorf("the participant is in %d of %d pictures", read, n)
			}
			errors, err := chromedp.Run(tab, chromedp.Evaluate[[]string]("errors"))
			if err != nil || len(errors) > 0 {
				t.Errorf("%v: errors %q", err, errors)
			}
			if err := chromedp.Do(tab, chromedp.Navigate("about:blank")); err != nil { // the machine is for the next
				t.Error(err)
			}
		})
	}
}

// shows tells whether the page's player has played a second, and the tone of a participant, and of no other, is heard.
func shows(tab context.Context, index int) error {
	script := fmt.Sprintf(`({played: video.played.length ? video.played.end(video.played.length-1) - video.played.start(video.played.length-1) : 0,
		tone: tone(%d), other: tone(%d), errors})`, signal.ToneHz(index), signal.ToneHz(index+1))
	got, err := chromedp.Run(tab, chromedp.Evaluate[struct {
		Played, Tone, Other float64
		Errors              []string
	}](script))
	if err == nil && (got.Played < 1 || got.Tone < -60 || got.Other > got.Tone-20) {
		err = fmt.Errorf("played %.1f s, the tone at %.0f dB and another's at %.0f dB: %s", got.Played, got.Tone, got.Other, strings.Join(got.Errors, ", "))
	}
	return err
}

// oneTile is where the only participant's picture lies on 640x360.
func oneTile() []image.Rectangle {
	p := []layout.Participant{{ID: "0", HasVideo: true, VideoWidth: 640, VideoHeight: 360}}
	r := layout.Compute(layout.Default(), layout.Size{W: 640, H: 360}, p)[0].Rect
	return []image.Rectangle{judge.Cover(image.Rect(r.X, r.Y, r.X+r.W, r.Y+r.H), 640, 360)}
}
