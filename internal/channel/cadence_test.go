package channel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/footlight-live/footlight/internal/channel/hls"
)

// stamps returns the timestamps of n frames, in milliseconds, as an encoder rounds them.
func stamps(r rate, n int, round func(float64) float64) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(round(r.millis(int64(i)) + 1234.4))
	}
	return out
}

// play puts timestamps through a cadence and returns the frames.
func play(c *cadence, millis []int64) []exact {
	var out []exact
	for _, t := range millis {
		out = append(out, c.next(t, t, (t-millis[0])*ticksPerMilli))
	}
	return out
}

func TestCadence(t *testing.T) {
	for _, r := range commonRates {
		for name, round := range map[string]func(float64) float64{"round": math.Round, "floor": math.Floor} {
			for _, hinted := range []bool{true, false} {
				var c cadence
				if hinted {
					c.hints = []rate{r}
				}
				in := stamps(r, 1000, round)
				c.start(in[:probeFrames])
				if !c.rate.known() {
					t.Fatalf("%v %s: not recognised", r, name)
				}
				// Without a hint the NTSC rates look like their neighbours at first.
				settled := 0
				if !hinted && r.den != 1 {
					settled = 500
				}
				frames := play(&c, in)
				for i, f := range frames {
					if i == 0 || i <= settled {
						continue
					}
					want := hls.ClockRate * float64(r.den) / float64(r.num)
					if d := float64(f.dts - frames[i-1].dts); math.Abs(d-want) > 1 || math.Abs(float64(f.duration)-want) > 1 {
						t.Fatalf("%v %s hint %v: frame %d after %v ticks, want %v", r, name, hinted, i, d, want)
					}
					if off := float64(f.dts) - float64(in[i]-in[0])*ticksPerMilli; math.Abs(off) > 2*ticksPerMilli {
						t.Fatalf("%v %s: frame %d is %v ticks from where the encoder says", r, name, i, off)
					}
				}
			}
		}
	}
}

func TestCadenceMissingFrames(t *testing.T) {
	r := rate{30, 1}
	in := stamps(r, 300, math.Round)
	in = append(in[:100], in[103:]...) // three frames lost
	c := cadence{}
	c.start(in[:probeFrames])
	frames := play(&c, in)
	for i, f := range frames[1:] {
		want := int64(3000)
		if i+1 == 100 {
			want = 4 * 3000
		}
		if d := f.dts - frames[i].dts; d != want {
			t.Fatalf("frame %d after %d ticks, want %d", i+1, d, want)
		}
	}
}

func TestCadenceReorderedFrames(t *testing.T) {
	r := rate{25, 1}
	c := cadence{hints: []rate{r}}
	in := stamps(rate{25, 1}, 100, math.Floor)
	c.start(in[:probeFrames])
	for i, dts := range in {
		offset := []int64{80, 120, 40, 0}[i%4]
		f := c.next(dts, dts+offset, (dts-in[0])*ticksPerMilli)
		if f.pts-f.dts != offset*ticksPerMilli {
			t.Fatalf("frame %d is shown %d ticks later, want %d", i, f.pts-f.dts, offset*ticksPerMilli)
		}
	}
}

func TestCadenceBadTimestamps(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for name, in := range map[string][]int64{
		"standing still": {0, 33, 33, 33, 33, 67, 100, 133, 167, 200, 233},
		"going back":     {0, 33, 67, 100, 20, 53, 87, 120, 153, 187, 220, 253, 287},
		"all the same":   {5, 5, 5, 5, 5, 5, 5, 5, 5},
		"all noise": func() (x []int64) {
			for range 500 {
				x = append(x, rnd.Int64N(1000))
			}
			return x
		}(),
	} {
		c := cadence{}
		c.start(in[:probeFrames])
		last := int64(math.MinInt64)
		for i, f := range play(&c, in) {
			if f.dts <= last || f.pts < f.dts || f.duration <= 0 {
				t.Fatalf("%s: frame %d at %d after %d, duration %d", name, i, f.dts, last, f.duration)
			}
			last = f.dts
		}
	}
}

// TestCadenceJitter follows irregular timestamps as they are, and locks again when they become regular.
func TestCadenceJitter(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var in []int64
	for i := range 200 {
		in = append(in, int64(i)*1000/30+rnd.Int64N(11))
	}
	start := in[len(in)-1] + 40
	for i := range 200 {
		in = append(in, start+int64(math.Round(float64(i)*1000/30)))
	}
	c := cadence{}
	c.start(in[:probeFrames])
	frames := play(&c, in)
	for i, f := range frames {
		if off := f.dts - (in[i]-in[0])*ticksPerMilli; off > 3000 || off < -3000 {
			t.Fatalf("frame %d is %d ticks off", i, off)
		}
	}
	for i := 300; i < 400; i++ {
		if d := frames[i].dts - frames[i-1].dts; d != 3000 {
			t.Fatalf("regular frame %d after %d ticks", i, d)
		}
	}
}

func TestAudioCadence(t *testing.T) {
	var c audioCadence
	said := func(i int64) int64 { return i * samplesPerAU * 1000 / 48000 * 48 } // cut to milliseconds
	for i := range int64(1000) {
		if at, ok := c.at(said(i)); !ok || at != i*samplesPerAU {
			t.Fatalf("access unit %d at %d, %v", i, at, ok)
		}
	}
	// Ten are missing: the time jumps.
	if at, ok := c.at(said(1010)); !ok || at != said(1010) {
		t.Errorf("after a gap at %d, %v", at, ok)
	}
	// Timestamps that stand still: there is no room after two.
	dropped := 0
	for range 10 {
		if _, ok := c.at(said(1010)); !ok {
			dropped++
		}
	}
	if dropped != 8 {
		t.Errorf("%d dropped, want 8", dropped)
	}
}

func FuzzCadence(f *testing.F) {
	f.Add([]byte{33, 33, 34, 33, 33, 34, 33, 33, 34})
	f.Add([]byte{0, 0, 0, 255, 0, 128, 130, 1, 1})
	f.Fuzz(func(t *testing.T, steps []byte) {
		now, in := int64(0), []int64{0}
		for _, s := range steps {
			now += int64(int8(s))
			in = append(in, now)
		}
		c := cadence{}
		c.start(in[:min(len(in), probeFrames)])
		last := int64(math.MinInt64)
		for _, f := range play(&c, in) {
			if f.dts <= last || f.pts < f.dts || f.duration <= 0 {
				t.Fatalf("%+v after %d", f, last)
			}
			last = f.dts
		}
	})
}
