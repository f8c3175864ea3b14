package srt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"github.com/footlight-live/footlight/internal/unit"
)

// Parameter sets of x264: 320x180.
var (
	sps = []byte{0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0f, 0x23, 0xc5, 0x0a, 0xa8}
	pps = []byte{0x68, 0xce, 0x0f, 0xc8}
)

// stream renders some frames at 25 fps, with two access units of sound beside each, from a PTS on.
func stream(t testing.TB, frames int, from int64, sound bool) []byte {
	t.Helper()
	var b bytes.Buffer
	video := &mpegts.Track{Codec: &codecs.H264{}}
	w := &mpegts.Writer{W: &b, Tracks: []*mpegts.Track{video}}
	audio := &mpegts.Track{Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
		Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2, ChannelCount: 2,
	}}}
	if sound {
		w.Tracks = append(w.Tracks, audio)
	}
	if err := w.Initialize(); err != nil {
		t.Fatal(err)
	}
	for i := range int64(frames) {
		at := (from + i*3600) & clockMask
		nalus := [][]byte{{0x41, byte(i)}}
		if i%50 == 0 {
			nalus = [][]byte{sps, pps, {0x65, byte(i)}}
		}
		if err := w.WriteH264(video, (at+3600)&clockMask, at, nalus); err != nil {
			t.Fatal(err)
		}
		if sound {
			if err := w.WriteMPEG4Audio(audio, at, [][]byte{{1, byte(i)}, {2, byte(i)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b.Bytes()
}

func read(data []byte) (units []unit.Unit, err error) {
	err = demux(bytes.NewReader(data), func(u unit.Unit) error {
		units = append(units, u)
		return nil
	})
	return units, err
}

func TestDemux(t *testing.T) {
	// The clock wraps in the middle.
	units, err := read(stream(t, 100, clockMask-50*3600, true))
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if m, ok := units[0].(unit.Metadata); !ok || !m.HasAudio {
		t.Errorf("first %+v", units[0])
	}
	var frames, sounds, params int
	var first, last time.Duration
	for _, u := range units {
		switch u := u.(type) {
		case unit.AudioParams:
			params++
			if u.Config.SampleRate != 48000 || u.Config.ChannelConfig != 2 {
				t.Errorf("sound %+v", u.Config)
			}
		case unit.VideoFrame:
			if frames == 0 {
				first = u.DTS
			} else if step := u.DTS - last; step < 40*time.Millisecond-20*time.Microsecond || step > 40*time.Millisecond+20*time.Microsecond {
				t.Errorf("frame %d comes %v after the one before", frames, step)
			}
			if u.Key != (frames%50 == 0) || u.PTS-u.DTS != 40*time.Millisecond {
				t.Errorf("frame %d: %+v", frames, u)
			}
			last = u.DTS
			frames++
		case unit.AudioFrame:
			if want := first + time.Duration(sounds/2)*40*time.Millisecond; frames > 0 && sounds%2 == 0 && (u.PTS-want).Abs() > 50*time.Microsecond {
				t.Errorf("sound %d at %v, want %v", sounds, u.PTS, want)
			}
			sounds++
		}
	}
	// That the last frame is whole would be known by the next one.
	if frames != 99 || sounds != 200 || params != 1 {
		t.Errorf("%d frames, %d access units, %d parameters", frames, sounds, params)
	}
	if units, err = read(stream(t, 10, 0, false)); !errors.Is(err, io.EOF) || units[0].(unit.Metadata).HasAudio {
		t.Errorf("without sound: %+v, %v", units[0], err)
	}
}

// TestDamage takes packets out and puts noise in: what is whole comes through.
func TestDamage(t *testing.T) {
	data := stream(t, 200, 0, true)
	random := rand.New(rand.NewPCG(1, 2))
	var damaged []byte
	for i := 0; i+188 <= len(data); i += 188 {
		switch {
		case i < 188*20: // the tables
			damaged = append(damaged, data[i:i+188]...)
		case random.IntN(20) == 0: // lost
		case random.IntN(20) == 0:
			damaged = append(damaged, bytes.Repeat([]byte{byte(i)}, 100)...)
			fallthrough
		default:
			damaged = append(damaged, data[i:i+188]...)
		}
	}
	units, err := read(damaged)
	if !errors.Is(err, io.EOF) || len(units) < 300 {
		t.Errorf("%d units, %v", len(units), err)
	}
}

func TestUnreadable(t *testing.T) {
	other := func(c ...codecs.Codec) []byte {
		var b bytes.Buffer
		w := &mpegts.Writer{W: &b}
		for _, c := range c {
			w.Tracks = append(w.Tracks, &mpegts.Track{Codec: c})
		}
		if err := w.Initialize(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteTables(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	noise := make([]byte, 2<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	// One access unit without an end.
	endless := stream(t, 1, 0, false)
	more := append([]byte{0x47, 0x01, 0x00, 0x10}, make([]byte, 184)...)
	for i := range 60000 {
		more[3] = 0x10 | byte(i+1)&15
		endless = append(endless, more...)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"H.265":   {other(&codecs.H265{}), "H.265 video is not supported: send H.264 video and AAC audio"},
		"sound":   {other(&codecs.MPEG4Audio{}), "no H.264 video"},
		"MP3":     {other(&codecs.H264{}, &codecs.MPEG1Audio{}), "MPEG audio is not supported"},
		"nothing": {nil, "EOF"},
		"noise":   {noise, "EOF"},
		"endless": {endless, "an access unit of more than"},
	} {
		if _, err := read(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused := errors.New("no more")
	if err := demux(bytes.NewReader(stream(t, 10, 0, true)), func(u unit.Unit) error {
		if _, ok := u.(unit.VideoFrame); ok {
			return refused
		}
		return nil
	}); !errors.Is(err, refused) {
		t.Errorf("refused unit: %v", err)
	}
}

func TestStreamID(t *testing.T) {
	for _, c := range []struct{ id, key, priority string }{
		{"sk_1", "sk_1", ""}, {"#!::u=sk_1", "sk_1", ""}, {"#!::u=sk_1,priority=7", "sk_1", "7"},
		{"#!::m=publish,priority=7,u=sk_1,x=y", "sk_1", "7"}, {"", "", ""},
	} {
		if key, priority, err := parseStreamID(c.id); key != c.key || priority != c.priority || err != nil {
			t.Errorf("%q: %q, %q, %v", c.id, key, priority, err)
		}
	}
	for _, id := range []string{"#!::", "#!::r=x", "#!::u=,priority=1", "#!::m=request,u=x"} {
		if _, _, err := parseStreamID(id); err == nil {
			t.Errorf("%q is taken", id)
		}
	}
}

func FuzzDemux(f *testing.F) {
	good := stream(f, 60, 0, true)
	f.Add(good)
	f.Add(good[100:])
	f.Add(good[:188*3+50])
	f.Add(stream(f, 3, clockMask-3600, false))
	f.Fuzz(func(t *testing.T, data []byte) {
		units, err := read(data)
		if err == nil {
			t.Error("no error at the end")
		}
		for _, u := range units {
			switch u := u.(type) {
			case unit.VideoFrame:
				if len(u.NALUs) == 0 || len(u.NALUs[0]) == 0 {
					t.Errorf("an empty frame: %s", fmt.Sprint(u))
				}
			case unit.AudioParams:
				if u.Config.SampleRate <= 0 {
					t.Error("no sample rate")
				}
			}
		}
	})
}

func FuzzStreamID(f *testing.F) {
	f.Add("#!::u=sk_1,priority=7")
	f.Fuzz(func(t *testing.T, id string) {
		if key, _, err := parseStreamID(id); err == nil && key == "" && id != "" {
			t.Errorf("%q is no key", id)
		}
	})
}
