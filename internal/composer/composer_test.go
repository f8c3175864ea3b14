package composer

import (
	"context"
	"errors"
	"image"
	"os/exec"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/test/judge"
)

// TestComposite plays what two participants give and judges it as a player gets it.
func TestComposite(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	r := newRig(t)
	r.publish(0, nil)
	r.publish(1, nil)
	began := time.Now()
	s := r.compose(nil)
	s.until("active destination", func() bool { return s.ready && s.state("d1") == wire.Active })
	t.Logf("active after %v", time.Since(began))
	s.until("pictures of both", func() bool {
		live := 0
		for _, p := range s.heartbeat.Participants {
			if p.Video == "live" && p.Audio == "live" {
				live++
			}
		}
		return live == 2
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	left, right := image.Rect(0, 180, 638, 180+358), image.Rect(640, 180, 1278, 180+358)
	got, err := judge.Record(ctx, r.playback(), 10*time.Second, judge.Options{Tiles: []image.Rectangle{judge.Cover(left, 640, 360), judge.Cover(right, 640, 360)}})
	if err != nil {
		t.Fatal(err)
	}
	c := got.Cadence()
	t.Logf("facts %+v", got.Facts)
	t.Logf("frames %d missing %d duplicates %d longest %v", c.Frames, c.Missing, c.Duplicates, c.Longest)
	// A machine that is busy with other things leaves out pictures, and says so: cadence and grain of what it
	// shows then are not the composer's.
	s.mu.Lock()
	kept := s.heartbeat.MissedFrames == 0
	s.mu.Unlock()
	if kept && (c.Missing > 0 || c.Duplicates > 0) {
		t.Errorf("cadence %+v", c)
	}
	for i := range 2 {
		// The first seconds may hold the time before both were there.
		from := got.Start + 3*time.Second
		share := got.Share(i, i, from, judge.Forever)
		m, lip := got.Motion(i, i, from, judge.Forever), got.LipSync(i)
		t.Logf("participant %d: share %.2f motion %+v lip sync median %v p95 %v fine %v of %d, tone %.1f", i, share, m, lip.Median, lip.P95, lip.Fine, len(lip.Offsets), got.Tone(i, from, judge.Forever))
		if share < 0.9 {
			t.Errorf("participant %d is seen in tile %d for %.2f of the time", i, i, share)
		}
		if kept && (len(lip.Offsets) < 5 || lip.P95 > 40*time.Millisecond) {
			t.Errorf("participant %d: lip sync %+v", i, lip)
		}
		if tone := got.Tone(i, from, judge.Forever); tone < -36 || tone > -30 {
			t.Errorf("participant %d: tone at %.1f dBFS, want -33", i, tone)
		}
	}
	s.mu.Lock()
	t.Logf("heartbeat %+v", s.heartbeat)
	s.mu.Unlock()
	if err := s.Send(wire.Message{Stop: &wire.Stop{Reason: "test"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	s.until("last word", func() bool { return s.stopped != nil && s.stopped.Error == "" && s.state("d1") == wire.Ended })
}

// TestEmptyStage: the channel gets black and silence at once; a participant that comes is seen, one that goes is not.
func TestEmptyStage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.compose(func(j *wire.Job) { j.Outputs[0].Width, j.Outputs[0].Height = 640, 360 })
	s.until("active destination", func() bool { return s.state("d1") == wire.Active && s.heartbeat.Frames > 10 })
	p := r.publish(3, func(p *synth.Publisher) { p.Width, p.Height = 320, 180 })
	s.until("live participant", func() bool {
		ps := s.heartbeat.Participants
		return len(ps) == 1 && ps[0].Video == "live" && ps[0].Audio == "live" && ps[0].Width == 320
	})
	p.Close()
	s.until("empty stage", func() bool { return s.heartbeat.Publishing == 0 })
}

// TestTwoFormats: destinations of different formats each get theirs; a wrong key fails alone.
func TestTwoFormats(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.compose(func(j *wire.Job) {
		j.Outputs[0].Width, j.Outputs[0].Height = 320, 180
		other := j.Outputs[0]
		other.DestinationID, other.Width, other.Height, other.FrameRate = "d2", 180, 320, 15
		j.Outputs = append(j.Outputs, other)
	})
	// The channel takes one publisher: the other destination is refused as busy and fails.
	s.until("one active, one failed", func() bool {
		a, b := s.state("d1"), s.state("d2")
		return a == wire.Active && b == wire.Failed || a == wire.Failed && b == wire.Active
	})
	s.until("conflict", func() bool {
		return s.failure.Code == "ConflictException" && s.failure.Reason == "Stream already exists"
	})
	s.until("more pictures", func() bool { return s.heartbeat.Frames > 10 })
}

// TestServerGone: without the server the composer ends, and says no goodbye to the channel.
func TestServerGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.compose(func(j *wire.Job) { j.Outputs[0].Width, j.Outputs[0].Height = 320, 180 })
	// Only a stream that has become playable waits for another publisher.
	s.until("playable stream", func() bool {
		all := r.channel.Streams()
		return s.state("d1") == wire.Active && len(all) == 1 && all[0].Video != nil && all[0].Audio != nil
	})
	s.Close()
	if err := s.wait(); !errors.Is(err, ErrServerGone) {
		t.Fatalf("ended with %v", err)
	}
	if got := r.channel.Streams(); len(got) != 1 {
		t.Fatalf("the channel closed the stream: %+v", got)
	}
}

func TestBadJobs(t *testing.T) {
	for name, change := range map[string]func(*wire.Job){
		"no output":        func(j *wire.Job) { j.Outputs = nil },
		"impossible size":  func(j *wire.Job) { j.Outputs[0].Width = 3 },
		"malformed layout": func(j *wire.Job) { j.Layout = []byte(`7`) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if err := r.compose(change).wait(); err == nil || errors.Is(err, ErrServerGone) {
				t.Fatalf("ended with %v", err)
			}
		})
	}
}
