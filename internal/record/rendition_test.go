package record

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func testLadder(t testing.TB) []clip {
	t.Helper()
	ladder, err := loadLadder()
	if err != nil {
		t.Fatal(err)
	}
	return ladder
}

var ladderPlaylists = []string{"360p25/playlist.m3u8", "180p25/playlist.m3u8", "90p25/playlist.m3u8"}

func ladderSpec(id string) Spec {
	return Spec{
		ID: id, Kind: Channel, Bucket: "recordings", Prefix: "ivs/v1/0/chan/2026/1/1/0/0/" + id, Started: time.Now().UTC(), Media: AudioVideo,
		Segment: 4 * time.Second, ChannelARN: "arn:aws:ivs:us-east-1:000000000000:channel/chan",
	}
}

// playLadder feeds what lies in [from, to) of clips of several sizes with one sound, each but the first as another picture of
// the source, as if the source's clock began at an origin. before is called before each picture's time.
func playLadder(s *Source, clips []clip, from, to, origin time.Duration, before func(at time.Duration)) {
	tick := func(d time.Duration) int64 { return ticks(d) }
	for k, c := range clips {
		s.Picture(k).SetTracks(c.tracks)
	}
	a, sound := 0, clips[0].audio
	for i := range clips[0].video {
		at := clips[0].video[i].DTS
		if at < tick(from) || at >= tick(to) {
			continue
		}
		if before != nil {
			before(span(at))
		}
		for ; a < len(sound) && sound[a].DTS*ClockRate/48000 < at+clipFrame; a++ {
			if heard := sound[a].DTS * ClockRate / 48000; heard >= tick(from) {
				f := sound[a]
				f.DTS += tick(origin) * 48000 / ClockRate
				for k := range clips {
					if p := s.Picture(k); p.tracks != nil {
						p.wait()
						p.WriteAudio(f)
					}
				}
			}
		}
		for k, c := range clips {
			v := c.video[i]
			v.DTS, v.PTS, v.Arrived = v.DTS+tick(origin), v.PTS+tick(origin), time.Now()
			if p := s.Picture(k); p.tracks != nil {
				p.wait()
				p.WriteVideo(v)
			}
		}
	}
	s.wait()
}

// judgeLadder wants the same segments in all renditions, of which each plays without a gap.
func judgeLadder(t *testing.T, all map[string][]byte, frames int, longest time.Duration) {
	t.Helper()
	var first string
	for i, name := range ladderPlaylists {
		text := string(all["media/hls/"+name])
		times := strings.Join(regexp.MustCompile(`(?m)^#EXT(INF|-X-DISCONTINUITY|-X-TARGET).*|^#EXT-X-PROGRAM.*`).FindAllString(text, -1), "\n")
		if i == 0 {
			first = times
		} else if diff := cmp.Diff(first, times); diff != "" {
			t.Errorf("%s has other segments: %s", name, diff)
		}
		if f := decode(t, all, name); f.frames != frames || f.longest > longest {
			t.Errorf("%s: decoded %+v, want %d frames", name, f, frames)
		}
	}
	master := string(all["media/hls/master.m3u8"])
	if got := regexp.MustCompile(`(?m)^[^#\n]+$`).FindAllString(master, -1); !cmp.Equal(got, ladderPlaylists) {
		t.Errorf("master.m3u8 names %q", got)
	}
}

func TestRenditions(t *testing.T) {
	clips, store := testLadder(t), folder(t)
	rec := startRecorder(t, t.TempDir(), store)
	spec := ladderSpec("ladder")
	r, source := open(t, rec, spec)
	playLadder(source, clips, 0, clipLength, time.Hour, nil)
	source.Close()
	end(t, r, Cause{})
	all := stored(t, store, spec)
	judgeLadder(t, all, int(clipLength.Seconds()*clipRate), 41*time.Millisecond)
	for _, key := range []string{startedKey, endedKey} {
		m := readMetadata(t, all[key])
		want := []renditionMetadata{
			{"360p25", "playlist.m3u8", byteRangeVariant, 640, 360}, {"180p25", "playlist.m3u8", byteRangeVariant, 320, 180},
			{"90p25", "playlist.m3u8", byteRangeVariant, 160, 90}}
		if diff := cmp.Diff(want, m.Media.HLS.Renditions); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	if f := decode(t, all, "90p25/"+byteRangeVariant); f.frames != int(clipLength.Seconds()*clipRate) {
		t.Errorf("by ranges: %+v", f)
	}
	if text := string(all["media/hls/"+byteRangeMultivariant]); strings.Count(text, byteRangeVariant) != 3 {
		t.Errorf("%s", text)
	}
	if n := len(parseMedia(t, all["media/hls/"+ladderPlaylists[0]]).Segments); n != 5 {
		t.Errorf("%d segments", n)
	}
	if rec.Usage().Bytes != 0 {
		t.Errorf("the spool keeps %+v", rec.Usage())
	}
}

// TestRenditionLost has the largest picture stop, which leads, and come back; then the smallest. What is missing is that of
// another size, and nothing else changes.
func TestRenditionLost(t *testing.T) {
	clips, store := testLadder(t), folder(t)
	rec := startRecorder(t, t.TempDir(), store)
	spec := ladderSpec("lost")
	r, source := open(t, rec, spec)
	second := time.Second
	playLadder(source, clips, 0, 5*second, 0, nil)
	source.Lose()
	playSome := func(from, to time.Duration, lost int) {
		playLadder(source, clips, from, to, 0, func(at time.Duration) {
			if at == from {
				source.Picture(lost).Lose() // playLadder has told its tracks
			}
		})
	}
	playSome(5*second, 9*second, 0)
	playLadder(source, clips, 9*second, 13*second, 0, nil)
	playSome(13*second, 15*second, 2)
	playLadder(source, clips, 15*second, clipLength, 0, nil)
	source.Close()
	end(t, r, Cause{})
	all := stored(t, store, spec)
	judgeLadder(t, all, int(clipLength.Seconds()*clipRate), 41*time.Millisecond)
	for k, want := range [][]string{
		{"0.mp4", "../180p25/1.mp4", "../180p25/2.mp4", "3.mp4", "4.mp4"}, {"0.mp4", "1.mp4", "2.mp4", "3.mp4", "4.mp4"},
		{"0.mp4", "1.mp4", "2.mp4", "../180p25/3.mp4", "4.mp4"},
	} {
		var got []string
		for _, s := range parseMedia(t, all["media/hls/"+ladderPlaylists[k]]).Segments {
			got = append(got, s.URI)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", ladderPlaylists[k], diff)
		}
	}
	b, err := store.Bucket(spec.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Check(t.Context(), b, spec.Prefix)
	if err != nil || len(report.Problems) > 0 || len(report.Loose) > 0 || report.Renditions != 3 || report.Segments != 12 {
		t.Errorf("%v: %+v", err, report)
	}
	if rec.Usage().Bytes != 0 {
		t.Errorf("the spool keeps %+v", rec.Usage())
	}
}

// TestRenditionsGoOn: what comes after a restart, in fewer sizes and then in all, goes on in the same folders.
func TestRenditionsGoOn(t *testing.T) {
	clips, store, dir := testLadder(t), folder(t), t.TempDir()
	spec := ladderSpec("on")
	first := startRecorder(t, dir, store)
	_, source := open(t, first, spec)
	playLadder(source, clips, 0, 6*time.Second, 0, nil)
	first.Close()
	second := startRecorder(t, dir, store)
	r, source := open(t, second, spec)
	playLadder(source, clips[1:], 0, 6*time.Second, 0, nil) // as another program's tracks: 0 is the middle one
	source.Close()
	source, err := r.Attach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	playLadder(source, clips, 0, 6*time.Second, 0, nil)
	source.Close()
	end(t, r, Cause{})
	all := stored(t, store, spec)
	judgeLadder(t, all, 18*clipRate, 90*time.Millisecond)
	var got []string
	for _, s := range parseMedia(t, all["media/hls/"+ladderPlaylists[0]]).Segments {
		got = append(got, fmt.Sprint(s.Discontinuity, s.URI))
	}
	want := []string{"false0.mp4", "false1.mp4", "true../180p25/2.mp4", "false../180p25/3.mp4", "true4.mp4", "false5.mp4"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestRenditionsTorn spoils what grew in one rendition when the machine stopped: the others keep all they have.
func TestRenditionsTorn(t *testing.T) {
	clips, dir := testLadder(t), t.TempDir()
	first := startRecorder(t, dir, &faulty{Store: folder(t), fault: io.ErrUnexpectedEOF})
	_, source := open(t, first, ladderSpec("torn"))
	playLadder(source, clips, 0, 7500*time.Millisecond, 0, nil)
	size := func(name string) int64 {
		info, err := os.Stat(filepath.Join(dir, "torn", name))
		if err != nil {
			return 0
		}
		return info.Size()
	}
	eventually(t, "parts of the second segments are there", func() bool {
		return size("1.mp4") > 0 && size("r1-1.mp4") > 0 && size("r2-1.mp4") > 0 && len(first.Get("torn").inbox) == 0
	})
	for name, c := range map[string]struct {
		file  string
		spoil func(path string) error
		want  [3]string
	}{
		"the largest is gone":  {"1.mp4", os.Remove, [3]string{"../180p25/1.mp4", "1.mp4", "1.mp4"}},
		"the middle is zeros":  {"r1-1.mp4", func(p string) error { return os.WriteFile(p, make([]byte, 5000), 0o600) }, [3]string{"1.mp4", "../90p25/1.mp4", "1.mp4"}},
		"nothing but the last": {"r2-1.mp4", func(p string) error { return os.Truncate(p, size("r2-1.mp4")-100) }, [3]string{"1.mp4", "1.mp4", "1.mp4"}},
	} {
		t.Run(name, func(t *testing.T) {
			spool, store := t.TempDir(), folder(t)
			if err := os.CopyFS(spool, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(filepath.Join(spool, "torn", c.file)); err != nil {
				t.Fatal(err)
			}
			rec := startRecorder(t, spool, store)
			r := rec.Get("torn")
			end(t, r, Cause{})
			all := stored(t, store, ladderSpec("torn"))
			for k, want := range c.want {
				s := parseMedia(t, all["media/hls/"+ladderPlaylists[k]]).Segments
				if len(s) != 2 || s[1].URI != want {
					t.Errorf("%s: %s", ladderPlaylists[k], all["media/hls/"+ladderPlaylists[k]])
				}
				if f := decode(t, all, ladderPlaylists[k]); f.duration < 5*time.Second || f.longest > 41*time.Millisecond {
					t.Errorf("%s: decoded %+v", ladderPlaylists[k], f)
				}
			}
			if rec.Usage().Bytes != 0 {
				t.Errorf("the spool keeps %+v", rec.Usage())
			}
		})
	}
}

// sheet is a segmentWriter that notes the segments of one rendition.
type sheet struct {
	open  *cut
	parts int
	done  map[int][2]int64 // start and end, by number
	t     interface{ Errorf(string, ...any) }
}

func (s *sheet) openSegment(c cut, _ bool) error {
	if s.open != nil {
		s.t.Errorf("segment %d begins in segment %d", c.number, s.open.number)
	}
	s.open, s.parts = &c, 0
	return nil
}

func (s *sheet) writePart([]byte, int64) error {
	if s.parts++; s.open == nil {
		s.t.Errorf("a part outside of a segment")
	}
	return nil
}

func (s *sheet) closeSegment(end int64) error {
	if s.open == nil {
		s.t.Errorf("a segment ends that has not begun")
		return nil
	}
	if s.parts > 0 {
		s.done[s.open.number] = [2]int64{s.open.at, end}
	}
	s.open = nil
	return nil
}

func (s *sheet) dropSegment() error {
	s.open = nil
	return nil
}

// TestGrid feeds three pictures, one of which is decoded later than the others and comes first: segments are the same, and one
// that has no key frame where another segment begins is left out until it has.
func TestGrid(t *testing.T) {
	g := &grid{target: 2 * ClockRate}
	var sheets []*sheet
	var all []*segmenter
	for range 3 {
		sheets = append(sheets, &sheet{done: map[int][2]int64{}, t: t})
		all = append(all, &segmenter{out: sheets[len(sheets)-1], grid: g})
		all[len(all)-1].setTracks(Tracks{SPS: anyTracks.SPS, PPS: anyTracks.PPS})
	}
	write := func(k int, i int64, reorder int64) {
		if i < 0 {
			return
		}
		key := i%50 == 0 && !(k == 1 && i == 150)
		if err := all[k].writeVideo(VideoFrame{DTS: (i - reorder) * 3600, PTS: i * 3600, Duration: 3600, Key: key, NALUs: [][]byte{{0x65, 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range int64(300) {
		write(2, i, 2)
		if i >= 10 {
			write(0, i-10, 0)
		}
		write(1, i-5, 0)
	}
	if err := g.brk(); err != nil {
		t.Fatal(err)
	}
	for k, want := range [][]int{{0, 1, 2, 3, 4, 5}, {0, 1, 4, 5}, {0, 1, 2, 3, 4, 5}} {
		for n := range 6 {
			got, ok := sheets[k].done[n]
			has := false
			for _, w := range want {
				has = has || w == n
			}
			if ok != has || ok && (got[1]-got[0]-2*ClockRate)/ClockRate != 0 {
				t.Errorf("picture %d, segment %d: %v %v", k, n, got, ok)
			}
		}
	}
}

// TestGridSurvives feeds what no sane source sends: what two renditions have of the same segment begins and ends together.
func TestGridSurvives(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		g := &grid{target: 2 * ClockRate, early: rapid.Bool().Draw(r, "early")}
		var sheets []*sheet
		var all []*segmenter
		fed := make([]int64, 3)
		for k := range fed {
			sheets = append(sheets, &sheet{done: map[int][2]int64{}, t: r})
			all = append(all, &segmenter{out: sheets[k], grid: g})
			all[k].setTracks(anyTracks)
		}
		for range rapid.IntRange(1, 600).Draw(r, "frames") {
			k := rapid.IntRange(0, 2).Draw(r, "picture")
			if g.lead == nil {
				for _, s := range sheets {
					for n := range s.done {
						g.next = max(g.next, n+1)
					}
				}
			}
			var err error
			switch rapid.IntRange(0, 40).Draw(r, "what") {
			case 0:
				err = g.brk()
			case 1:
				if all[k].running {
					err = g.leave(all[k])
				}
			case 2, 3, 4, 5, 6, 7, 8, 9, 10:
				err = all[k].writeAudio(AudioFrame{DTS: fed[k]*48/90 + rapid.Int64Range(-9000, 9000).Draw(r, "sound"), Samples: 960, Data: []byte("x")})
			default:
				fed[k] += rapid.Int64Range(0, 20).Draw(r, "step") * 3600
				err = all[k].writeVideo(VideoFrame{DTS: fed[k], PTS: fed[k], Duration: 3600, Key: fed[k]%(25*3600) == 0, NALUs: [][]byte{{0x65, 1}}})
			}
			if err != nil {
				r.Fatal(err)
			}
		}
		if err := g.brk(); err != nil {
			r.Fatal(err)
		}
		for n, a := range sheets[0].done {
			for _, s := range sheets[1:] {
				if b, ok := s.done[n]; ok && a != b {
					r.Errorf("segment %d is %v and %v", n, a, b)
				}
			}
		}
	})
}
