package av

import (
	"errors"
	"math"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// tone returns n samples per channel: left of one frequency, right of another.
func tone(at, n int, left, right float64) []float32 {
	pcm := make([]float32, 2*n)
	for i := range n {
		t := float64(at+i) / 48000
		pcm[2*i] = float32(0.4 * math.Sin(2*math.Pi*left*t))
		pcm[2*i+1] = float32(0.4 * math.Sin(2*math.Pi*right*t))
	}
	return pcm
}

// level is the amplitude of a frequency in one channel (Goertzel).
func level(pcm []float32, channel int, hz float64) float64 {
	n := len(pcm) / 2
	var re, im float64
	for i := range n {
		a := 2 * math.Pi * hz * float64(i) / 48000
		re += float64(pcm[2*i+channel]) * math.Cos(a)
		im += float64(pcm[2*i+channel]) * math.Sin(a)
	}
	return 2 * math.Hypot(re, im) / float64(n)
}

func TestOpusRoundTrip(t *testing.T) {
	enc, err := NewOpusEncoder(96_000)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	dec, err := NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	packet, pcm := make([]byte, 1500), make([]float32, 2*MaxOpusSamples)
	for i := range 20 {
		n, err := enc.Encode(tone(i*960, 960, 440, 1000), packet)
		if err != nil {
			t.Fatal(err)
		}
		switch i {
		case 12: // lost: concealment
			if n, err := dec.DecodeLost(pcm, 960); n != 960 || err != nil {
				t.Errorf("concealed %d: %v", n, err)
			}
			continue
		case 13: // the packet before is recovered first
			if n, err := dec.DecodeFEC(packet[:n], pcm, 960); n != 960 || err != nil {
				t.Errorf("recovered %d: %v", n, err)
			}
		}
		got, err := dec.Decode(packet[:n], pcm)
		if err != nil || got != 960 {
			t.Fatalf("packet %d: %d samples, %v", i, got, err)
		}
	}
	got := pcm[:1920]
	if l, r := level(got, 0, 440), level(got, 1, 1000); l < 0.35 || l > 0.45 || r < 0.35 || r > 0.45 {
		t.Errorf("levels %.2f left, %.2f right, want 0.4", l, r)
	}
	if l, r := level(got, 0, 1000), level(got, 1, 440); l > 0.05 || r > 0.05 {
		t.Errorf("channels mixed: %.2f, %.2f", l, r)
	}
}

func TestOpusRefuses(t *testing.T) {
	dec, err := NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]float32, 2*MaxOpusSamples)
	if _, err := dec.Decode(nil, pcm); !errors.Is(err, ErrInvalid) {
		t.Errorf("no data: %v", err)
	}
	if _, err := dec.Decode([]byte{0xff, 0xff, 0xff}, pcm); !errors.Is(err, ErrDamaged) {
		t.Errorf("garbage: %v", err)
	}
	if _, err := dec.Decode([]byte{0xfc}, pcm[:0]); !errors.Is(err, ErrInvalid) {
		t.Errorf("no room: %v", err)
	}
	if _, err := dec.DecodeLost(pcm[:100], 960); !errors.Is(err, ErrInvalid) {
		t.Errorf("no room for concealment: %v", err)
	}
	dec.Close()
	dec.Close()
	if _, err := dec.Decode([]byte{0xfc}, pcm); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := NewOpusEncoder(1); !errors.Is(err, ErrInvalid) {
		t.Errorf("1 b/s: %v", err)
	}
}

func TestAACEncoder(t *testing.T) {
	const frames, bitrate = 200, 128_000
	enc, err := NewAACEncoder(bitrate)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	var config mpeg4audio.AudioSpecificConfig
	if err := config.Unmarshal(enc.Config()); err != nil {
		t.Fatal(err)
	}
	if config.Type != mpeg4audio.ObjectTypeAACLC || config.SampleRate != 48000 || config.ChannelConfig != 2 {
		t.Errorf("config %+v", config)
	}
	if enc.Delay() != 1024 {
		t.Errorf("delay %d, want 1024", enc.Delay())
	}
	bytes := 0
	for i := range frames {
		frame, err := enc.Encode(tone(i*AACFrame, AACFrame, 440, 1000))
		if err != nil {
			t.Fatal(err)
		}
		if (frame == nil) != (i == 0) {
			t.Errorf("call %d returned %d bytes: the first frame comes with the second call", i, len(frame))
		}
		bytes += len(frame)
	}
	if rate := float64(bytes*8) * 48000 / (frames * AACFrame); rate > 1.1*bitrate {
		t.Errorf("%.0f b/s, want at most %d", rate, bitrate)
	}
	if _, err := enc.Encode(make([]float32, 10)); !errors.Is(err, ErrInvalid) {
		t.Errorf("short frame: %v", err)
	}
	nan := make([]float32, 2*AACFrame)
	nan[0], nan[5] = float32(math.NaN()), float32(math.Inf(1))
	for i := range 4 {
		if frame, err := enc.Encode(nan); err != nil || len(frame) == 0 {
			t.Errorf("not a number, call %d: %d bytes, %v", i, len(frame), err)
		}
	}
	if _, err := NewAACEncoder(1); !errors.Is(err, ErrInvalid) {
		t.Errorf("1 b/s: %v", err)
	}
	enc.Close()
	if _, err := enc.Encode(nan); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
