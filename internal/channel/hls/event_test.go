package hls

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/abema/go-mp4"
)

// events reads the emsg boxes of a piece of the stream.
func events(t *testing.T, data []byte) (list []*mp4.Emsg) {
	t.Helper()
	_, err := mp4.ReadBoxStructure(bytes.NewReader(data), func(h *mp4.ReadHandle) (any, error) {
		if h.BoxInfo.Type == mp4.BoxTypeEmsg() {
			box, _, err := h.ReadPayload()
			if err != nil {
				return nil, err
			}
			list = append(list, box.(*mp4.Emsg))
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestTagsAreInTheirPart(t *testing.T) {
	s := newSource(t, 30, 1, 60)
	s.run(3 * 30)
	var want []int64
	for i := range 20 {
		want = append(want, s.m.EndTime())
		s.m.WriteTag(TextTag(string(rune('a' + i))))
		s.run(7)
	}
	s.run(30)
	v := s.m.current.Load()
	n := 0
	for _, seg := range v.segments {
		whole := 0
		start := seg.start
		for _, p := range seg.parts {
			for _, e := range events(t, p.data) {
				at := int64(e.PresentationTime)
				if e.Version != 1 || e.Timescale != ClockRate || e.SchemeIdUri != "https://aomedia.org/emsg/ID3" || e.Value != "" || e.Id != uint32(n) || e.EventDuration != 0xffffffff {
					t.Errorf("event %+v", e)
				}
				if at != want[n] || at < start || at >= start+p.duration {
					t.Errorf("event %d at %d, want %d, in the part from %d to %d", n, at, want[n], start, start+p.duration)
				}
				if !bytes.Equal(e.MessageData, TextTag(string(rune('a'+n)))) {
					t.Errorf("event %d: %q", n, e.MessageData)
				}
				n++
				whole++
			}
			start += p.duration
		}
		if seg.complete() && len(events(t, seg.data)) != whole {
			t.Error("the segment does not have the events of its parts")
		}
	}
	if n != 20 {
		t.Errorf("%d events, want 20", n)
	}
	checkMedia(t, s)
}

func TestTagsWaitForMedia(t *testing.T) {
	s := newSource(t, 30, 1, 60)
	s.run(30)
	if err := s.m.Break(); err != nil {
		t.Fatal(err)
	}
	for i := range maxEvents + 10 {
		s.m.WriteTag(TextTag(strings.Repeat("x", i)))
	}
	s.restart(ClockRate * 5)
	s.run(30)
	v := s.m.current.Load()
	for _, seg := range v.segments {
		if !seg.discontinuity {
			continue
		}
		got := events(t, seg.parts[0].data)
		if len(got) != maxEvents || int64(got[0].PresentationTime) != seg.start || len(got[0].MessageData) != len(TextTag(strings.Repeat("x", 10))) {
			t.Errorf("%d events", len(got))
		}
		return
	}
	t.Error("no segment after the break")
}

func TestTextTag(t *testing.T) {
	want := append([]byte("ID3\x04\x00\x00\x00\x00\x00\x10TXXX\x00\x00\x00\x06\x00\x00\x03\x00"), "h€"...)
	if got := TextTag("h€"); !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
	if got := TextTag(strings.Repeat("x", 1024)); !bytes.Equal(got[6:10], []byte{0, 0, 8, 12}) || !bytes.Equal(got[14:18], []byte{0, 0, 8, 2}) {
		t.Errorf("sizes % x", got[:20])
	}
}

// TestCRC checks whole sections, over which the checksum is zero: the example of SCTE 35 §14.1, and ours.
func TestCRC(t *testing.T) {
	example, err := base64.StdEncoding.DecodeString("/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo=")
	if err != nil {
		t.Fatal(err)
	}
	a := adBreak{number: 0x01020304, length: 1<<32 + 90000}
	for _, b := range [][]byte{example, spliceInsert(a, true), spliceInsert(a, false)} {
		if crcMPEG(b) != 0 || int(b[1]&0xf)<<8|int(b[2]) != len(b)-3 {
			t.Errorf("% x", b)
		}
	}
	const want = "fc302000000000000000fff00f05010203047fffff00015f900001000000"
	if got := hex.EncodeToString(spliceInsert(a, true)); !strings.HasPrefix(got, want) {
		t.Errorf("%s, want %s…", got, want)
	}
}

func TestAdBreak(t *testing.T) {
	s := newSource(t, 30, 1, 60)
	s.run(3 * 30)
	if s.m.InBreak() {
		t.Error("in a break at the start")
	}
	start := s.m.MarkBreak("abcdefghijkl", 4*ClockRate)
	if want := wall.Add(3 * time.Second); !start.Equal(want) {
		t.Errorf("starts at %v, want %v", start, want)
	}
	tag := regexp.MustCompile(`#EXT-X-DATERANGE:ID="abcdefghijkl",CLASS="live.footlight.ad-break",START-DATE="2026-11-22T12:00:03.000Z",PLANNED-DURATION=4.00000,SCTE35-OUT=0xFC[0-9A-F]+(,.*)?\n`)
	for _, c := range []struct {
		frames int64
		rest   string
		in     bool
	}{{0, "", true}, {60, "", true}, {59, "", true}, {10, `,END-DATE="2026-11-22T12:00:07.000Z",DURATION=4.00000,SCTE35-IN=0xFC`, false}} {
		s.run(c.frames)
		v := s.m.current.Load()
		for _, text := range [][]byte{v.full, v.delta} {
			found := tag.FindAllSubmatch(text, -1)
			if len(found) != 1 || !strings.HasPrefix(string(found[0][1]), c.rest) || (c.rest == "") != (len(found[0][1]) == 0) {
				t.Errorf("after %d frames more: %q", c.frames, found)
			}
			parse(t, text)
		}
		if s.m.InBreak() != c.in {
			t.Errorf("in a break: %v", s.m.InBreak())
		}
	}
	s.run(40 * 30)
	if v := s.m.current.Load(); bytes.Contains(v.full, []byte("DATERANGE")) {
		t.Error("the playlist still tells of it")
	}
}

func TestPrivateAudience(t *testing.T) {
	s := newSource(t, 30, 1, 60)
	s.run(90)
	m := s.playlist()
	for target, want := range map[string]string{
		"live.m3u8": "private, no-cache", "live.m3u8?_HLS_msn=0&_HLS_part=0": "private, max-age=1", m.Map.URI: "private, max-age=31536000, immutable",
	} {
		s.audience = Private
		if got := s.request("GET", target).Header().Get("Cache-Control"); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
