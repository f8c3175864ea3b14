package audio

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/composer/clock"
)

func tone(n int, amplitude float64) []float32 {
	out := make([]float32, 2*n)
	for i := range n {
		v := float32(amplitude * math.Sin(2*math.Pi*440*float64(i)/Rate))
		out[2*i], out[2*i+1] = v, v
	}
	return out
}

// steepest is the largest step between neighbouring samples: a click is steep.
func steepest(pcm []float32) float64 {
	var worst float64
	for i := 2; i < len(pcm); i++ {
		worst = max(worst, math.Abs(float64(pcm[i]-pcm[i-2])))
	}
	return worst
}

func TestTimelineKeepsPlacesAndFades(t *testing.T) {
	var tl Timeline
	one := make([]float32, 2*2000)
	for i := range one {
		one[i] = 0.5
	}
	tl.Write(1000, one)
	tl.Write(3000, one) // continues
	tl.Write(8000, one) // after a gap
	out := make([]float32, 2*12000)
	for at := 0; at < 12000; at += 500 {
		tl.AddTo(int64(at), out[2*at:2*(at+500)])
	}
	for _, c := range []struct {
		at   int
		want float32
	}{{0, 0}, {999, 0}, {1000 + fade, 0.5}, {3000, 0.5}, {4999, 0.5}, {5000 + fade, 0}, {7999, 0}, {8000 + fade, 0.5}, {9999, 0.5}, {10000 + fade, 0}} {
		if out[2*c.at] != c.want || out[2*c.at+1] != c.want {
			t.Errorf("at %d: %v, want %v", c.at, out[2*c.at], c.want)
		}
	}
	if s := steepest(out); s > 0.01 {
		t.Errorf("a step of %v: that clicks", s)
	}
}

func TestTimelineLateAndReplaced(t *testing.T) {
	var tl Timeline
	out := make([]float32, 2*1000)
	tl.AddTo(0, out)
	if late := tl.Write(900, tone(300, 1)); late != 100 {
		t.Fatalf("late %d, want 100", late)
	}
	if late := tl.Write(100, tone(300, 1)); late != 300 {
		t.Fatalf("late %d, want 300", late)
	}
	tl.Write(1500, tone(500, 0.5))
	tl.Write(1600, make([]float32, 2*2000)) // replaces from 1600 on
	out = make([]float32, 2*3000)
	tl.AddTo(1000, out)
	for i := 2 * (600 + fade); i < len(out); i++ {
		if out[i] != 0 {
			t.Fatalf("replaced sound is still there at %d", i/2)
		}
	}
	tl.Write(4000+10*capacity, tone(10, 1)) // too far ahead: not kept
	if len(tl.segs) != 0 {
		t.Fatalf("kept %v", tl.segs)
	}
}

func TestLimiter(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		name string
		pcm  []float32
	}{
		{"quiet tone", tone(Rate, 0.8)},
		{"loud tone", tone(Rate, 3)},
		{"silence then full", append(make([]float32, Rate), tone(Rate/2, 8)...)},
		{"noise", func() []float32 {
			out := make([]float32, 2*Rate)
			for i := range out {
				out[i] = float32(rnd.NormFloat64())
			}
			return out
		}()},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := append([]float32(nil), c.pcm...)
			var l Limiter
			for i := 0; i < len(c.pcm); i += 2 * 480 {
				l.Process(c.pcm[i:min(i+2*480, len(c.pcm))])
			}
			var peak float32
			for i, v := range c.pcm {
				peak = max(peak, abs(v))
				if c.name == "quiet tone" && i >= 2*LookAhead && v != in[i-2*LookAhead] {
					t.Fatalf("sample %d changed from %v to %v", i, in[i-2*LookAhead], v)
				}
			}
			if peak > Ceiling {
				t.Fatalf("peak %v", peak)
			}
			if c.name == "loud tone" {
				// Turned down, not clipped: in the settled part the peaks are at the ceiling and the shape is a sine's.
				var worst float64
				for i := Rate; i < 2*Rate-2*LookAhead; i += 2 {
					want := in[i-2*LookAhead] * Ceiling / 3
					worst = max(worst, math.Abs(float64(c.pcm[i]-want)))
				}
				if worst > 0.05 {
					t.Fatalf("the tone is off its shape by %v", worst)
				}
			}
		})
	}
	var l Limiter
	bad := []float32{float32(math.NaN()), 0, float32(math.Inf(1)), 0}
	l.Process(bad)
	after := tone(4800, 0.5)
	l.Process(after)
	for _, v := range after {
		if v != v || abs(v) > Ceiling {
			t.Fatalf("not a number came out: %v", v)
		}
	}
}

func TestMixerSumsInPlace(t *testing.T) {
	var a, b Timeline
	a.Write(0, tone(2*Rate, 0.3))
	b.Write(Rate/2, tone(Rate, 0.3))
	var m Mixer
	var out []float32
	for m.Next() < Rate {
		if m.Reads() != m.Next()+Block+LookAhead {
			t.Fatal("Reads")
		}
		block := make([]float32, 2*Block)
		m.Mix(block, []*Timeline{&a, &b})
		out = append(out, block...)
	}
	want := tone(2*Rate, 0.3*headroom)
	for i := 2 * fade; i < Rate; i++ {
		if math.Abs(float64(out[i]-want[i])) > 1e-6 {
			t.Fatalf("sample %d of one participant: %v, want %v", i, out[i], want[i])
		}
	}
	for i := Rate + 2*fade; i < 2*Rate; i++ { // both, in phase: 440 Hz has whole periods in half a second
		if math.Abs(float64(out[i]-2*want[i])) > 1e-4 {
			t.Fatalf("sample %d of two participants: %v, want %v", i, out[i], 2*want[i])
		}
	}
}

// counter is a decoder whose packets hold one byte: the value of all samples, in hundredths. 255 is garbage.
type counter struct {
	n         int // samples of a packet; 0 means 960
	fec, lost int
}

func (c *counter) Decode(p []byte, pcm []float32) (int, error) {
	if p[0] == 255 {
		return 0, errors.New("garbage")
	}
	n := cmp.Or(c.n, 960)
	for i := range 2 * n {
		pcm[i] = float32(p[0]) / 100
	}
	return n, nil
}

func (c *counter) DecodeLost(pcm []float32, n int) (int, error) {
	c.lost++
	for i := range 2 * n {
		pcm[i] = 0.77
	}
	return n, nil
}

func (c *counter) DecodeFEC(p []byte, pcm []float32, n int) (int, error) {
	c.fec++
	for i := range 2 * n {
		pcm[i] = 0.88
	}
	return n, nil
}

const ms = time.Millisecond

func TestReceiver(t *testing.T) {
	type packet struct {
		seq   uint16
		ts    int64 // in packets of 20 ms
		value byte
		at    time.Duration
	}
	// Everything is due 100 ms after its time; want lists the value in the middle of each 20 ms from there on.
	for _, c := range []struct {
		name      string
		packets   []packet
		want      []float32
		fec, lost int
	}{
		{"in order", []packet{{65535, 0, 1, 0}, {0, 1, 2, 20 * ms}, {1, 2, 3, 40 * ms}}, []float32{.01, .02, .03, -1, 0}, 0, 1},
		{"swapped", []packet{{1, 0, 1, 0}, {3, 2, 3, 40 * ms}, {2, 1, 2, 41 * ms}}, []float32{.01, .02, .03, -1, 0}, 0, 1},
		{"one lost", []packet{{1, 0, 1, 0}, {3, 2, 3, 40 * ms}, {4, 3, 4, 149 * ms}}, []float32{.01, .88, .03, .04}, 1, 1},
		{"two lost", []packet{{1, 0, 1, 0}, {4, 3, 4, 60 * ms}, {5, 4, 5, 160 * ms}}, []float32{.01, .77, .88, .04, .05}, 1, 2},
		{"dtx", []packet{{1, 0, 1, 0}, {2, 5, 2, 110 * ms}}, []float32{.01, -1, 0, 0, 0, .02}, 0, 2},
		{"much lost", []packet{{1, 0, 1, 0}, {8, 7, 2, 140 * ms}, {9, 8, 2, 160 * ms}}, []float32{.01, .77, .77, .77, .77, .77, .88, .02, .02}, 1, 7},
		{"too much lost", []packet{{1, 0, 1, 0}, {10, 9, 2, 180 * ms}, {11, 10, 2, 200 * ms}}, []float32{.01, .77, .77, .77, .77, .77, -1, 0, .88, .02, .02}, 1, 7},
		{"garbage", []packet{{1, 0, 1, 0}, {2, 1, 255, 20 * ms}, {3, 2, 3, 40 * ms}}, []float32{.01, 0, .03}, 0, 1},
		{"late", []packet{{1, 0, 1, 0}, {3, 2, 3, 40 * ms}, {2, 1, 2, 150 * ms}}, []float32{.01, .88, .03}, 1, 1},
		{"pauses for a breath", []packet{{1, 0, 1, 0}, {2, 1, 2, 115 * ms}}, []float32{.01, .02, -1, 0}, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &counter{}
			var tl Timeline
			r := &Receiver{Decoder: d, Timeline: &tl, Due: func(ts int64) time.Duration { return clock.Ticks(ts, Rate) + 100*ms }}
			for _, p := range c.packets {
				r.Run(p.at)
				r.Push(p.seq, p.ts*960, []byte{p.value})
				r.Run(p.at)
			}
			if again, waiting := r.Run(400 * ms); waiting {
				t.Fatalf("still waits until %v", again)
			}
			out := make([]float32, 2*20*960)
			tl.AddTo(0, out)
			for i, want := range c.want {
				if got := out[2*(4800+i*960+480)]; got != want && want >= 0 { // −1 is in a fade
					t.Errorf("packet %d: %v, want %v", i, got, want)
				}
			}
			if d.fec != c.fec || d.lost != c.lost {
				t.Errorf("fec %d lost %d, want %d %d", d.fec, d.lost, c.fec, c.lost)
			}
		})
	}
}

// TestReceiverFollowsDrift: the place of the sound moves by 10 ms in 5 s; the sound follows without a break.
func TestReceiverFollowsDrift(t *testing.T) {
	var tl Timeline
	shift := time.Duration(0)
	r := &Receiver{Decoder: &counter{}, Timeline: &tl, Due: func(ts int64) time.Duration { return clock.Ticks(ts, Rate) + 100*ms + shift }}
	out := make([]float32, 2*960)
	for i := range 500 {
		if i > 100 && i < 350 {
			shift += 40 * time.Microsecond
		}
		now := time.Duration(i) * 20 * ms
		r.Push(uint16(i), int64(i)*960, []byte{50})
		r.Run(now)
		clear(out)
		tl.AddTo(clock.Samples(now, Rate), out)
		if i > 10 {
			for j, v := range out {
				if math.Abs(float64(v)-.5) > 1e-6 {
					t.Fatalf("packet %d sample %d: %v: the sound broke", i, j/2, v)
				}
			}
		}
	}
	off := clock.Samples(r.Due(r.nextTS), Rate) - r.pos
	if off > 72 || off < -72 {
		t.Fatalf("at the end the sound is %d samples off its place", off)
	}
}

// TestReceiverFollowsDelay: the playout delay has leapt, as after a stall, and falls as fast as clock.Sync lets it. Sound that
// never pauses keeps up with that without a break, and so with its picture, also from 19 ms away.
func TestReceiverFollowsDelay(t *testing.T) {
	const drift = 200 // ppm, of clocks apart
	const leap = 200  // the packet from which on the place is earlier
	var tl Timeline
	delay := 300 * ms
	r := &Receiver{Decoder: &counter{}, Timeline: &tl, Due: func(ts int64) time.Duration { return clock.Ticks(ts, Rate) + delay }}
	out := make([]float32, 2*960)
	for i := range 2000 {
		delay -= (clock.Shrink + drift*time.Microsecond) / 50
		if i == leap {
			delay -= 19 * ms
		}
		now := time.Duration(i) * 20 * ms
		r.Push(uint16(i), int64(i)*960, []byte{50})
		r.Run(now)
		if off := clock.Samples(r.Due(r.nextTS), Rate) - r.pos; (off > 144 || off < -144) && (i < leap || i > leap+200) {
			t.Fatalf("after %v the sound is %d samples off its place", now, off)
		}
		clear(out)
		tl.AddTo(clock.Samples(now, Rate), out)
		for j, v := range out {
			if i > 20 && math.Abs(float64(v)-.5) > 1e-6 {
				t.Fatalf("packet %d sample %d: %v: the sound broke", i, j/2, v)
			}
		}
	}
}

// TestReceiverUnevenTimes: a sender dates its packets to the millisecond or by a clock of its own, so that their times are
// not quite one packet apart. Their sound goes on without a break all the same, and one that is lost is made up for.
func TestReceiverUnevenTimes(t *testing.T) {
	const missing = 100
	var tl Timeline
	d := &counter{}
	r := &Receiver{Decoder: d, Timeline: &tl, Due: func(ts int64) time.Duration { return clock.Ticks(ts, Rate) + 100*ms }}
	out := make([]float32, 2*960)
	for i := range 200 {
		now := time.Duration(i) * 20 * ms
		if i != missing {
			r.Push(uint16(i), int64(i)*960+[]int64{0, -7, 4}[i%3], []byte{50})
		}
		r.Run(now)
		clear(out)
		tl.AddTo(clock.Samples(now, Rate), out)
		for j, v := range out {
			if i > 10 && v != .5 && v != .88 { // correction has its own value
				t.Fatalf("packet %d sample %d: %v: the sound broke", i, j/2, v)
			}
		}
	}
	if d.fec != 1 || d.lost != 0 {
		t.Errorf("corrected %d and concealed %d times, want once and never", d.fec, d.lost)
	}
}

// TestReceiverFastTimes: the packets of a sender hold a little more than the time between them, more than stretching takes
// away. Its sound is moved now and then, not with every packet.
func TestReceiverFastTimes(t *testing.T) {
	const packets, step = 3000, 946
	var tl Timeline
	r := &Receiver{Decoder: &counter{}, Timeline: &tl, Due: func(ts int64) time.Duration { return clock.Ticks(ts, Rate) + 100*ms }}
	moved := 0
	for i := range int64(packets) {
		before := r.pos
		r.Push(uint16(i), i*step, []byte{50})
		r.Run(clock.Ticks(i*step, Rate))
		if i > 0 && r.pos-before < 960-2*960/maxStretch {
			moved++
		}
		if off := clock.Samples(r.Due(r.nextTS), Rate) - r.pos; off > jump+48 || off < -jump-48 {
			t.Fatalf("packet %d: the sound is %d samples off its place", i, off)
		}
		tl.AddTo(clock.Samples(clock.Ticks(i*step, Rate), Rate), make([]float32, 2*step))
	}
	if moved == 0 || moved > packets/300 {
		t.Errorf("the sound was moved %d times in a minute", moved)
	}
}

// TestReceiverWaitsForShortPackets: however many packets the playout delay holds, one that is missing is waited for, and
// those behind it are kept.
func TestReceiverWaitsForShortPackets(t *testing.T) {
	for _, n := range []int{120, 240} {
		const missing = 300
		var tl Timeline
		d := &counter{n: n}
		r := &Receiver{Decoder: d, Timeline: &tl, Due: func(ts int64) time.Duration { return clock.Ticks(ts, Rate) + clock.MaxDelay }}
		out := make([]float32, 2*n)
		for i := range 1000 {
			now := clock.Ticks(int64(i*n), Rate)
			if i != missing {
				r.Push(uint16(i), int64(i*n), []byte{50})
			}
			r.Run(now)
			clear(out)
			tl.AddTo(int64(i*n), out)
			for j, v := range out {
				if now > clock.MaxDelay+20*ms && v != .5 && v != .88 {
					t.Fatalf("%d samples: packet %d sample %d: %v: the sound broke", n, i, j/2, v)
				}
			}
		}
		if d.fec != 1 || d.lost != 0 || r.Lost() != 1 {
			t.Errorf("%d samples: corrected %d and concealed %d times, %d lost", n, d.fec, d.lost, r.Lost())
		}
	}
}

// TestReceiverNewTimeline: a sender begins a new timeline, a little further in its numbers and far back in its times.
func TestReceiverNewTimeline(t *testing.T) {
	sync := clock.NewSync()
	r := &Receiver{Decoder: &counter{}, Timeline: &Timeline{}, Due: func(ts int64) time.Duration { return sync.Due(clock.Audio, ts) }}
	for i := range 200 {
		now := time.Duration(i) * 20 * ms
		seq, rtp := uint16(i), uint32(i*960)
		if i >= 100 {
			seq, rtp = seq+100, rtp-60*Rate
		}
		r.Push(seq, sync.Arrive(clock.Audio, rtp, now), []byte{50})
		r.Run(now)
		if int(r.Decoded()) != i+1 {
			t.Fatalf("%d packets of %d are decoded", r.Decoded(), i+1)
		}
	}
}

func FuzzReceiver(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, data []byte) {
		var tl Timeline
		r := &Receiver{Decoder: &counter{}, Timeline: &tl, Due: func(ts int64) time.Duration { return clock.Ticks(ts, Rate) + 100*ms }}
		out := make([]float32, 2*960)
		for now := time.Duration(0); len(data) >= 4; now += 20 * ms {
			r.Push(uint16(data[0])|uint16(data[1])<<8&0x300, int64(int8(data[2]))*480+clock.Samples(now, Rate), data[3:4])
			data = data[4:]
			r.Run(now)
			tl.AddTo(clock.Samples(now, Rate), out)
		}
	})
}
