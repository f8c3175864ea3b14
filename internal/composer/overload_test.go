package composer

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/footlight-live/footlight/internal/composer/clock"
	"github.com/footlight-live/footlight/internal/composer/wire"
)

// slowness is a machine on which the nth picture takes cost(at) from the composer time at on.
type slowness struct {
	frameRate float64
	cost      func(at time.Duration) time.Duration
}

// made is a picture of a canvas on such a machine.
type made struct {
	n          int64
	at         time.Duration // when it was begun
	overloaded bool          // what the canvas says then
}

// run lets a canvas and the sound beside it run for a while, and gives what they made: pictures, and the times of the frames of sound. The clock is synctest's.
func (s slowness) run(t *testing.T, length time.Duration) (pictures []made, heard []time.Duration, h *wire.Heartbeat) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		c := &Composer{Log: slog.New(slog.DiscardHandler), clock: clock.New()}
		c.cast.Store(&cast{})
		o := &output{clock: c.clock, open: true, started: true, queue: make(chan *packet, 100_000), log: c.Log}
		c.outputs = []*output{o}
		cv := c.canvasFor(format{width: 320, height: 180, frameRate: s.frameRate, bitRate: 300_000})
		cv.outputs = c.outputs
		if err := cv.open(); err != nil {
			t.Fatal(err)
		}
		defer cv.encoder.Close()
		defer cv.mixer.Close()
		c.sound = sound{clock: c.clock, cast: &c.cast, outputs: c.outputs, meters: &c.meters}
		if err := c.sound.open(); err != nil {
			t.Fatal(err)
		}
		var failed atomic.Pointer[error]
		go func() {
			if err := c.sound.run(ctx); err != nil {
				failed.Store(&err)
			}
		}()
		err := cv.pace(ctx, func(n int64, _ bool) error {
			now := c.clock.Now()
			pictures = append(pictures, made{n, now, cv.overloaded()})
			time.Sleep(s.cost(now))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		h = c.heartbeat()
		<-ctx.Done()
		synctest.Wait()
		if err := failed.Load(); err != nil {
			t.Error(*err)
		}
		close(o.queue)
		for p := range o.queue {
			heard = append(heard, p.pts)
		}
	})
	return pictures, heard, h
}

// steps are the ticks from each picture to the next.
func steps(pictures []made) []int64 {
	var out []int64
	for i := 1; i < len(pictures); i++ {
		out = append(out, pictures[i].n-pictures[i-1].n)
	}
	return out
}

// always costs the same.
func always(d time.Duration) func(time.Duration) time.Duration {
	return func(time.Duration) time.Duration { return d }
}

// TestOverload: on a machine that is too slow pictures are left out evenly, and the sound is whole; the composer says so
// as long as it lasts.
func TestOverload(t *testing.T) {
	const length = 20 * time.Second
	for _, c := range []struct {
		name      string
		frameRate float64
		cost      func(time.Duration) time.Duration
		each      int64 // of the steps from the fifth second on
		overload  bool  // at the end
	}{
		{"fast enough", 30, always(30 * time.Millisecond), 1, false},
		{"as slow as may be", 30, always(33 * time.Millisecond), 1, false},
		{"too slow", 30, always(50 * time.Millisecond), 2, true},
		{"far too slow", 30, always(80 * time.Millisecond), 3, true},
		{"a second each", 30, always(1010 * time.Millisecond), 31, true},
		{"too slow for 60", 60, always(20 * time.Millisecond), 2, true},
		{"one a second", 1, always(900 * time.Millisecond), 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			pictures, sound, h := slowness{c.frameRate, c.cost}.run(t, length)
			all := steps(pictures)
			for i, step := range all {
				if pictures[i].at > 5*time.Second && step != c.each {
					t.Errorf("from picture %d on, at %v, the next one is %d ticks away, want %d", pictures[i].n, pictures[i].at, step, c.each)
				}
				if step > max(c.each, 2) {
					t.Errorf("a hole of %d ticks at %v", step, pictures[i].at)
				}
				if late := pictures[i].at - time.Duration(float64(pictures[i].n)/c.frameRate*1e9); late > maxLag+2*c.cost(0) || late < -time.Millisecond {
					t.Errorf("picture %d is made %v after its time", pictures[i].n, late)
				}
				if c.overload && pictures[i].at > 5*time.Second && !pictures[i].overloaded {
					t.Errorf("at %v the composer does not say that it is overloaded", pictures[i].at)
				}
			}
			if h.Overloaded != c.overload || (h.MissedFrames > 0) != c.overload {
				t.Errorf("overloaded %v, %d pictures missed", h.Overloaded, h.MissedFrames)
			}
			if want := uint64(pictures[len(pictures)-1].n+all[len(all)-1]) + 1; h.Frames != uint64(len(pictures)) || h.Frames+h.MissedFrames < want-uint64(c.each)-1 || h.Frames+h.MissedFrames > want+uint64(c.each) {
				t.Errorf("%d pictures made and %d missed of %d", h.Frames, h.MissedFrames, want)
			}
			soundIsWhole(t, sound, length)
		})
	}
}

// soundIsWhole checks that there is a frame for every 1024 samples.
func soundIsWhole(t *testing.T, sound []time.Duration, length time.Duration) {
	t.Helper()
	const frame = 1024 * time.Second / 48_000
	if want := int(length/frame) - 3; len(sound) < want {
		t.Errorf("%d frames of sound, want %d", len(sound), want)
	}
	for i := 1; i < len(sound); i++ {
		if step := sound[i] - sound[i-1]; (step - frame).Abs() > time.Microsecond {
			t.Errorf("frame %d of the sound comes %v after the one before", i, step)
		}
	}
}

// TestUnsteadyMachine: where every tenth picture takes long, but the others make up for it, none is left out, also after a
// time that was too much.
func TestUnsteadyMachine(t *testing.T) {
	n := 0
	unsteady := func(at time.Duration) time.Duration {
		n++
		switch {
		case at >= 3*time.Second && at < 3*time.Second+40*time.Millisecond:
			return 600 * time.Millisecond
		case n%10 == 0:
			return 120 * time.Millisecond
		}
		return 15 * time.Millisecond
	}
	pictures, _, h := slowness{30, unsteady}.run(t, 20*time.Second)
	for i, step := range steps(pictures) {
		if at := pictures[i].at; step > 2 || step > 1 && (at < 3*time.Second || at > 4200*time.Millisecond) {
			t.Errorf("at %v the next picture is %d ticks away", at, step)
		}
	}
	if h.LateTicks < 50 || h.Overloaded {
		t.Errorf("%d ticks are late, overloaded %v", h.LateTicks, h.Overloaded)
	}
}

// TestOverloadPasses: a hiccup costs no picture; after some slow seconds the picture is whole again, without a hole in
// between; a process that stood still goes on with the time that it is then.
func TestOverloadPasses(t *testing.T) {
	hiccup := func(at time.Duration) time.Duration {
		if at >= 5*time.Second && at < 5*time.Second+20*time.Millisecond {
			return 250 * time.Millisecond
		}
		return 10 * time.Millisecond
	}
	if pictures, _, h := (slowness{30, hiccup}).run(t, 10*time.Second); h.MissedFrames > 0 || h.LateTicks == 0 || slices.Max(steps(pictures)) > 1 {
		t.Errorf("a hiccup costs %d pictures, %d are late", h.MissedFrames, h.LateTicks)
	}

	slow := func(at time.Duration) time.Duration {
		if at >= 5*time.Second && at < 10*time.Second {
			return 50 * time.Millisecond
		}
		return 10 * time.Millisecond
	}
	pictures, sound, h := slowness{30, slow}.run(t, 20*time.Second)
	soundIsWhole(t, sound, 20*time.Second)
	for i, step := range steps(pictures) {
		at := pictures[i].at
		if most := int64(2); step > most || step > 1 && (at < 5*time.Second || at > 10100*time.Millisecond) {
			t.Errorf("at %v the next picture is %d ticks away", at, step)
		}
		if says := pictures[i].overloaded; at > 6*time.Second && at < 13*time.Second != says && (at < 12900*time.Millisecond || at > 13200*time.Millisecond) {
			t.Errorf("at %v overloaded is %v", at, says)
		}
	}
	if h.Overloaded {
		t.Error("overloaded ten seconds after all is well")
	}

	still := func(at time.Duration) time.Duration {
		if at >= 5*time.Second && at < 5*time.Second+20*time.Millisecond {
			return 4 * time.Second
		}
		return 10 * time.Millisecond
	}
	pictures, _, h = slowness{30, still}.run(t, 15*time.Second)
	if got := slices.Max(steps(pictures)); got != 121 || h.MissedFrames != 120 {
		t.Errorf("four seconds cost %d pictures, a hole of %d", h.MissedFrames, got)
	}
}
