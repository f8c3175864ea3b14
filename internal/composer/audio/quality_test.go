package audio

import (
	"math"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/clock"
)

// frame is what one Opus packet holds, 20 ms.
const frame = 960

// opus encodes a sound as one packet for each 20 ms.
func opus(t *testing.T, bitRate int, pcm []float32) (packets [][]byte) {
	t.Helper()
	encoder, err := av.NewOpusEncoder(bitRate)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	for len(pcm) >= 2*frame {
		buf := make([]byte, 1500)
		n, err := encoder.Encode(pcm[:2*frame], buf)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, buf[:n])
		pcm = pcm[2*frame:]
	}
	return packets
}

// speech is something that changes all the time, as speech does: a gliding tone with overtones that comes in
// syllables of 250 ms.
func speech(n int, amplitude float64) []float32 {
	out := make([]float32, 2*n)
	phase := 0.0
	for i := range n {
		at := float64(i) / Rate
		phase += 2 * math.Pi * (140 + 40*math.Sin(2*math.Pi*1.3*at)) / Rate
		v := 0.0
		for k := 1.0; k <= 12; k++ {
			v += math.Sin(k*phase) / k
		}
		v *= amplitude / 2 * math.Pow(math.Sin(math.Pi*4*at), 2)
		out[2*i], out[2*i+1] = float32(v), float32(v)
	}
	return out
}

func decoder(t *testing.T) Decoder {
	t.Helper()
	d, err := av.NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// play sends the packets that pass through a Receiver, one every 20 ms, and returns what is heard. Everything is
// due 60 ms after its time. event is called before each packet.
func play(t *testing.T, d Decoder, packets [][]byte, passes func(i int) bool, event func(i int, tl *Timeline)) []float32 {
	t.Helper()
	var tl Timeline
	r := &Receiver{Decoder: d, Timeline: &tl, Due: func(ts int64) time.Duration { return clock.Ticks(ts, Rate) + 60*ms }}
	var m Mixer
	var out []float32
	for now := time.Duration(0); now < time.Duration(len(packets)+25)*20*ms; now += ms {
		if i := int(now / (20 * ms)); now%(20*ms) == 0 && i < len(packets) {
			if event != nil {
				event(i, &tl)
			}
			if passes == nil || passes(i) {
				r.Push(uint16(i), int64(i)*frame, packets[i])
			}
		}
		r.Run(now)
		for clock.Ticks(m.Next()+Block, Rate) <= now {
			out = append(out, make([]float32, 2*Block)...)
			m.Mix(out[len(out)-2*Block:], []*Timeline{&tl})
		}
	}
	return out
}

// bend is the largest second difference of neighbouring samples in from..to, ms: a click, be it a step or a corner,
// bends the sound far more than the sound itself.
func bend(pcm []float32, from, to int) (worst float64) {
	for i := from * 48; i < min(to*48, len(pcm)/2-2); i++ {
		worst = max(worst, math.Abs(float64(pcm[2*i]-2*pcm[2*i+2]+pcm[2*i+4])))
	}
	return worst
}

// TestNothingClicks: a tone comes, is muted and unmuted, pauses as with DTX, loses packets, and goes. No edge bends
// the sound much more than the tone itself does.
func TestNothingClicks(t *testing.T) {
	packets := opus(t, 96_000, tone(4*Rate, 0.5))
	gone := func(from, to int) func(int) bool { return func(i int) bool { return i < from || i >= to } }
	for _, c := range []struct {
		name     string
		passes   func(int) bool
		event    func(int, *Timeline)
		from, to int // where it is, ms
	}{
		{"comes", gone(0, 20), nil, 300, 800},
		{"goes", nil, nil, 3900, 4500},
		{"is muted", nil, func(i int, tl *Timeline) { tl.Mute(i >= 100) }, 1900, 2300},
		{"is unmuted", nil, func(i int, tl *Timeline) { tl.Mute(i < 100) }, 1900, 2300},
		{"loses one", gone(100, 101), nil, 1900, 2400},
		{"loses five", gone(100, 105), nil, 1900, 2600},
		{"loses a second", gone(100, 150), nil, 1900, 3500},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := play(t, decoder(t), packets, c.passes, c.event)
			own, edge := bend(out, 1000, 1500), bend(out, c.from, c.to)
			if c.name == "is unmuted" {
				own = bend(out, 2500, 3000)
			}
			t.Logf("the tone bends by %.5f, the edge by %.5f", own, edge)
			if edge > 2.5*own {
				t.Errorf("the tone bends by %.5f, the edge by %.5f: that clicks", own, edge)
			}
		})
	}
}

// concealing is a decoder that knows no forward error correction.
type concealing struct{ Decoder }

func (c concealing) DecodeFEC(_ []byte, pcm []float32, n int) (int, error) {
	return c.DecodeLost(pcm, n)
}

// TestForwardErrorCorrection: every tenth packet is lost, and what is heard is nearer to what was sent than with
// concealment alone.
func TestForwardErrorCorrection(t *testing.T) {
	packets := opus(t, 32_000, speech(4*Rate, 0.5)) // at this rate Opus both codes it as speech and adds correction
	passes := func(i int) bool { return i%10 != 5 }
	whole := play(t, decoder(t), packets, nil, nil)
	distance := func(out []float32) (sum float64) {
		for i := range whole {
			sum += math.Pow(float64(out[i]-whole[i]), 2)
		}
		return math.Sqrt(sum / float64(len(whole)))
	}
	with := distance(play(t, decoder(t), packets, passes, nil))
	without := distance(play(t, concealing{decoder(t)}, packets, passes, nil))
	t.Logf("off by %.4f, without by %.4f; all silence is off by %.4f", with, without, distance(make([]float32, len(whole))))
	if with > 0.8*without {
		t.Errorf("off by %.4f with correction, by %.4f without", with, without)
	}
}

// TestTwelveLoudParticipants: all at full scale at once stay under the ceiling, and the limiter turns them down
// rather than bend them: what comes out is the sum, times a gain that changes slowly.
func TestTwelveLoudParticipants(t *testing.T) {
	var ts []*Timeline
	sum := make([]float64, 2*Rate)
	for k := range 12 {
		tl := &Timeline{}
		pcm := make([]float32, 2*Rate)
		for i := range Rate {
			v := math.Sin(2*math.Pi*float64(200+37*k)*float64(i)/Rate + float64(k))
			pcm[2*i], pcm[2*i+1] = float32(v), float32(v)
			sum[i] += v
		}
		tl.Write(0, pcm)
		ts = append(ts, tl)
	}
	var m Mixer
	var out []float32
	for m.Next()+Block <= Rate {
		block := make([]float32, 2*Block)
		m.Mix(block, ts)
		out = append(out, block...)
	}
	limit := float32(math.Pow(10, -1.0/20)) * 1.00001
	for i, v := range out {
		if abs(v) > limit {
			t.Fatalf("sample %d is %v: over −1 dBFS", i/2, v)
		}
	}
	// The gain that explains each sample, where the sum is large enough to tell, moves by little from one to the next.
	before, at, worst := 0.0, 0, 0.0
	for i := 2 * fade; i < len(out)/2; i++ {
		if math.Abs(sum[i]) < 0.5 {
			continue
		}
		gain := float64(out[2*i]) / sum[i]
		if before != 0 {
			worst = max(worst, math.Abs(gain-before)/before/float64(i-at))
		}
		before, at = gain, i
	}
	t.Logf("the gain moves by at most %.4f a sample", worst)
	if worst > 0.02 {
		t.Errorf("the gain jumps by %.3f: that distorts", worst)
	}
}

// TestVoice: who speaks is known after 200 ms of voice, until a second after it, and pauses between words change
// nothing.
func TestVoice(t *testing.T) {
	var v voice
	loud, soft := 0.01, 1e-7
	steps := []struct {
		square float64
		ms     int
		want   bool
	}{{soft, 500, false}, {loud, 100, false}, {soft, 1000, false}, {loud, 300, true}, {soft, 500, true}, {loud, 100, true}, {soft, 900, true}, {soft, 600, false}}
	for i, s := range steps {
		for range s.ms / 20 {
			v.add(s.square, frame)
		}
		if v.speaking != s.want {
			t.Errorf("step %d: speaking %v", i, v.speaking)
		}
	}
	for range 100 {
		v.add(0.5, frame)
	}
	if got := v.level(); math.Abs(got+3) > 0.1 {
		t.Errorf("level %.1f dBFS, want −3", got)
	}
	if got := (&voice{}).level(); got != Silence {
		t.Errorf("nothing has %v dBFS", got)
	}
}
