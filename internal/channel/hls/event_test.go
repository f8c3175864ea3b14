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

	"github.com/footlight-live/footlight/internal/channel/hls/ts"
)

// tagsIn returns the tags of a piece of the stream.
func (s *source) tagsIn(data []byte) (list []tag) {
	s.t.Helper()
	if s.m.cfg.Container == MPEGTS {
		for _, u := range demux(s.t, data).tags {
			list = append(list, tag{u.pts - timeOffset, u.data})
		}
		return list
	}
	_, err := mp4.ReadBoxStructure(bytes.NewReader(data), func(h *mp4.ReadHandle) (any, error) {
		if h.BoxInfo.Type != mp4.BoxTypeEmsg() {
			return nil, nil
		}
		box, _, err := h.ReadPayload()
		if err != nil {
			return nil, err
		}
		e := box.(*mp4.Emsg)
		if e.Version != 1 || e.Timescale != ClockRate || e.SchemeIdUri != "https://aomedia.org/emsg/ID3" || e.Value != "" || e.EventDuration != 0xffffffff {
			s.t.Errorf("event %+v", e)
		}
		if e.Id != s.events {
			s.t.Errorf("event %d, want %d", e.Id, s.events)
		}
		s.events++
		list = append(list, tag{int64(e.PresentationTime), e.MessageData})
		return nil, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func TestTagsAreInTheirPart(t *testing.T) {
	inBoth(t, func(t *testing.T, c Container) {
		s := newSource(t, c, 30, 1, 60)
		s.run(3 * 30)
		var want []int64
		for i := range 20 {
			want = append(want, s.m.EndTime())
			s.m.WriteTag(TextTag(string(rune('a' + i))))
			s.run(7)
		}
		s.run(30)
		n := 0
		for _, seg := range s.m.current.Load().segments {
			start := seg.start
			for _, p := range seg.parts {
				for _, e := range s.tagsIn(p.data) {
					if e.at != want[n] || e.at < start || e.at >= start+p.duration {
						t.Errorf("tag %d at %d, want %d, in the part from %d to %d", n, e.at, want[n], start, start+p.duration)
					}
					if !bytes.Equal(e.data, TextTag(string(rune('a'+n)))) {
						t.Errorf("tag %d: %q", n, e.data)
					}
					n++
				}
				start += p.duration
			}
		}
		if n != 20 {
			t.Errorf("%d tags, want 20", n)
		}
		checkMedia(t, s)
	})
}

func TestTagsWaitForMedia(t *testing.T) {
	inBoth(t, func(t *testing.T, c Container) {
		s := newSource(t, c, 30, 1, 60)
		s.run(30)
		if err := s.m.Break(); err != nil {
			t.Fatal(err)
		}
		for i := range maxTags + 10 {
			s.m.WriteTag(TextTag(strings.Repeat("x", i)))
		}
		s.restart(ClockRate * 5)
		s.run(30)
		for _, seg := range s.m.current.Load().segments {
			if !seg.discontinuity {
				continue
			}
			got := s.tagsIn(seg.parts[0].data)
			if len(got) != maxTags || got[0].at != seg.start || len(got[0].data) != len(TextTag(strings.Repeat("x", 10))) {
				t.Errorf("%d tags", len(got))
			}
			return
		}
		t.Error("no segment after the break")
	})
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
		if ts.CRC(b) != 0 || int(b[1]&0xf)<<8|int(b[2]) != len(b)-3 {
			t.Errorf("% x", b)
		}
	}
	const want = "fc302000000000000000fff00f05010203047fffff00015f900001000000"
	if got := hex.EncodeToString(spliceInsert(a, true)); !strings.HasPrefix(got, want) {
		t.Errorf("%s, want %s…", got, want)
	}
}

func TestAdBreak(t *testing.T) {
	s := newSource(t, MPEGTS, 30, 1, 60)
	s.run(3 * 30)
	if s.m.InBreak() {
		t.Error("in a break at the start")
	}
	start := s.m.MarkBreak("abcdefghijkl", s.m.LiveEdge(), 4*ClockRate)
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
	s := newSource(t, FragmentedMP4, 30, 1, 60)
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
