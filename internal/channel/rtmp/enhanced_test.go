package rtmp

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/google/go-cmp/cmp"
)

// sized is a track of a multitrack message with its size.
func sized(id byte, body []byte) []byte {
	return join([]byte{id, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body)
}

// frame is an access unit of one NAL unit, as it lies in a message.
func frame(nalu byte) []byte { return []byte{0, 0, 0, 1, nalu} }

func TestDecodeMultitrack(t *testing.T) {
	var d videoDecoder
	ts := 40 * time.Millisecond
	avc1 := []byte("avc1")
	offset := func(b []byte) []byte { return join([]byte{0, 0, 5}, b) }
	params := func(track int) VideoParams {
		return VideoParams{Track: track, SPS: [][]byte{sps}, PPS: [][]byte{pps}}
	}
	of := func(track int, offset time.Duration, key bool, nalu byte) VideoFrame {
		return VideoFrame{Track: track, DTS: ts, PTS: ts + offset*time.Millisecond, Key: key, NALUs: [][]byte{{nalu}}}
	}
	for _, c := range []struct {
		name string
		body []byte
		want []Unit
	}{
		{"parameters of one track", join([]byte{0x96, 0x00}, avc1, []byte{3}, avcc), []Unit{params(3)}},
		{"parameters of many tracks", join([]byte{0x96, 0x10}, avc1, sized(0, avcc), sized(1, avcc)), []Unit{params(0), params(1)}},
		{"parameters with a codec each", join([]byte{0x96, 0x20}, avc1, sized(0, avcc), avc1, sized(2, avcc)), []Unit{params(0), params(2)}},
		{"frame of one track", join([]byte{0xa6, 0x01}, avc1, []byte{3}, offset(frame(0x41))), []Unit{of(3, 5, false, 0x41)}},
		{"frames of many tracks", join([]byte{0x96, 0x13}, avc1, sized(0, frame(0x65)), sized(1, frame(0x65))), []Unit{of(0, 0, true, 0x65), of(1, 0, true, 0x65)}},
		{"frames with a codec each", join([]byte{0xa6, 0x21}, avc1, sized(1, offset(frame(0x41))), avc1, sized(2, offset(frame(0x41)))), []Unit{of(1, 5, false, 0x41), of(2, 5, false, 0x41)}},
		{"a track without parameters", join([]byte{0xa6, 0x03}, avc1, []byte{9}, frame(0x41)), nil},
		{"end of a track", join([]byte{0x96, 0x02}, avc1, []byte{1}), nil},
		{"an extension", join([]byte{0xa7, 2, 1, 2, 3, 0x03}, avc1, frame(0x41)), []Unit{of(0, 0, false, 0x41)}},
		{"two extensions", join([]byte{0xa7, 0, 1, 0x07, 0, 1, 0x06, 0x03}, avc1, []byte{1}, frame(0x41)), []Unit{of(1, 0, false, 0x41)}},
		{"a long extension", join([]byte{0xa7, 0xff, 1, 0x2b}, bytes.Repeat([]byte{1}, 300), []byte{0x03}, avc1, frame(0x41)), []Unit{of(0, 0, false, 0x41)}},
	} {
		got, err := d.decode(ts, c.body)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	for _, c := range []struct {
		name        string
		body        []byte
		unsupported bool
	}{
		{"no kind", []byte{0x96}, false},
		{"no codec", []byte{0x96, 0x00, 'a'}, false},
		{"no track", join([]byte{0x96, 0x00}, avc1), false},
		{"no size", join([]byte{0x96, 0x10}, avc1, []byte{0, 0}), false},
		{"a track past the end", join([]byte{0x96, 0x13}, avc1, []byte{0, 0, 0, 200, 1}), false},
		{"multitrack in multitrack", join([]byte{0x96, 0x06}, avc1, []byte{0}), false},
		{"an extension in multitrack", join([]byte{0x96, 0x07}, avc1, []byte{0}), false},
		{"a kind that there is not", join([]byte{0x96, 0x33}, avc1, []byte{0}), false},
		{"too many tracks", join([]byte{0x96, 0x13}, avc1, bytes.Repeat([]byte{1, 0, 0, 0}, 100)), false},
		{"an extension past the end", []byte{0xa7, 200, 1}, false},
		{"half a size of an extension", []byte{0xa7, 0xff, 1}, false},
		{"an offset cut off", join([]byte{0xa6, 0x01}, avc1, []byte{3, 0, 0}), false},
		{"another codec", join([]byte{0x96, 0x00, 'h', 'v', 'c', '1', 1}, avcc), true},
		{"another codec of one track", join([]byte{0x96, 0x20}, avc1, sized(0, avcc), []byte("av01"), sized(1, avcc)), true},
	} {
		_, err := d.decode(ts, c.body)
		var unsupported UnsupportedError
		if err == nil || errors.As(err, &unsupported) != c.unsupported {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}

func TestDecodeMultitrackAudio(t *testing.T) {
	for _, c := range []struct {
		name string
		body []byte
		want Unit
	}{
		{"one track", []byte{0x95, 0x01, 'm', 'p', '4', 'a', 0, 7, 8}, AudioFrame{AU: []byte{7, 8}}},
		{"another track", []byte{0x95, 0x01, 'O', 'p', 'u', 's', 1, 7, 8}, nil},
		{"the first of many", join([]byte{0x95, 0x11, 'm', 'p', '4', 'a'}, sized(1, []byte{9}), sized(0, []byte{7})), AudioFrame{AU: []byte{7}}},
		{"an extension", []byte{0x97, 0, 1, 0x01, 'm', 'p', '4', 'a', 7, 8}, AudioFrame{AU: []byte{7, 8}}},
	} {
		got, err := decodeAudio(0, c.body)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
	}
	var unsupported UnsupportedError
	if _, err := decodeAudio(0, []byte{0x95, 0x01, 'O', 'p', 'u', 's', 0, 1}); !errors.As(err, &unsupported) || !unsupported.Audio {
		t.Errorf("Opus: %v", err)
	}
}

// TestPublishMultitrack publishes with another implementation of Enhanced RTMP.
func TestPublishMultitrack(t *testing.T) {
	s, out := &Server{}, newSink()
	s.Publish = func(context.Context, Request) (Publication, error) { return out, nil }
	c, err := client(t, listen(t, s), "/app/key1")
	if err != nil {
		t.Fatal(err)
	}
	first, audio := tracks()
	second := &gortmplib.Track{Codec: &codecs.H264{SPS: sps, PPS: pps}}
	w := &gortmplib.Writer{Conn: c, Tracks: []*gortmplib.Track{first, second, audio}}
	if err := w.Initialize(); err != nil {
		t.Fatal(err)
	}
	for _, track := range []*gortmplib.Track{first, second} {
		if err := w.WriteH264(track, 80*time.Millisecond, 40*time.Millisecond, [][]byte{{0x65, 1}}); err != nil {
			t.Fatal(err)
		}
	}
	params, frames := [2]int{}, [2]int{}
	for frames != [2]int{1, 1} {
		switch u := next(t, out.units).(type) {
		case VideoParams:
			params[u.Track]++
		case VideoFrame:
			frames[u.Track]++
			if u.PTS != 80*time.Millisecond || u.DTS != 40*time.Millisecond { // it marks no key frames in further tracks
				t.Errorf("%+v", u)
			}
		}
	}
	if params[0] == 0 || params[1] == 0 {
		t.Errorf("parameters %v", params)
	}
}

// TestConnectAnswer says what there is of Enhanced RTMP.
func TestConnectAnswer(t *testing.T) {
	answer := connectAnswer()
	caps, _ := answer.GetFloat64("capsEx")
	list, _ := answer.Get("fourCcList")
	video, _ := answer.Get("videoFourCcInfoMap")
	if diff := cmp.Diff([]any{6.0, amf0.StrictArray{"avc1", "mp4a"}, amf0.Object{{Key: "avc1", Value: 4.0}}}, []any{caps, list, video}); diff != "" {
		t.Error(diff)
	}
	if _, err := (amf0.Data{answer}).Marshal(); err != nil {
		t.Error(err)
	}
}
