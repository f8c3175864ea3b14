package worker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"golang.org/x/sys/unix"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/transcode"
)

// encode makes AAC of one second of silence and one of a tone.
func encode(t testing.TB, rate, channels int) (config []byte, units [][]byte) {
	t.Helper()
	source := fmt.Sprintf("sine=frequency=1000:sample_rate=%d:duration=1,adelay=1000:all=1,aformat=channel_layouts=%s,volume=6dB", rate, []string{"mono", "stereo"}[channels-1])
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:a", "aac", "-b:a", "128k", "-f", "adts", "-")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	var packets mpeg4audio.ADTSPackets
	if err := packets.Unmarshal(out); err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if p.SampleRate != rate || int(p.ChannelConfig) != channels {
			t.Fatalf("ffmpeg made %d Hz, %d channels", p.SampleRate, p.ChannelConfig)
		}
		units = append(units, p.AU)
	}
	c := mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: rate, ChannelConfig: uint8(channels)}
	if config, err = c.Marshal(); err != nil {
		t.Fatal(err)
	}
	return config, units
}

// transcoded runs messages through a worker and decodes what comes out: the sound, and the time of its first sample.
func transcoded(t *testing.T, messages []transcode.Message) (pcm []float32, start time.Duration) {
	t.Helper()
	var in, out bytes.Buffer
	for _, m := range messages {
		if err := m.Write(&in); err != nil {
			t.Fatal(err)
		}
	}
	if err := Run(&in, &out, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	decoder, err := av.NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	frame := make([]float32, 2*av.MaxOpusSamples)
	begun := false
	for {
		m, err := transcode.Read(&out, transcode.MaxSound)
		if errors.Is(err, io.EOF) {
			return pcm, start
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Data) == 0 {
			continue
		}
		if !begun {
			begun, start = true, m.At
		}
		if want := start + time.Duration(len(pcm)/2)*time.Second/sampleRate; (m.At - want).Abs() > time.Microsecond {
			t.Fatalf("packet at %v, want %v", m.At, want)
		}
		n, err := decoder.Decode(m.Data, frame)
		if err != nil || n != packetSamples {
			t.Fatalf("%d samples, %v", n, err)
		}
		pcm = append(pcm, frame[:2*n]...)
	}
}

// onset finds where sound begins in both channels.
func onset(pcm []float32) int {
	for i := 0; i+1 < len(pcm); i += 2 {
		if math.Abs(float64(pcm[i])) > 0.02 && math.Abs(float64(pcm[i+1])) > 0.02 {
			return i / 2
		}
	}
	return -1
}

// crossings counts how often the left channel goes up through zero within n samples.
func crossings(pcm []float32, from, n int) (count int) {
	for i := from; i < from+n; i++ {
		if pcm[2*i-2] < 0 && pcm[2*i] >= 0 {
			count++
		}
	}
	return count
}

func TestTranscode(t *testing.T) {
	for _, c := range []struct{ rate, channels int }{{48000, 2}, {48000, 1}, {44100, 2}, {44100, 1}} {
		t.Run(fmt.Sprintf("%d Hz %d channels", c.rate, c.channels), func(t *testing.T) {
			config, units := encode(t, c.rate, c.channels)
			const origin = 7 * time.Second
			messages := []transcode.Message{{Kind: transcode.Config, Data: config}}
			for i, u := range units {
				// As RTMP says it: in whole milliseconds.
				at := (time.Duration(i) * 1024 * time.Second / time.Duration(c.rate)).Round(time.Millisecond)
				messages = append(messages, transcode.Message{Kind: transcode.Unit, At: origin + at, Data: u})
			}
			pcm, start := transcoded(t, messages)
			// The encoder's first frame is priming, which ADTS does not say.
			want := origin + time.Second + 1024*time.Second/time.Duration(c.rate)
			at := onset(pcm)
			if got := start + time.Duration(at)*time.Second/sampleRate; at < 0 || (got-want).Abs() > 2*time.Millisecond {
				t.Errorf("the tone begins at %v, want %v", got, want)
			}
			if n := crossings(pcm, at+4800, 24000); n < 499 || n > 501 {
				t.Errorf("%d periods in half a second of 1000 Hz", n)
			}
		})
	}
}

// TestTranscodeDamaged has holes, garbage and another configuration on the way: sound comes back at its time.
func TestTranscodeDamaged(t *testing.T) {
	config, units := encode(t, 48000, 2)
	messages := []transcode.Message{
		{Kind: transcode.Unit, Data: units[0]}, // before any configuration
		{Kind: transcode.Config, Data: []byte{0xff}},
		{Kind: transcode.Unit, Data: units[0]},
		{Kind: transcode.Config, Data: config},
	}
	for i, u := range units {
		at := time.Duration(i) * 1024 * time.Second / 48000
		switch {
		case i >= 10 && i < 20: // lost
			continue
		case i == 25:
			u = bytes.Repeat([]byte{0xA5}, 200)
		case i == 26:
			u = u[:len(u)/2]
		case i == 27:
			u = nil
		}
		messages = append(messages, transcode.Message{Kind: transcode.Unit, At: at, Data: u})
	}
	pcm, start := transcoded(t, messages)
	// Whatever the garbage turned into lies before half a second and a bit more.
	from := 2 * 28 * 1024
	at := onset(pcm[from:])
	if got, want := start+time.Duration(from/2+at)*time.Second/sampleRate, time.Second+1024*time.Second/48000; at < 0 || (got-want).Abs() > 45*time.Millisecond {
		t.Errorf("the tone begins at %v, want %v", got, want)
	}
}

func TestTimeline(t *testing.T) {
	sound := func(n int, v float32) []float32 {
		pcm := make([]float32, 2*n)
		for i := range pcm {
			pcm[i] = v
		}
		return pcm
	}
	var tl timeline
	tl.add(1000, sound(960, 1))
	if at, pcm := tl.take(); at != 1000 || len(pcm) != 1920 || pcm[0] != 1 {
		t.Fatalf("first frame at %d", at)
	}
	tl.add(1960+40, sound(1000, 2)) // rounding: no hole
	if at, pcm := tl.take(); at != 1960 || pcm[0] != 2 {
		t.Errorf("frame at %d begins with %v", at, pcm[0])
	}
	tl.add(2960+4800, sound(960, 3)) // a hole of 100 ms
	var got []string
	for at, pcm := tl.take(); pcm != nil; at, pcm = tl.take() {
		got = append(got, fmt.Sprintf("%d:%v", at, pcm[1000]))
	}
	if want := "2920:0 3880:0 4840:0 5800:0 6760:0 7720:3"; strings.Join(got, " ") != want {
		t.Errorf("frames %v, want %s", got, want)
	}
	end := tl.start + int64(len(tl.pcm)/2)
	tl.add(end-4000, sound(5000, 4)) // 4000 samples were there already
	if now := tl.start + int64(len(tl.pcm)/2); now != end+1000 {
		t.Errorf("an overlap moved the end by %d", now-end)
	}
	tl.add(9_000_000, sound(960, 5)) // minutes later
	if at, pcm := tl.take(); at != 9_000_000 || pcm[0] != 5 {
		t.Errorf("after a long hole: frame at %d", at)
	}
	for _, at := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond, time.Hour + 333*time.Microsecond, -20 * time.Millisecond} {
		if off := (duration(samples(at)) - at).Abs(); off > time.Second/sampleRate+time.Microsecond {
			t.Errorf("%v is off by %v", at, off)
		}
	}
}

func FuzzRun(f *testing.F) {
	config, units := encode(f, 48000, 2)
	f.Add(config, units[60], units[61])
	f.Add([]byte{0x11, 0x90}, []byte{0x21, 0x00}, []byte{})
	f.Add([]byte{0x2b, 0x8a, 0x08, 0x00}, units[60], units[61])
	f.Fuzz(func(t *testing.T, config, a, b []byte) {
		var in bytes.Buffer
		for i, data := range [][]byte{config, a, b, a, b} {
			kind := transcode.Unit
			if i == 0 {
				kind = transcode.Config
			}
			_ = transcode.Message{Kind: kind, At: time.Duration(i) * 20 * time.Millisecond, Data: data[:min(len(data), transcode.MaxSound)]}.Write(&in)
		}
		if err := Run(&in, io.Discard, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	})
}

// BenchmarkRun turns two seconds of 44.1 kHz stereo into Opus.
func BenchmarkRun(b *testing.B) {
	config, units := encode(b, 44100, 2)
	var in bytes.Buffer
	_ = transcode.Message{Kind: transcode.Config, Data: config}.Write(&in) // a buffer takes everything
	for i, u := range units {
		_ = transcode.Message{Kind: transcode.Unit, At: time.Duration(i) * 1024 * time.Second / 44100, Data: u}.Write(&in)
	}
	before := processorTime(b)
	for b.Loop() {
		if err := Run(bytes.NewReader(in.Bytes()), io.Discard, slog.New(slog.DiscardHandler)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/float64(2*time.Second)*100, "%core")
}

// processorTime is what this process has taken of the processors, whatever else they do.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
