package composer

import (
	"image"
	"image/color"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/clock"
)

// coded gives real pictures as a sender codes them.
func coded(t *testing.T, n int) [][]byte {
	t.Helper()
	canvas, err := av.NewCanvas(64, 64)
	if err != nil {
		t.Fatal(err)
	}
	defer canvas.Close()
	encoder, err := av.NewH264Encoder(av.H264Config{Width: 64, Height: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	var out [][]byte
	for i := range n {
		y, _, _ := color.RGBToYCbCr(uint8(i), 0, 0)
		canvas.Fill(canvas.Bounds(), y, 128, 128)
		coded, err := encoder.Encode(canvas, int64(i), false)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, slices.Clone(coded.Data))
	}
	return out
}

// decoded gives real pictures with the PTS 0, 1, 2 …
func decoded(t *testing.T, n int) []*av.Picture {
	t.Helper()
	decoder, err := av.NewH264Decoder()
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	var out []*av.Picture
	for i, data := range coded(t, n) {
		pic, err := decoder.Decode(data, int64(i))
		if err != nil || pic == nil {
			t.Fatalf("picture %d: %v %v", i, pic, err)
		}
		out = append(out, pic)
	}
	return out
}

// still gives a picture of nothing with that PTS, complete at that time.
func still(t *testing.T, pts int64, complete time.Duration) *shot {
	t.Helper()
	pic, err := av.NewPicture(image.NewYCbCr(image.Rect(0, 0, 2, 2), image.YCbCrSubsampleRatio420), false, av.BT709)
	if err != nil {
		t.Fatal(err)
	}
	pic.PTS = pts
	return &shot{pic, complete}
}

// milli is the due time of a PTS in milliseconds.
func milli(ts int64) time.Duration { return time.Duration(ts) * time.Millisecond }

// TestCadence: at one frame rate each tick shows the next picture, whatever the phase and a jitter of the
// mapping of up to the slop; at others pictures are spread evenly; none is ever shown before an earlier one.
func TestCadence(t *testing.T) {
	const tick = time.Second / 30
	for _, c := range []struct {
		name     string
		interval time.Duration // between two pictures
		phase    time.Duration
		jitter   time.Duration
		most     int // steps of more than most pictures are skips
		repeats  int // allowed
	}{
		{"same rate", tick, 0, 0, 1, 0},
		{"same rate, half a tick off", tick, tick / 2, 0, 1, 0},
		{"same rate, jitter at the edge", tick, 0, maxSlop * 2 / 3, 1, 0},
		{"half the rate", 2 * tick, 0, 0, 1, 50},
		{"twice the rate", tick / 2, 0, 0, 2, 0},
		{"24 on 30", time.Second / 24, 0, 0, 1, 21},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Duration(0)
			p := &pictures{due: func(ts int64) time.Duration {
				wobble := time.Duration(math.Sin(float64(now)/1e8) * float64(c.jitter))
				return time.Duration(ts)*c.interval + c.phase + wobble
			}}
			all := decoded(t, int(100*tick/c.interval)+10)
			last, repeats, n := int64(-1), 0, 0
			for i := 3; i < 100; i++ {
				now = time.Duration(i) * tick
				for n < len(all) && time.Duration(n)*c.interval < now+3*tick { // decoded ahead
					p.push(&shot{all[n], p.due(int64(n))}, 0)
					n++
				}
				pic, _ := p.at(now, maxSlop, 0, last)
				if pic == nil {
					t.Fatalf("tick %d: nothing", i)
				}
				if step := pic.PTS - last; last >= 0 && (step < 0 || step > int64(c.most)) {
					t.Errorf("tick %d: from picture %d to %d", i, last, pic.PTS)
				} else if step == 0 {
					repeats++
				}
				last = pic.PTS
				pic.Release()
				if n == len(all) {
					break
				}
			}
			if repeats > c.repeats {
				t.Errorf("%d repeats", repeats)
			}
			p.clear()
			for _, pic := range all[n:] {
				pic.Release()
			}
		})
	}
}

func TestPicturesStall(t *testing.T) {
	p := &pictures{due: func(ts int64) time.Duration { return time.Duration(ts) * time.Second }}
	defer p.clear()
	last := int64(never)
	look := func(at time.Duration) int64 {
		pic, _ := p.at(at, maxSlop, 0, last)
		if pic == nil {
			return -1
		}
		defer pic.Release()
		last = pic.PTS
		return pic.PTS
	}
	if look(0) != -1 {
		t.Error("something from nothing")
	}
	all := decoded(t, 3)
	p.push(&shot{all[1], time.Second}, 0)
	p.push(&shot{all[0], 0}, 0) // goes back in time: dropped
	if got := look(500 * time.Millisecond); got != -1 {
		t.Errorf("picture %d before its time", got)
	}
	if got := look(time.Second); got != 1 {
		t.Errorf("picture %d at its time", got)
	}
	if got := look(time.Second + stalledAfter); got != 1 {
		t.Errorf("picture %d just before it is stale", got)
	}
	if got := look(time.Second + stalledAfter + time.Millisecond); got != -1 {
		t.Errorf("stale picture %d", got)
	}
	p.push(&shot{all[2], 2 * time.Second}, 0)
	if got := look(2 * time.Second); got != 2 {
		t.Errorf("picture %d after the stall", got)
	}
}

// TestFirstPicture: a participant who has just come is waited for until the first picture is due, decoded or not, and does
// not count as stalled before.
func TestFirstPicture(t *testing.T) {
	in := &input{}
	s := &session{input: in}
	s.hasVideo.Store(true)
	s.pictures.due = milli
	defer s.pictures.clear()
	in.session.Store(s)
	shows := func(at time.Duration, want trackState) {
		t.Helper()
		v := in.show(at, func(s *session) (*shot, bool) { return s.pictures.at(at, maxSlop, 0, never) })
		v.picture().Release()
		if v.video != want {
			t.Errorf("at %v the video is %s, want %s", at, v.video, want)
		}
	}
	shows(80*time.Millisecond, waiting)
	s.pictures.push(still(t, 120, 80*time.Millisecond), 80*time.Millisecond)
	shows(80*time.Millisecond, waiting)
	shows(120*time.Millisecond, live)
	shows(120*time.Millisecond+stalledAfter, live)
	shows(121*time.Millisecond+stalledAfter, stalled)
}

// TestPicturesShut: what came before and while it was shut is never shown, also when it is decoded later.
func TestPicturesShut(t *testing.T) {
	p := &pictures{due: func(int64) time.Duration { return 9 * time.Second }}
	defer p.clear()
	shows := func(want int64) {
		t.Helper()
		s, seen := p.peek(10 * time.Second)
		got := int64(-1)
		if s != nil {
			got = s.PTS
			s.Release()
		}
		if got != want || seen != (want >= 0) {
			t.Errorf("shows %d, seen %v, want %d", got, seen, want)
		}
	}
	push := func(pts int64, complete time.Duration) { p.push(still(t, pts, complete), 9*time.Second) }
	p.shut(false, 9*time.Second) // it was not shut
	push(0, 8*time.Second)
	shows(0)
	p.shut(true, 8*time.Second)
	shows(-1)
	push(1, 8500*time.Millisecond)
	shows(-1)
	p.shut(false, 9*time.Second)
	shows(-1)
	push(2, 8900*time.Millisecond)
	shows(-1)
	push(3, 9100*time.Millisecond)
	shows(3)
}

// TestSlowCanvas: a canvas takes no picture away from another one, however different their frame rates are, and each goes
// on with the next one.
func TestSlowCanvas(t *testing.T) {
	const each = 33 * time.Millisecond
	fast := &canvas{format: format{frameRate: 30}, shared: true}
	for _, rate := range []float64{1, 1.6, 5, 15, 60} {
		other := &canvas{format: format{frameRate: rate}, shared: true}
		p := &pictures{due: func(ts int64) time.Duration { return time.Duration(ts) * each }, lateness: sharedLateness}
		last := map[*canvas]int64{fast: never, other: never}
		look := func(c *canvas, n int64) {
			s, _ := p.at(c.at(n)+c.ahead(), maxSlop, c.keep(), last[c])
			if s == nil {
				t.Fatalf("at %v the canvas of %v fps beside that of %v has nothing", c.at(n), c.frameRate, rate)
			}
			defer s.Release()
			if c == fast && last[c] != never && s.PTS-last[c] > 2 {
				t.Errorf("at %v the canvas of 30 fps beside that of %v goes from picture %d to %d", c.at(n), rate, last[c], s.PTS)
			}
			last[c] = s.PTS
		}
		next, pts := int64(1), int64(0)
		for n := int64(1); n < 100; n++ {
			now := fast.at(n)
			for ; p.due(pts) <= now+decodeAhead; pts++ {
				p.push(still(t, pts, now), now)
			}
			for ; other.at(next) <= now; next++ {
				look(other, next)
			}
			look(fast, n)
		}
		p.clear()
	}
}

// TestStallOnSlowCanvas: the last picture stays as long on a canvas of few pictures a second.
func TestStallOnSlowCanvas(t *testing.T) {
	p := &pictures{due: milli}
	defer p.clear()
	p.push(still(t, 0, 0), 0)
	for _, rate := range []float64{1, 5, 30} {
		c := &canvas{format: format{frameRate: rate}}
		s, _ := p.at(stalledAfter-decodeAhead+c.ahead(), maxSlop, 0, 0)
		if s == nil {
			t.Fatalf("at %v pictures a second it is stale too early", rate)
		}
		s.Release()
	}
}

// TestDroppedByOthers: who has shown something and finds only pictures that are still to come has the first of those.
func TestDroppedByOthers(t *testing.T) {
	p := &pictures{due: milli}
	defer p.clear()
	for pts := int64(0); pts <= 99; pts += 33 {
		p.push(still(t, pts, 0), 0)
	}
	look := func(at time.Duration, last int64) int64 {
		s, _ := p.at(at, maxSlop, 0, last)
		if s == nil {
			return -1
		}
		defer s.Release()
		return s.PTS
	}
	look(99*time.Millisecond, 66)
	if got := look(50*time.Millisecond, 33); got != 99 {
		t.Errorf("picture %d to who has shown an earlier one", got)
	}
	if got := look(50*time.Millisecond, never); got != -1 {
		t.Errorf("picture %d to who has shown nothing", got)
	}
}

// TestTimeLeaps: a sender whose RTP time goes on from anywhere else is shown in order, and without a placeholder in between;
// after a pause, without its last picture of before.
func TestTimeLeaps(t *testing.T) {
	const each = time.Second / 30
	for _, c := range []struct {
		name  string
		leap  int32         // of the RTP time, beyond that of the clock
		pause time.Duration // in which nothing comes
		muted bool          // in the pause
	}{
		{"back a little", -90_000 * 3 / 2, 0, false},
		{"back by what a network may delay", -90_000 * 5, 0, false},
		{"back", -90_000 * 3600, 0, false},
		{"forth", 90_000 * 3600, 0, false},
		{"back after a pause", -90_000 * 3600, time.Minute, false},
		{"forth after a pause", 90_000 * 3600, time.Minute, false},
		{"pause of more than half of all RTP times", 0, 8 * time.Hour, false},
		{"muted for more than half of all RTP times", 0, 8 * time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			sync := clock.NewSync()
			p := &pictures{due: func(ts int64) time.Duration { return sync.Due(clock.Video, ts) }}
			defer p.clear()
			const leap = 60
			now, rtp := time.Duration(0), uint32(1<<31)
			number := map[int64]int{} // by PTS
			last := int64(never)
			look := func(at time.Duration) (n int, seen bool) {
				s, seen := p.at(at, maxSlop, 0, last)
				if s == nil {
					return -1, seen
				}
				defer s.Release()
				last = s.PTS
				return number[last], seen
			}
			before := -1
			for n := range 2 * leap {
				if n == leap {
					if c.muted {
						p.shut(true, now)
						p.shut(false, now)
					}
					now += c.pause
					rtp += uint32(c.leap) + uint32(clock.Samples(c.pause, 90_000))
				}
				ts := sync.Arrive(clock.Video, rtp, now)
				if got, _ := look(now); n == leap && got >= 0 != (c.pause == 0) {
					t.Errorf("shows %d before the first picture after the pause", got)
				}
				sync.Complete(clock.Video, ts, now)
				number[ts] = n
				p.push(still(t, ts, now), now)
				got, seen := look(now + each/2)
				if stalls := got < 0 && seen; stalls && (n != leap || c.pause == 0) || !stalls && (got < before || got < n-2) {
					t.Fatalf("after picture %d comes %d with picture %d, seen %v", before, got, n, seen)
				}
				before = got
				now += each
				rtp += 3000
			}
		})
	}
}

// TestPicturesPileUp: while nobody looks, or is late, the first, the newest and those to come are kept, and what is shown
// then does not go back.
func TestPicturesPileUp(t *testing.T) {
	const each = 100 * time.Millisecond
	p := &pictures{due: func(ts int64) time.Duration { return time.Duration(ts) * each }, lateness: each}
	defer p.clear()
	all := decoded(t, 40)
	look := func(at time.Duration, last int64) int64 {
		t.Helper()
		s, _ := p.at(at, maxSlop, each, last)
		if s == nil {
			return -1
		}
		defer s.Release()
		return s.PTS
	}
	for n := range 20 {
		p.push(&shot{all[n], time.Duration(n-1) * each}, time.Duration(n-1)*each) // decoded ahead
	}
	if n := len(p.queue); n > 4 {
		t.Errorf("%d pictures wait for nobody", n)
	}
	if got := look(19*each+2*maxSlop, never); got != 19 {
		t.Errorf("picture %d after nobody looked for long", got)
	}
	p.push(&shot{all[20], 19 * each}, 19*each)
	for n := 21; n < 39; n++ { // all at once, late
		p.push(&shot{all[n], 50 * each}, 50*each)
	}
	if n := len(p.queue); n > 4 {
		t.Errorf("%d pictures wait that nobody will see", n)
	}
	p.push(&shot{all[39], 50 * each}, 50*each)
	if got := look(25*each, 30); got < 30 {
		t.Errorf("picture %d to who has shown 30", got)
	}
	if got := look(50*each, 38); got != 39 {
		t.Errorf("picture %d at last", got)
	}
}
