// Package test holds the end-to-end tests: real programs, the official SDK, a real browser, real players.
// They judge what a player receives, by the synthetic participants of internal/synth.
package test

import (
	"image"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.RemoveBinaries()
	os.Exit(code)
}

// settled is how far into a recording of a live URL the present begins: ffmpeg starts at the newest whole
// segment, which began up to 4 s ago, and people appear within a second.
const settled = 5 * time.Second

// record plays a live URL for a while with the tiles of n participants in view.
func record(t *testing.T, url string, length time.Duration, n int) *judge.Capture {
	t.Helper()
	c, err := judge.Record(t.Context(), url, length, judge.Options{Tiles: harness.GridTiles(n), InputArgs: []string{"-live_start_index", "-1"}})
	if err != nil {
		t.Fatalf("record %s: %v", url, err)
	}
	return c
}

// seen fails the test unless each of the participants is in its own tile nearly all the time.
func seen(t *testing.T, c *judge.Capture, from, to time.Duration, indexes ...int) {
	t.Helper()
	for tile, index := range indexes {
		if share := c.Share(tile, index, from, to); share < 0.9 {
			t.Errorf("participant %d is in tile %d for %.0f %% of the time: %+v", index, tile, 100*share, c.Presence(from, to))
		}
	}
}

// cadenceAfter judges the frames from a time on.
func cadenceAfter(c *judge.Capture, from time.Duration) judge.Cadence {
	late := *c
	late.Frames = slices.DeleteFunc(slices.Clone(c.Frames), func(f judge.Frame) bool { return f.PTS < from })
	return late.Cadence()
}

// fullPicture is a tile that is the whole picture.
func fullPicture(width, height int) []image.Rectangle {
	return []image.Rectangle{image.Rect(0, 0, width, height)}
}
