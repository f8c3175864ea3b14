package signal

import (
	"image"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestStripRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		index := rapid.IntRange(0, MaxIndex).Draw(t, "index")
		ms := rapid.Int64Range(0, 1<<timeBits-1).Draw(t, "ms")
		cells := EncodeStrip(index, ms)
		if i, m, ok := DecodeStrip(cells); !ok || i != index || m != ms {
			t.Fatalf("decoded %d, %d, %v; want %d, %d", i, m, ok, index, ms)
		}
		for bit := range StripCells {
			if _, _, ok := DecodeStrip(cells ^ 1<<bit); ok {
				t.Fatalf("a wrong cell %d goes unnoticed", bit)
			}
		}
	})
}

func TestUniformStripsAreInvalid(t *testing.T) {
	for _, cells := range []uint64{0, math.MaxUint64} {
		if _, _, ok := DecodeStrip(cells); ok {
			t.Errorf("%x is taken for a strip", cells)
		}
	}
}

func TestPictureKeepsMargins(t *testing.T) {
	const margin = 0.06
	for _, place := range [][4]float64{
		{StripLeft - 0.012, StripTop - 0.022, StripLeft + StripWidth + 0.012, StripTop + StripHeight + 0.022},
		{LampLeft, LampTop, LampLeft + LampWidth, LampTop + LampHeight},
	} {
		if place[0] < margin || place[1] < margin || place[2] > 1-margin || place[3] > 1-margin {
			t.Errorf("%v is nearer than %v to a border", place, margin)
		}
	}
	if LampTop < 2.0/3 {
		t.Errorf("the lamp begins at %v, above the lower third", LampTop)
	}
}

func TestLampFlashesAtWholeSeconds(t *testing.T) {
	painter, err := NewPainter(2, "Linus", 320, 180)
	if err != nil {
		t.Fatal(err)
	}
	frame := painter.NewFrame()
	second := time.Unix(1764000000, 0)
	for _, test := range []struct {
		after time.Duration
		lit   bool
	}{{0, true}, {99 * time.Millisecond, true}, {100 * time.Millisecond, false}, {500 * time.Millisecond, false}, {999 * time.Millisecond, false}, {time.Second, true}} {
		painter.Draw(frame, second.Add(test.after))
		luma := frame.Y[frame.YOffset(round(0.5*320), round((LampTop+0.02)*180))]
		if lit := luma > 200; lit != test.lit {
			t.Errorf("after %v the lamp has luma %d; want lit = %v", test.after, luma, test.lit)
		}
	}
}

func TestPainterRefusesBadSizes(t *testing.T) {
	for _, test := range []struct{ index, width, height int }{{-1, 640, 360}, {MaxIndex + 1, 640, 360}, {0, 641, 360}, {0, 640, 88}, {0, 0, 0}} {
		if _, err := NewPainter(test.index, "x", test.width, test.height); err == nil {
			t.Errorf("%+v is accepted", test)
		}
	}
}

func TestPainterTakesAnyName(t *testing.T) {
	for _, name := range []string{"", " ", "\x00", "名前", "a\nb", string(make([]byte, 10_000))} {
		painter, err := NewPainter(0, name, MinWidth, MinHeight)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		painter.Draw(painter.NewFrame(), time.Unix(0, 0))
	}
}

func TestHuesAreFarApart(t *testing.T) {
	for i := range Participants {
		for j := range i {
			apart := math.Abs(hue(i) - hue(j))
			if min(apart, 360-apart) < 29 {
				t.Errorf("participants %d and %d have hues %v and %v", i, j, hue(i), hue(j))
			}
		}
	}
}

func TestPictureStaysInLimitedRange(t *testing.T) {
	for index := range Participants {
		painter, err := NewPainter(index, "Name", 320, 180)
		if err != nil {
			t.Fatal(err)
		}
		frame := painter.NewFrame()
		painter.Draw(frame, time.Unix(1764000000, 0))
		for _, y := range frame.Y {
			if y < black || y > white {
				t.Fatalf("participant %d has luma %d", index, y)
			}
		}
	}
}

func TestSoundFitsTogether(t *testing.T) {
	start := SampleAt(time.Unix(1764000000, 123456789))
	whole := make([]float32, 2*SampleRate)
	FillSound(whole, 5, start)
	for at := 0; at < SampleRate; at += 960 {
		part := make([]float32, 2*960)
		FillSound(part, 5, start+int64(at))
		for i := range part {
			if part[i] != whole[2*at+i] {
				t.Fatalf("sample %d differs", at+i/2)
			}
		}
	}
}

func TestBeepSoundsWithFlash(t *testing.T) {
	second := time.Unix(1764000000, 0)
	for _, test := range []struct {
		from, to time.Duration
		loud     bool
	}{{-200 * time.Millisecond, -time.Millisecond, false}, {3 * time.Millisecond, 97 * time.Millisecond, true}, {101 * time.Millisecond, 300 * time.Millisecond, false}} {
		from, to := SampleAt(second.Add(test.from)), SampleAt(second.Add(test.to))
		pcm := make([]float32, 2*(to-from))
		FillSound(pcm, 0, from)
		var peak float64
		for _, value := range pcm {
			peak = max(peak, math.Abs(float64(value)))
		}
		if loud := peak > 0.1; loud != test.loud || peak > ToneAmplitude+BeepAmplitude+1e-6 {
			t.Errorf("%v to %v: peak %v; want loud = %v", test.from, test.to, peak, test.loud)
		}
	}
}

func TestSampleAtIsExact(t *testing.T) {
	for _, sample := range []int64{0, 1, 48000*1764000000 + 47999, SampleAt(time.Unix(4e9, 0))} {
		if got := SampleAt(TimeOf(sample).Add(time.Nanosecond)); got != sample {
			t.Errorf("sample %d comes back as %d", sample, got)
		}
	}
}

func TestFrequenciesAreApart(t *testing.T) {
	for i := 1; i < Participants; i++ {
		if ToneHz(i)-ToneHz(i-1) < 70 || BeepHz(i)-BeepHz(i-1) < 200 {
			t.Errorf("participants %d and %d are too near", i-1, i)
		}
	}
	if ToneHz(0) < 300 || ToneHz(Participants-1) > 1400 || BeepHz(0) < 2000 || BeepHz(Participants-1) > 6000 {
		t.Error("frequencies are out of their bands")
	}
}

func TestToRGBA(t *testing.T) {
	frame := image.NewYCbCr(image.Rect(0, 0, 2, 2), image.YCbCrSubsampleRatio420)
	for _, test := range [][3]float64{{0, 0, 0}, {1, 1, 1}, {1, 0, 0}, {0.2, 0.6, 0.9}} {
		y, u, v := yuv(test[0], test[1], test[2])
		for i := range frame.Y {
			frame.Y[i] = uint8(y + 0.5)
		}
		frame.Cb[0], frame.Cr[0] = uint8(u+0.5), uint8(v+0.5)
		got := ToRGBA(frame).RGBAAt(1, 1)
		for i, value := range [3]uint8{got.R, got.G, got.B} {
			if math.Abs(float64(value)-255*test[i]) > 3 {
				t.Errorf("%v comes back as %v", test, got)
			}
		}
	}
}

// TestToneLevel hears each participant in a second of its own sound, and in a tenth of one, and nobody else.
func TestToneLevel(t *testing.T) {
	for index := range Participants {
		for _, n := range []int{SampleRate, SampleRate / 10} {
			pcm := make([]float32, 2*n)
			FillSound(pcm, index, SampleRate/2) // with a beep where it is long
			for other := range Participants {
				if level := ToneLevel(pcm, other); (other == index) != (level > -31 && level < -29) || other != index && level > -50 {
					t.Errorf("%d samples of %d: the tone of %d is at %.1f dB", n, index, other, level)
				}
			}
		}
	}
	if ToneLevel(nil, 0) != -120 || ToneLevel(make([]float32, 9600), 0) != -120 {
		t.Error("silence is heard")
	}
}
