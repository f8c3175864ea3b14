package composer

import (
	"context"
	"image"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/test/judge"
)

// TestResume: a participant whose network breaks publishes again with the same token. Its tile stays where it is and
// shows its last picture until there is a new one; the other tile does not change.
func TestResume(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	r := newRig(t)
	size := func(p *synth.Publisher) { p.Width, p.Height, p.FrameRate, p.BitRate = 480, 270, 15, 500_000 }
	gone := r.publish(0, size)
	r.publish(1, size)
	s := r.compose(func(j *wire.Job) {
		small(j)
		j.Outputs[0].Width, j.Outputs[0].Height, j.Outputs[0].BitRate = 962, 270, 1_500_000
	})
	s.shows(0, live, "video")
	s.shows(1, live, "video")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	both, again := make(chan struct{}), make(chan struct{})
	seen, seenAgain := sync.OnceFunc(func() { close(both) }), sync.OnceFunc(func() { close(again) })
	tiles := []image.Rectangle{image.Rect(0, 0, 480, 270), image.Rect(482, 0, 962, 270)}
	var resumed atomic.Int64 // Unix milliseconds
	recorded := make(chan *judge.Capture, 1)
	go func() {
		c, err := judge.Record(ctx, r.playback(), time.Hour, judge.Options{Tiles: tiles, OnFrame: func(n int, luma *image.Gray) {
			first, at, ok := judge.ReadStrip(luma, tiles[0])
			second, _, alsoOK := judge.ReadStrip(luma, tiles[1])
			if !ok || !alsoOK || first != 0 || second != 1 {
				return
			}
			seen()
			if since := resumed.Load(); since > 0 && at > since+500 {
				seenAgain()
			}
		}})
		if c == nil {
			t.Error(err)
		}
		recorded <- c
	}()
	await := func(what string, event <-chan struct{}) {
		t.Helper()
		select {
		case <-event:
		case <-ctx.Done():
			t.Fatalf("the player does not get %s", what)
		}
	}
	await("both pictures", both)
	gone.SetFaults(synth.Faults{Offline: true})
	r.publish(0, size)
	resumed.Store(time.Now().UnixMilli())
	await("the picture of who resumed", again)
	cancel()
	c := <-recorded
	gone.SetFaults(synth.Faults{}) // it says goodbye to a session that is no more
	if c == nil {
		return
	}
	first := 0
	for !c.Frames[first].Tiles[0].OK || !c.Frames[first].Tiles[1].OK {
		first++
	}
	missing := [2]int{}
	var newest int64
	for _, f := range c.Frames[first:] {
		for i := range missing {
			if !f.Tiles[i].OK || f.Tiles[i].Index != i {
				missing[i]++
			}
		}
		if f.Tiles[0].OK {
			if f.Tiles[0].TimeMS < newest {
				t.Errorf("a picture of the resumed participant goes back by %d ms", newest-f.Tiles[0].TimeMS)
			}
			newest = max(newest, f.Tiles[0].TimeMS)
		}
	}
	frozen := c.Motion(0, 0, c.Frames[first].PTS, judge.Forever).Frozen
	t.Logf("of %d pictures %d lack the resumed participant and %d the other; it stood still for %v", len(c.Frames)-first, missing[0], missing[1], frozen)
	if missing[1] > 0 {
		t.Errorf("the other participant lacks in %d pictures", missing[1])
	}
	// On a machine that takes longer than stalledAfter for it there is a placeholder.
	if missing[0] > 0 && frozen < stalledAfter {
		t.Errorf("the participant lacks in %d pictures", missing[0])
	}
}
