package capture

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/stage"
)

const ms = time.Millisecond

// Parameter sets of x264: 320x180 baseline, and another one of 640x360.
var (
	sps     = unhex("6742c00cd901419f9f011000000300100000030320f142a480")
	spsWide = unhex("6742c01ed900a02ff97011000003000100000300320f162e48")
	pps     = unhex("68cb83cb20")
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// tape is an Output that keeps what it gets.
type tape struct {
	log    []string // tracks and breaks, and K and P with the time in ms
	video  []record.VideoFrame
	audio  []record.AudioFrame
	tracks []record.Tracks
}

func (o *tape) SetTracks(t record.Tracks) {
	o.tracks = append(o.tracks, t)
	o.log = append(o.log, fmt.Sprintf("tracks %v %d", len(t.SPS) > 0, t.Opus))
}
func (o *tape) WriteVideo(f record.VideoFrame) { o.video = append(o.video, f) }
func (o *tape) WriteAudio(f record.AudioFrame) { o.audio = append(o.audio, f) }
func (o *tape) Break()                         { o.log = append(o.log, "break") }
func (o *tape) lag(t *testing.T) time.Duration {
	t.Helper()
	if len(o.video) == 0 || len(o.audio) == 0 {
		t.Fatal("nothing was recorded")
	}
	// What was captured last, see scene.play.
	v, a := o.video[len(o.video)-1], o.audio[len(o.audio)-1]
	return time.Duration(a.DTS)*time.Second/soundRate - time.Duration(v.DTS)*time.Second/record.ClockRate
}

// scene is a sender whose picture and sound take different ways, on one clock.
type scene struct {
	c                    *capture
	videoLate, audioLate time.Duration
	reports              bool
	sps                  []byte
	videoSeq, audioSeq   uint16
	skip                 func(at time.Duration, video bool) bool
	keys                 int
}

// ntpAt is a sender's wall clock.
func ntpAt(at time.Duration) uint64 {
	return (3_990_000_000+uint64(at/time.Second))<<32 | uint64(at%time.Second)<<32/uint64(time.Second)
}

// play sends what is captured in [from, to): 25 pictures a second with a key frame in each, 50 packets of sound.
func (s *scene) play(from, to time.Duration) {
	type sending struct {
		at time.Duration
		h  stage.Heard
	}
	var all []sending
	const videoBase, audioBase = 4_294_900_000, 77 // the first one wraps around
	for at := from; at < to; at += 20 * ms {
		video, audio := uint32(videoBase+int64(at/ms)*90), uint32(audioBase+int64(at/ms)*48)
		if at%time.Second == 0 && s.reports {
			all = append(all, sending{at + s.videoLate + 1, stage.Heard{Video: true, NTP: ntpAt(at), Timestamp: video}},
				sending{at + s.audioLate + 1, stage.Heard{NTP: ntpAt(at), Timestamp: audio}})
		}
		if s.skip == nil || !s.skip(at, false) {
			all = append(all, sending{at + s.audioLate, stage.Heard{Sequence: s.audioSeq, Timestamp: audio, Payload: []byte{0xfc, 1, 2}}})
		}
		s.audioSeq++
		if at%(40*ms) != 0 {
			continue
		}
		payloads := [][]byte{{0x06, 5, 1, byte(at / time.Second), 0x80}, {0x41, 0x9a, 1}}
		if at%time.Second == 0 {
			stap := []byte{24, 0, byte(len(s.sps))}
			stap = append(append(stap, s.sps...), 0, byte(len(pps)))
			payloads = [][]byte{append(stap, pps...), payloads[0], {0x65, 0x88, 1}}
		}
		for i, p := range payloads {
			if s.skip == nil || !s.skip(at, true) {
				all = append(all, sending{at + s.videoLate, stage.Heard{Video: true, Sequence: s.videoSeq, Timestamp: video, Marker: i == len(payloads)-1, Payload: p}})
			}
			s.videoSeq++
		}
	}
	slices.SortStableFunc(all, func(a, b sending) int { return int(a.at - b.at) })
	for _, m := range all {
		s.c.hear(m.h, m.at)
		s.c.tick(m.at)
	}
}

func newScene() (*scene, *tape) {
	out, s := &tape{}, &scene{sps: sps, reports: true}
	s.c = newCapture(out, func() { s.keys++ }, 6*time.Second, time.Unix(1_800_000_000, 0))
	return s, out
}

// TestLipSync: what is captured together has one time, whatever the ways of picture and sound.
func TestLipSync(t *testing.T) {
	for _, c := range []struct {
		name                 string
		videoLate, audioLate time.Duration
		reports              bool
	}{
		{"equal, no reports", 5 * ms, 5 * ms, false},
		{"video slower", 205 * ms, 5 * ms, true},
		{"sound slower", 5 * ms, 255 * ms, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, out := newScene()
			s.videoLate, s.audioLate, s.reports = c.videoLate, c.audioLate, c.reports
			s.play(0, 5*time.Second)
			s.c.close(6 * time.Second)
			// The newest sound is captured 20 ms after the newest picture, or with it.
			if lag := out.lag(t) - 20*ms; lag.Abs() > ms {
				t.Errorf("sound is %v late", lag)
			}
			if !slices.Equal(out.log, []string{"tracks true 2"}) {
				t.Errorf("%v", out.log)
			}
			if n := len(out.video); n != 125 || out.video[0].Duration != 3600 || !out.video[25].Key || len(out.video[25].NALUs) != 2 || out.video[25].NALUs[0][0] != 6 {
				t.Errorf("%d pictures, the key frame has %d NAL units", n, len(out.video[25].NALUs))
			}
			if len(out.audio) != 250 || out.audio[9].Samples != 960 {
				t.Errorf("%d packets of sound", len(out.audio))
			}
		})
	}
}

// TestLoss: what is lost costs the pictures up to the next key frame, which is asked for, and no sound but the lost one.
func TestLoss(t *testing.T) {
	s, out := newScene()
	s.skip = func(at time.Duration, video bool) bool { return at == 2200*ms }
	s.play(0, 5*time.Second)
	s.c.close(6 * time.Second)
	if len(out.video) != 125-20 || len(out.audio) != 249 || s.keys == 0 {
		t.Errorf("%d pictures, %d of sound, %d requests", len(out.video), len(out.audio), s.keys)
	}
	for i, f := range out.video[1:] {
		if step := f.DTS - out.video[i].DTS; step != 3600 && !f.Key {
			t.Errorf("picture %d comes %d after the one before and is no key frame", i+1, step)
		}
	}
}

// TestTracks: sound alone, then a picture, then one of another size; a clock that leaps is a break.
func TestTracks(t *testing.T) {
	s, out := newScene()
	s.skip = func(at time.Duration, video bool) bool { return video && at < 5*time.Second }
	s.play(0, 7*time.Second)
	s.sps = spsWide
	s.play(7*time.Second, 9*time.Second)
	if want := []string{"tracks false 2", "tracks true 2", "tracks true 2"}; !slices.Equal(out.log, want) {
		t.Fatalf("%v, want %v", out.log, want)
	}
	s.c.hear(stage.Heard{Video: true, Sequence: 9, Timestamp: 5, Payload: []byte{0x41}}, 9*time.Second)
	if got := out.log[3:]; !slices.Equal(got, []string{"break"}) {
		t.Errorf("after a leap: %v", got)
	}
}

// TestPictureAlone is recorded after a second; sound that comes later joins it at a key frame.
func TestPictureAlone(t *testing.T) {
	s, out := newScene()
	s.skip = func(at time.Duration, video bool) bool { return !video && at < 3*time.Second }
	s.play(0, 6*time.Second)
	s.c.close(7 * time.Second)
	if want := []string{"tracks true 0", "tracks true 2"}; !slices.Equal(out.log, want) {
		t.Fatalf("%v, want %v", out.log, want)
	}
	if lag := out.lag(t) - 20*ms; lag.Abs() > ms || len(out.video) != 150 {
		t.Errorf("sound is %v late; %d pictures", lag, len(out.video))
	}
}

func TestOpusSamples(t *testing.T) {
	for _, c := range []struct {
		packet []byte
		want   int64
	}{{nil, 0}, {[]byte{0xfc}, 960}, {[]byte{0xfd, 1}, 1920}, {[]byte{0x0b}, 0}, {[]byte{0x0b, 2}, 1920}, {[]byte{0xe0, 1}, 120}, {[]byte{0x1f, 3}, 0}, {[]byte{0x68}, 960}} {
		if got := opusSamples(c.packet); got != c.want {
			t.Errorf("%x: %d samples, want %d", c.packet, got, c.want)
		}
	}
}

func FuzzCapture(f *testing.F) {
	f.Add(slices.Concat([]byte{1, 0, 8, 0, 0, 0, 1}, sps), uint16(7))
	f.Add([]byte{3, 4, 9, 1, 2, 3, 4, 0xfc}, uint16(65535))
	f.Fuzz(func(t *testing.T, data []byte, sequence uint16) {
		s, out := newScene()
		now := time.Duration(0)
		for len(data) > 7 {
			kind, n := data[0], min(int(data[2]%40), len(data)-7)
			h := stage.Heard{Video: kind&1 != 0, Marker: kind&2 != 0, Sequence: sequence, Timestamp: binary.BigEndian.Uint32(data[3:]), Payload: data[7 : 7+n]}
			if kind&12 == 12 {
				h.NTP = uint64(kind) << 32
			}
			sequence += uint16(data[1] >> 6)
			now += time.Duration(data[1]&63) * ms
			data = data[7+n:]
			s.c.hear(h, now)
			s.c.tick(now)
		}
		s.c.close(now)
		for _, v := range out.video {
			if len(v.NALUs) == 0 || v.Duration <= 0 || v.Duration > record.ClockRate {
				t.Fatalf("%+v", v)
			}
		}
	})
}

// TestDrift: after a day of clocks that run apart the reports are still believed.
func TestDrift(t *testing.T) {
	video, audio := pulse{rate: record.ClockRate}, pulse{rate: soundRate}
	for at := time.Duration(0); at < 24*time.Hour; at += time.Second {
		v, a := uint32(at/ms)*90, uint32(int64(at/ms)*48*999_900/1_000_000) // the sound card is 100 ppm slow
		video.arrive(v, at)
		audio.arrive(a, at)
		video.report(ntpAt(at), v)
		audio.report(ntpAt(at), a)
	}
	apart := shiftOf(&video, &audio)
	if want := audio.ticks(86_400 * time.Second / 10_000); max(apart-want, want-apart) > 48 {
		t.Errorf("sound is moved by %d samples, want %d", apart, want)
	}
}

// BenchmarkSecond assembles a second of 720p30 at 2.5 Mb/s with sound.
func BenchmarkSecond(b *testing.B) {
	c := newCapture(&tape{}, func() {}, 6*time.Second, time.Now())
	var now time.Duration
	var sequence, sounds uint16
	payload := func(first byte) []byte {
		p := make([]byte, 1050)
		for i := range p {
			p[i] = byte(i)*7 | 1
		}
		p[0] = first
		return p
	}
	fragments := [][]byte{payload(0x41), payload(0x41)}
	b.ReportAllocs()
	for b.Loop() {
		c.out.(*tape).video, c.out.(*tape).audio = nil, nil
		for range 30 {
			for i := range 10 {
				p := fragments[i&1]
				if c.params[0] == nil || i == 0 && sequence%300 == 0 {
					p = slices.Concat([]byte{24, 0, byte(len(sps))}, sps, []byte{0, byte(len(pps))}, pps, []byte{0, 3, 0x65, 0x88, 1})
				}
				c.hear(stage.Heard{Video: true, Sequence: sequence, Timestamp: uint32(now / ms * 90), Marker: i == 9, Payload: p}, now)
				sequence++
			}
			for range 2 {
				c.hear(stage.Heard{Sequence: sounds, Timestamp: uint32(now / ms * 48), Payload: []byte{0xfc, 1}}, now)
				sounds++
			}
			now += 33 * ms
		}
	}
}
