package judge

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/synth/signal"
)

// listen reads the sum of the participants' sounds from clipStart on, each late by its own time and all
// through a clipper at full scale, and returns what was heard.
func listen(t *testing.T, length time.Duration, gain float64, late map[int]time.Duration) *Capture {
	t.Helper()
	samples := int(length * signal.SampleRate / time.Second)
	sum := make([]float32, 2*samples)
	part := make([]float32, 2*samples)
	for index, by := range late {
		signal.FillSound(part, index, signal.SampleAt(clipStart.Add(-by)))
		for i := range sum {
			sum[i] += part[i] * float32(gain)
		}
	}
	pcm := make([]int16, len(sum))
	for i, value := range sum {
		pcm[i] = int16(32767 * min(max(value, -1), 1))
	}
	var raw bytes.Buffer
	if err := binary.Write(&raw, binary.LittleEndian, pcm); err != nil {
		t.Fatal(err)
	}
	var sound soundReader
	if err := sound.read(&raw); err != nil {
		t.Fatal(err)
	}
	capture := new(Capture)
	capture.Sound, capture.Beeps = sound.judge(func(sample float64) time.Duration { return samplesLength(sample) })
	return capture
}

func TestHearsAllTwelveAtOnce(t *testing.T) {
	late := map[int]time.Duration{}
	for index := range signal.Participants {
		late[index] = time.Duration(index) * 7 * time.Millisecond
	}
	capture := listen(t, 3*time.Second, 0.7, late)
	if tones := capture.Tones(0, Forever); len(tones) != signal.Participants {
		t.Errorf("tones of %v; want all", tones)
	}
	heard := map[int]int{}
	for _, beep := range capture.Beeps {
		heard[beep.Index]++
		// clipStart is 0.4 s into a second.
		after := beep.PTS + 400*time.Millisecond
		if after -= after.Round(time.Second); (after - late[beep.Index]).Abs() > 5*time.Millisecond {
			t.Errorf("participant %d beeps %v after the second; want %v", beep.Index, after, late[beep.Index])
		}
	}
	for index := range signal.Participants {
		if heard[index] != 3 {
			t.Errorf("participant %d beeped %d times; want 3", index, heard[index])
		}
	}
}

func TestHearsNobodyElse(t *testing.T) {
	for index := range signal.Participants {
		capture := listen(t, 1500*time.Millisecond, 1, map[int]time.Duration{index: 0})
		if tones := capture.Tones(0, Forever); len(tones) != 1 || tones[0] != index {
			t.Errorf("participant %d alone: tones of %v", index, tones)
		}
		if level := capture.Tone(index, 0, Forever); math.Abs(level+30) > 0.5 {
			t.Errorf("participant %d: tone of %v dBFS; want -30", index, level)
		}
		if len(capture.Beeps) != 1 || capture.Beeps[0].Index != index {
			t.Fatalf("participant %d alone: beeps %+v", index, capture.Beeps)
		}
		beep := capture.Beeps[0]
		if off := beep.PTS - 600*time.Millisecond; off.Abs() > time.Millisecond || math.Abs(beep.Level+12) > 0.5 || (beep.Length-98*time.Millisecond).Abs() > 2*time.Millisecond {
			t.Errorf("participant %d: %+v; want 0.6 s, -12 dBFS, 98 ms", index, beep)
		}
	}
}

func TestCutBeepsDoNotCount(t *testing.T) {
	// The beep goes from 0.6 to 0.7 s: the capture ends in it.
	if beeps := listen(t, 650*time.Millisecond, 1, map[int]time.Duration{2: 0}).Beeps; len(beeps) != 0 {
		t.Errorf("beeps %+v", beeps)
	}
}

const stampsHeader = "#software: Lavf\n#tb 0: 1/90000\n#media_type 0: video\n#tb 1: 1/48000\n#media_type 1: audio\n"

func TestTimestamps(t *testing.T) {
	var stamps timestamps
	enough := 0
	err := stamps.read(strings.NewReader(stampsHeader+
		"0, 90000, 90000, 3000, 921600, 0x1\n1, 48000, 48000, 1024, 4096, 0x2\n0, 93000, 93000, 3000, 921600, 0x1\n"+
		"1, 49024, 49024, 1024, 4096, 0x2\n1, 60000, 60000, 1024, 4096, 0x2\n"), 200*time.Millisecond, func() { enough++ })
	if err != nil {
		t.Fatal(err)
	}
	if len(stamps.video) != 2 || stamps.video[1] != time.Second+time.Second/30 || len(stamps.audio) != 3 || stamps.audio[2].first != 2048 {
		t.Errorf("stamps %+v", stamps)
	}
	if enough != 1 {
		t.Errorf("enough was said %d times", enough)
	}
	gaps := soundClock(stamps.audio).gaps(time.Second)
	if len(gaps) != 1 || gaps[0].At.Round(time.Millisecond) != 43*time.Millisecond || gaps[0].Length.Round(time.Millisecond) != 207*time.Millisecond {
		t.Errorf("gaps %+v", gaps)
	}
}

func FuzzTimestamps(f *testing.F) {
	f.Add(stampsHeader + "0, 90000, 90000, 3000, 921600, 0x1\n")
	f.Add("#tb 5: 1/0\n#media_type : \n1,2,3,4,5,6\n")
	f.Fuzz(func(t *testing.T, text string) {
		var stamps timestamps
		_ = stamps.read(strings.NewReader(text), time.Second, func() {}) // any error will do
		soundClock(stamps.audio).gaps(0)
	})
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("YUV4MPEG2 W2 H2 F30:1 Ip A1:1 Cmono\nFRAME\n1234FRAME\n12"))
	f.Add([]byte("YUV4MPEG2 W-1 H\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var capture Capture
		_ = capture.readFrames(bytes.NewReader(data), nil) // any error will do
	})
}

func FuzzFacts(f *testing.F) {
	f.Add([]byte(`{"streams":[{"codec_type":"video","codec_name":"h264","avg_frame_rate":"30000/1001"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parseFacts(data) // any error will do
	})
}
