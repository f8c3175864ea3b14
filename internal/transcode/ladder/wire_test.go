package ladder

import (
	"bytes"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/transcode"
)

func TestMessages(t *testing.T) {
	data := AppendPictures(nil, true, []Coded{{0, []byte("\x00\x00\x00\x01a\x00\x00\x00\x02bc")}, {2, []byte("\x00\x00\x00\x01d")}})
	frames, err := parsePictures(transcode.Message{At: time.Second, Data: data})
	if err != nil || len(frames) != 2 {
		t.Fatal(frames, err)
	}
	if f := frames[0]; f.Track != 0 || !f.Key || f.PTS != time.Second || f.DTS != time.Second || len(f.NALUs) != 2 || string(f.NALUs[1]) != "bc" {
		t.Errorf("%+v", f)
	}
	if f := frames[1]; f.Track != 2 || string(f.NALUs[0]) != "d" {
		t.Errorf("%+v", f)
	}
	tracks, err := parseTracks(AppendTrack(AppendTrack(nil, []byte("s0"), []byte("p0")), []byte("s1"), []byte("p1")))
	if err != nil || len(tracks) != 2 || tracks[1].Track != 1 || string(tracks[1].SPS[0]) != "s1" || string(tracks[1].PPS[0]) != "p1" {
		t.Errorf("%+v, %v", tracks, err)
	}
	one := AppendTrack(nil, []byte("s"), []byte("p"))
	for _, b := range [][]byte{nil, one[:4], one[:5], one[:9], bytes.Repeat(one, maxTracks+1), {0, 0, 0, 0, 0, 0, 0, 0}, {255, 255, 255, 255, 1}} {
		if tracks, err := parseTracks(b); err == nil {
			t.Errorf("parseTracks(%q) = %+v", b, tracks)
		}
	}
	for _, b := range [][]byte{nil, {0}, {2}, {1, 0}, data[:len(data)-1], AppendPictures(nil, true, []Coded{{maxTracks, []byte("\x00\x00\x00\x01d")}}),
		AppendPictures(nil, false, []Coded{{1, []byte("\x00\x00\x00\x01d")}, {1, []byte("\x00\x00\x00\x01d")}}),
		AppendPictures(nil, false, []Coded{{1, []byte("\x00\x00\x00\x00")}})} {
		if frames, err := parsePictures(transcode.Message{Data: b}); err == nil {
			t.Errorf("parsePictures(%q) = %+v", b, frames)
		}
	}
}

// TestRemember keeps what came since the last key frame, within bounds.
func TestRemember(t *testing.T) {
	var l Ladder
	var kept []transcode.Message
	say := func(kind transcode.Kind, size int) {
		kept = l.remember(kept, transcode.Message{Kind: kind, Data: make([]byte, size)})
	}
	say(Frame, 10)
	if len(kept) != 0 {
		t.Error("a frame is kept without its key frame")
	}
	for range 2 {
		say(Key, 100)
		say(Frame, 10)
		say(Frame, 10)
	}
	if len(kept) != 3 || kept[0].Kind != Again || len(kept[0].Data) != 100 || l.kept != 120 {
		t.Errorf("%d messages of %d bytes", len(kept), l.kept)
	}
	for range maxKept {
		say(Frame, 1)
	}
	if len(kept) != 0 {
		t.Errorf("%d messages are kept", len(kept))
	}
	say(Key, maxKeptBytes)
	say(Frame, 1)
	if len(kept) != 0 {
		t.Errorf("%d messages are kept", len(kept))
	}
}

func FuzzHear(f *testing.F) {
	f.Add(byte(Tracks), AppendTrack(nil, []byte("s"), []byte("p")))
	f.Add(byte(Pictures), AppendPictures(nil, true, []Coded{{0, []byte("\x00\x00\x00\x01a")}}))
	f.Add(byte(Nothing), []byte{2})
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		l := Ladder{Out: func(p Picture) {
			for _, f := range p.Frames {
				if f.Track < 0 || f.Track >= maxTracks || len(f.NALUs) == 0 {
					t.Fatalf("%+v", f)
				}
			}
		}}
		_ = l.hear(transcode.Message{Kind: transcode.Kind(kind), Data: b}) // an error is right for most
	})
}
