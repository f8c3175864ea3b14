package composer

import (
	"context"
	"image"
	"os/exec"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/internal/synth/link"
	"github.com/footlight-live/footlight/test/judge"
)

// TestLostSound: of the sound packets that get lost most are asked for again and there in time.
func TestLostSound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.compose(small)
	r.publish(0, func(p *synth.Publisher) {
		p.AudioOnly = true
		p.SetFaults(synth.Faults{Up: link.Conditions{Loss: 0.05, Delay: 10}})
	})
	packets := func(n uint64) (in wire.Input) {
		t.Helper()
		s.until("sound", func() bool { in, _ = s.participant(0); return in.Decoded+in.Lost >= n })
		return in
	}
	settled := packets(100) // the delay has found its measure
	in := packets(700)
	if lost, all := in.Lost-settled.Lost, in.Decoded+in.Lost-settled.Decoded-settled.Lost; float64(lost) > 0.025*float64(all) {
		t.Errorf("%d of %d packets were not there in time", lost, all)
	} else {
		t.Logf("%d of %d packets were not there in time; delay %.0f ms; %+v", lost, all, in.Delay, r.stage.Stats())
	}
}

// TestBadLink: one participant is behind a link that loses every twentieth packet and delays the others by up to
// 200 ms, on a clock that is 100 ppm too fast; its pictures are whole, in order and in sync with its sound all the
// same, and nobody notices next to it. It begins to send pictures seconds after its sound.
func TestBadLink(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	r := newRig(t)
	size := func(p *synth.Publisher) { p.Width, p.Height, p.BitRate = 480, 270, 600_000 }
	bad := synth.Faults{Drift: 100, Up: link.Conditions{Loss: 0.05, Delay: 10, Jitter: 200}}
	r.publish(0, size)
	p := r.publish(1, func(p *synth.Publisher) {
		size(p)
		first := bad
		first.PauseVideo = true
		p.SetFaults(first)
	})
	s := r.compose(func(j *wire.Job) { j.Outputs[0].Width, j.Outputs[0].Height, j.Outputs[0].BitRate = 962, 270, 1_500_000 })
	s.shows(0, live, "video")
	s.until("sound without picture", func() bool { in, _ := s.participant(1); return in.Audio == "live" && in.Video == "none" })
	p.SetFaults(bad)
	s.shows(1, live, "video")
	// The delay finds its measure within the first seconds.
	s.until("some seconds of media", func() bool { in, _ := s.participant(1); return in.Decoded > 400 })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	left, right := image.Rect(0, 0, 480, 270), image.Rect(482, 0, 962, 270)
	got, err := judge.Record(ctx, r.playback(), 9*time.Second, judge.Options{Tiles: []image.Rectangle{left, right}})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.heartbeat.MissedFrames == 0 && s.heartbeat.LateTicks < s.heartbeat.Frames/20
	from := got.Start + 2*time.Second
	for i := range 2 {
		in, _ := s.participant(i)
		share, m, lip := got.Share(i, i, from, judge.Forever), got.Motion(i, i, from, judge.Forever), got.LipSync(i)
		t.Logf("participant %d: share %.2f motion %+v lip sync median %v p95 %v of %d, tone %.1f; %+v", i, share, m, lip.Median, lip.P95, len(lip.Offsets), got.Tone(i, from, judge.Forever), in)
		if share < 0.97 {
			t.Errorf("participant %d is seen in its tile for %.2f of the time", i, share)
		}
		if m.Back > 0 {
			t.Errorf("participant %d: %d pictures went back in time", i, m.Back)
		}
		if tone := got.Tone(i, from, judge.Forever); tone < -36 || tone > -30 {
			t.Errorf("participant %d: tone at %.1f dBFS, want -33", i, tone)
		}
		if !kept {
			continue // the machine is busy with other things
		}
		if m.Frozen > time.Second {
			t.Errorf("participant %d stood still for %v", i, m.Frozen)
		}
		// A beep may fall on a picture that was repaired too late.
		if len(lip.Offsets) < 3 || lip.Median.Abs() > 40*time.Millisecond || i == 0 && lip.P95 > 40*time.Millisecond {
			t.Errorf("participant %d: lip sync %+v", i, lip)
		}
	}
	t.Logf("latency %+v, missed %d, late %d", s.heartbeat.Latency, s.heartbeat.MissedFrames, s.heartbeat.LateTicks)
}
