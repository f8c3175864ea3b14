package record

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// paper is a segmentWriter that writes down what happens, in seconds.
type paper struct {
	opened  int64
	lengths []float64
	broken  []bool
	end     int64
	fail    error
	t       interface{ Errorf(string, ...any) }
}

func (p *paper) openSegment(c cut, _ bool) error {
	if c.at != p.end {
		p.t.Errorf("a segment begins at %d, the one before ended at %d", c.at, p.end)
	}
	p.opened = c.at
	p.broken = append(p.broken, c.broken)
	return p.fail
}

func (p *paper) dropSegment() error {
	p.t.Errorf("a segment is dropped")
	return p.fail
}

// alone is a segmenter that leads its own grid.
func alone(out segmentWriter, target int64, early bool) *segmenter {
	s := &segmenter{out: out, grid: &grid{target: target, early: early}}
	s.setTracks(anyTracks)
	return s
}

func (s *segmenter) brk() error {
	defer s.rest()
	return s.grid.brk()
}

func (p *paper) writePart(data []byte, end int64) error {
	if end <= p.end && p.end > p.opened {
		p.t.Errorf("a part ends at %d, the one before at %d", end, p.end)
	}
	got, ok := partEnd(data, 48000)
	if !ok || got > end+ClockRate {
		p.t.Errorf("a part that ends at %d has media to %d, %v", end, got, ok)
	}
	p.end = end
	return p.fail
}

func (p *paper) closeSegment(end int64) error {
	p.end = end
	p.lengths = append(p.lengths, float64(end-p.opened)/ClockRate)
	return p.fail
}

var anyTracks = Tracks{SPS: []byte{0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0xc0}, PPS: []byte{0x68, 0xce, 0x38, 0x80}, Opus: 2}

// feedSeconds writes 25 frames a second with key frames at the given seconds, and Opus beside it.
func feedSeconds(t *testing.T, s *segmenter, length float64, keys []float64, sound, picture func(at float64) bool) {
	t.Helper()
	audio := int64(0)
	next := 0
	for i := int64(0); i < int64(length*25); i++ {
		at := float64(i) / 25
		for ; float64(audio)/48000 < at+0.04; audio += 960 {
			if sound(float64(audio) / 48000) {
				if err := s.writeAudio(AudioFrame{DTS: audio, Samples: 960, Data: []byte("opus")}); err != nil {
					t.Fatal(err)
				}
			}
		}
		key := next < len(keys) && at >= keys[next]-1e-9
		if key {
			next++
		}
		if !picture(at) {
			continue
		}
		if err := s.writeVideo(VideoFrame{DTS: i * 3600, PTS: i * 3600, Duration: 3600, Key: key, NALUs: [][]byte{{0x65, 1, 2, 3}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.brk(); err != nil {
		t.Fatal(err)
	}
}

func TestSegments(t *testing.T) {
	always := func(float64) bool { return true }
	every := func(step, length float64) (keys []float64) {
		for at := 0.0; at < length; at += step {
			keys = append(keys, at)
		}
		return keys
	}
	opening := append([]float64{0, 0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.8}, every(2, 20)[1:]...)
	for _, c := range []struct {
		name           string
		target         int64
		early          bool
		keys           []float64
		length         float64
		sound, picture func(float64) bool
		want           []float64
	}{
		{"a composition's opening", 2, false, opening, 10, always, always, []float64{2, 2, 2, 2, 2}},
		{"an opening, and segments that end early", 3, true, opening, 8, always, always, []float64{4, 2, 2}},
		{"a long target", 6, false, opening, 14, always, always, []float64{6, 6, 2}},
		{"rare key frames", 2, false, every(5, 20), 12, always, always, []float64{5, 5, 2}},
		{"no key frames", 2, false, []float64{0}, 14, always, always, []float64{6, 6, 2}},
		{"key frames too late for the target", 6, true, every(4, 20), 12, always, always, []float64{4, 4, 4}},
		{"key frames on request", 6, false, []float64{0, 1, 4, 6.4, 12.6}, 14, always, always, []float64{6.4, 6.2, 1.4}},
		{"no sound comes", 2, false, every(2, 20), 6, func(float64) bool { return false }, always, []float64{2, 2, 2}},
		{"sound ends", 2, false, every(2, 20), 6, func(at float64) bool { return at < 3 }, always, []float64{2, 2, 2}},
		{"pictures end", 2, false, every(2, 20), 10, always, func(at float64) bool { return at < 3 }, []float64{2, 6, 2}},
		{"pictures come late", 2, false, append([]float64{0.5}, every(2, 20)[1:]...), 6, always, func(at float64) bool { return at >= 0.5 }, []float64{3.5, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &paper{t: t}
			s := alone(p, c.target*ClockRate, c.early)
			feedSeconds(t, s, c.length, c.keys, c.sound, c.picture)
			near := cmp.Comparer(func(a, b float64) bool { return a-b < 0.05 && b-a < 0.05 })
			if diff := cmp.Diff(c.want, p.lengths, near); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSegmenterSurvives feeds what no sane source sends: the timeline of what is written stays one.
func TestSegmenterSurvives(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := &paper{t: r}
		s := alone(p, 2*ClockRate, false)
		var fed int64
		for range rapid.IntRange(1, 300).Draw(r, "frames") {
			var err error
			switch rapid.IntRange(0, 5).Draw(r, "what") {
			case 0:
				err = s.brk()
			case 1, 2:
				err = s.writeAudio(AudioFrame{DTS: rapid.Int64Range(-1e6, 4e6).Draw(r, "sound"), Samples: 960, Data: []byte("x")})
			default:
				fed += rapid.Int64Range(-9000, 90000).Draw(r, "step")
				err = s.writeVideo(VideoFrame{DTS: fed, PTS: fed + rapid.Int64Range(-9000, 9000).Draw(r, "offset"), Duration: rapid.Int64Range(0, 9000).Draw(r, "duration"),
					Key: rapid.Bool().Draw(r, "key"), NALUs: [][]byte{{0x65, 1}}})
			}
			if err != nil {
				r.Fatal(err)
			}
		}
		if err := s.brk(); err != nil {
			r.Fatal(err)
		}
		if len(p.lengths) != len(p.broken) {
			r.Errorf("%d segments were opened and %d closed", len(p.broken), len(p.lengths))
		}
	})
}

func TestPlaylist(t *testing.T) {
	wall := time.Date(2026, 1, 1, 12, 0, 55, 123_000_000, time.UTC)
	var h history
	at := func(rendition, n, init int, start, end int64, broken bool) {
		s := segment{openEntry{Number: n, Init: init, Start: start, Broken: broken, Key: true}, closeEntry{End: end, Size: 100_000}}
		if broken {
			s.Wall = wall.Add(time.Duration(n) * time.Minute)
		}
		h.fill(rendition, s)
	}
	at(0, 0, 0, 0, 180000, true)
	at(0, 1, 0, 180000, 270000, false)
	at(0, 2, 1, 270000, 450000, true)
	one := []stream{{name: "720p30-abc", width: 1280, height: 720, first: initEntry{Codecs: "avc1.4D401F,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 30}}}
	got := mediaPlaylist(Spec{Segment: 2 * time.Second}, one[0], one, h.slots, true, false)
	want := `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T12:00:55.123Z
#EXTINF:2.000000,
0.mp4
#EXTINF:1.000000,
1.mp4
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-1.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T12:02:55.123Z
#EXTINF:2.000000,
2.mp4
#EXT-X-ENDLIST
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	multivariant := string(multivariantPlaylist(Spec{}, one, "playlist.m3u8", h.slots[:1]))
	for _, part := range []string{"BANDWIDTH=400000,", "RESOLUTION=1280x720", "FRAME-RATE=30.000", `CODECS="avc1.4D401F,mp4a.40.2"`, "\n720p30-abc/playlist.m3u8\n"} {
		if !strings.Contains(multivariant, part) {
			t.Errorf("%q is not in\n%s", part, multivariant)
		}
	}
}

// TestPlaylistBorrows: a segment that a rendition does not have is that of another one, and all have the same breaks.
func TestPlaylistBorrows(t *testing.T) {
	var h history
	for n := range 5 {
		for rendition := range 3 {
			init := 0
			switch {
			case rendition == 0 && n == 2, rendition == 1 && n == 0: // one breaks off, and one comes late
				continue
			case rendition == 0 && n > 2:
				init = 1
			}
			start := int64(n) * 180000
			h.fill(rendition, segment{openEntry{Number: n, Init: init, Start: start, Broken: n == 0, Key: true}, closeEntry{End: start + 180000, Size: 1}})
		}
	}
	all := []stream{{number: 0, name: "720p30", width: 1280, height: 720}, {number: 1, name: "480p30", width: 854, height: 480}, {number: 2, name: "160p30", width: 284, height: 160}}
	for i, want := range [][]string{
		{"0.mp4", "# 1.mp4", "# ../480p30/2.mp4", "# 3.mp4", "4.mp4"},
		{"../160p30/0.mp4", "# 1.mp4", "# 2.mp4", "# 3.mp4", "4.mp4"},
		{"0.mp4", "# 1.mp4", "# 2.mp4", "# 3.mp4", "4.mp4"},
	} {
		var got []string
		for _, s := range parseMedia(t, mediaPlaylist(Spec{Segment: 2 * time.Second}, all[i], all, h.slots, true, false)).Segments {
			if s.Discontinuity {
				s.URI = "# " + s.URI
			}
			got = append(got, s.URI)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", all[i].name, diff)
		}
	}
}
