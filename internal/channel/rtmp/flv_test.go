package rtmp

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/google/go-cmp/cmp"
)

var (
	sps  = []byte{0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0f, 0x23, 0xc5, 0x0a, 0xa8}
	pps  = []byte{0x68, 0xce, 0x0f, 0xc8}
	avcc = bytes.Join([][]byte{{1, 0x42, 0xc0, 0x0d, 0xff, 0xe1, 0, byte(len(sps))}, sps, {1, 0, byte(len(pps))}, pps}, nil)
)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestDecodeVideo(t *testing.T) {
	var d videoDecoder
	ts := 40 * time.Millisecond
	if u, err := d.decode(ts, join([]byte{0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65})); u != nil || err != nil {
		t.Errorf("frame before parameters: %v, %v", u, err)
	}
	for _, c := range []struct {
		name string
		body []byte
		want Unit
	}{
		{"parameters", join([]byte{0x17, 0, 0, 0, 0}, avcc), VideoParams{SPS: [][]byte{sps}, PPS: [][]byte{pps}}},
		{"key frame", []byte{0x17, 1, 0, 0, 80, 0, 0, 0, 2, 0x65, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x06},
			VideoFrame{DTS: ts, PTS: ts + 80*time.Millisecond, Key: true, NALUs: [][]byte{{0x65, 1}, {0x06}}}},
		{"negative composition time", []byte{0x27, 1, 0xff, 0xff, 0xf6, 0, 0, 0, 1, 0x41},
			VideoFrame{DTS: ts, PTS: ts - 10*time.Millisecond, NALUs: [][]byte{{0x41}}}},
		{"no NAL units", []byte{0x27, 1, 0, 0, 0}, nil},
		{"end of sequence", []byte{0x17, 2, 0, 0, 0}, nil},
		{"command frame", []byte{0x57, 0}, nil},
		{"enhanced parameters", join([]byte{0x90, 'a', 'v', 'c', '1'}, avcc), VideoParams{SPS: [][]byte{sps}, PPS: [][]byte{pps}}},
		{"enhanced frame", []byte{0xa1, 'a', 'v', 'c', '1', 0, 0, 5, 0, 0, 0, 1, 0x41}, VideoFrame{DTS: ts, PTS: ts + 5*time.Millisecond, NALUs: [][]byte{{0x41}}}},
		{"enhanced frame without offset", []byte{0x93, 'a', 'v', 'c', '1', 0, 0, 0, 1, 0x65}, VideoFrame{DTS: ts, PTS: ts, Key: true, NALUs: [][]byte{{0x65}}}},
		{"enhanced metadata", []byte{0x94, 'a', 'v', 'c', '1', 2}, nil},
	} {
		got, err := d.decode(ts, c.body)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		want := []Unit{c.want}
		if c.want == nil {
			want = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	for _, c := range []struct {
		name        string
		body        []byte
		unsupported bool
	}{
		{"empty", nil, false},
		{"short", []byte{0x17, 1}, false},
		{"H.265", []byte{0x1c, 0, 0, 0, 0}, true},
		{"enhanced H.265", []byte{0x90, 'h', 'v', 'c', '1'}, true},
		{"enhanced without codec", []byte{0x90, 'a'}, false},
		{"NAL unit past the end", []byte{0x27, 1, 0, 0, 0, 0, 0, 0, 9, 0x41}, false},
		{"half a length", []byte{0x27, 1, 0, 0, 0, 0, 0}, false},
		{"too many NAL units", join([]byte{0x27, 1, 0, 0, 0}, bytes.Repeat([]byte{0, 0, 0, 1, 1}, 600)), false},
		{"parameters of another version", join([]byte{0x17, 0, 0, 0, 0, 9}, avcc[1:]), false},
		{"parameters cut off", join([]byte{0x17, 0, 0, 0, 0}, avcc[:20]), false},
		{"parameters without PPS", join([]byte{0x17, 0, 0, 0, 0}, avcc[:len(avcc)-7], []byte{0}), false},
		{"PPS in place of SPS", join([]byte{0x17, 0, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xe1, 0, 4}, pps, []byte{0}), false},
	} {
		_, err := d.decode(ts, c.body)
		var unsupported UnsupportedError
		if err == nil || errors.As(err, &unsupported) != c.unsupported {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}

func TestDecodeAudio(t *testing.T) {
	ts := 20 * time.Millisecond
	u, err := decodeAudio(ts, []byte{0xaf, 0, 0x11, 0x90})
	if p, ok := u.(AudioParams); err != nil || !ok || p.Config.SampleRate != 48000 || p.Config.ChannelConfig != 2 {
		t.Errorf("parameters %+v, %v", u, err)
	}
	u, err = decodeAudio(ts, []byte{0x90, 'm', 'p', '4', 'a', 0x12, 0x10})
	if p, ok := u.(AudioParams); err != nil || !ok || p.Config.SampleRate != 44100 {
		t.Errorf("enhanced parameters %+v, %v", u, err)
	}
	for _, body := range [][]byte{{0xaf, 1, 7, 8}, {0x91, 'm', 'p', '4', 'a', 7, 8}} {
		u, err = decodeAudio(ts, body)
		if diff := cmp.Diff(Unit(AudioFrame{PTS: ts, AU: []byte{7, 8}}), u); err != nil || diff != "" {
			t.Errorf("frame: %v %s", err, diff)
		}
	}
	for _, body := range [][]byte{{0xaf}, {0xaf, 1}, {0xaf, 0}, {0xaf, 5, 1}} {
		if u, err := decodeAudio(ts, body); u != nil || err != nil {
			t.Errorf("%x: %v, %v", body, u, err)
		}
	}
	for _, body := range [][]byte{{}, {0x2f, 1, 2}, {0x7f, 1, 2}, {0x90, 'O', 'p', 'u', 's', 1}, {0x90, 'm'}, {0xaf, 0, 0xff}, {0xaf, 0, 0x11, 0x94}} {
		if u, err := decodeAudio(ts, body); err == nil {
			t.Errorf("%x: no error, %v", body, u)
		}
	}
}

func TestParseMetadata(t *testing.T) {
	o := amf0.Object{
		{Key: "encoder", Value: "obs-output module (libobs version 30.0.2)"},
		{Key: "videodatarate", Value: 2500.0}, {Key: "audiodatarate", Value: 160.0}, {Key: "framerate", Value: 30.0},
	}
	want := Metadata{Encoder: "obs-output module (libobs version 30.0.2)", VideoBitRate: 2500000, AudioBitRate: 160000, FrameRate: 30, HasAudio: true}
	for _, d := range []amf0.Data{{"@setDataFrame", "onMetaData", o}, {"onMetaData", amf0.ECMAArray(o)}} {
		if m, ok := parseMetadata(d); !ok || m != want {
			t.Errorf("%+v, %v", m, ok)
		}
	}
	for _, d := range []amf0.Data{nil, {"onMetaData"}, {"onMetaData", 1.0}, {"onTextData", o}, {1.0}} {
		if _, ok := parseMetadata(d); ok {
			t.Errorf("%v is metadata", d)
		}
	}
	odd := amf0.Object{{Key: "videodatarate", Value: "x"}, {Key: "framerate", Value: -1.0}, {Key: "audiodatarate", Value: 1e300}, {Key: "encoder", Value: 5.0}}
	if m, ok := parseMetadata(amf0.Data{"onMetaData", odd}); !ok || m != (Metadata{}) {
		t.Errorf("%+v", m)
	}
}

func TestStreamKey(t *testing.T) {
	for _, c := range []struct{ app, name, want string }{
		{"app", "sk_1", "sk_1"},
		{"app/", "sk_1", "sk_1"},
		{"app/sk_1", "", "sk_1"},
		{"app", "sk_1?priority=2", "sk_1"},
		{"/app/sk_1/", "", "sk_1"},
		{"app?x=1", "sk_1", "sk_1"},
		{"live", "sk_1", ""},
		{"app", "", ""},
		{"", "", ""},
		{"app", "a/b", ""},
		{"application", "x", ""},
	} {
		if got, _, ok := streamKey(c.app, c.name); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("app %q name %q: %q, %v", c.app, c.name, got, ok)
		}
	}
}

func FuzzDecodeVideo(f *testing.F) {
	f.Add(join([]byte{0x17, 0, 0, 0, 0}, avcc), []byte{0x17, 1, 0, 0, 80, 0, 0, 0, 2, 0x65, 1})
	f.Add(join([]byte{0x96, 0x00, 'a', 'v', 'c', '1', 1}, avcc), []byte{0xa6, 0x11, 'a', 'v', 'c', '1', 0, 0, 0, 8, 0, 0, 5, 0, 0, 0, 1, 0x41, 1, 0, 0, 0})
	f.Add(join([]byte{0x96, 0x20, 'a', 'v', 'c', '1', 2, 0, 0, byte(len(avcc))}, avcc), []byte{0xa7, 2, 1, 2, 3, 0x06, 0x23, 'a', 'v', 'c', '1', 2, 0, 0, 5, 0, 0, 0, 1, 0x41})
	f.Add([]byte{0x90, 'a', 'v', 'c', '1'}, []byte{0xa1, 'a', 'v', 'c', '1', 0, 0, 5, 0, 0, 0, 1, 0x41})
	f.Fuzz(func(t *testing.T, params, frame []byte) {
		d := videoDecoder{}
		d.decode(0, params)
		for _, size := range []byte{d.lengthSize[0], 1, 2, 3, 4} {
			for i := range d.lengthSize {
				d.lengthSize[i] = size
			}
			units, err := d.decode(0, frame)
			if err != nil {
				continue
			}
			for _, u := range units {
				if v, ok := u.(VideoFrame); ok && (len(v.NALUs) == 0 || len(v.NALUs[0]) == 0) {
					t.Error("a frame of nothing")
				}
			}
		}
	})
}

func FuzzDecodeAudio(f *testing.F) {
	f.Add([]byte{0xaf, 0, 0x11, 0x90})
	f.Add([]byte{0x91, 'm', 'p', '4', 'a', 7, 8})
	f.Add([]byte{0x95, 0x11, 'm', 'p', '4', 'a', 0, 0, 0, 2, 7, 8, 1, 0, 0, 1, 9})
	f.Fuzz(func(t *testing.T, body []byte) { decodeAudio(0, body) })
}

func FuzzCommand(f *testing.F) {
	for _, name := range []string{"connect", "publish", "onMetaData"} {
		b, err := amf0.Data{name, 1.0, amf0.Object{{Key: "app", Value: "app"}}}.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		parseCommand(body)
		if d, err := amf0.Unmarshal(body); err == nil {
			parseMetadata(d)
		}
	})
}
