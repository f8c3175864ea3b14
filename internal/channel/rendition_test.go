package channel

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/channel/hls"
)

func TestRenditions(t *testing.T) {
	inBoth(t, func(t *testing.T, d directory) {
		synctest.Test(t, func(t *testing.T) {
			d.multitrack = Multitrack{Enabled: true, Limit: FullHD}
			b := newBench(t, d)
			s := b.studio(60,
				&track{params: params(0, 1280, 720), bytes: 5000},
				&track{params: params(1, 854, 480), every: 2, bytes: 3000},
				&track{params: params(2, 640, 360), every: 2, bytes: 1000, late: 2})
			s.run(9)
			if err := s.cutFor(); err != nil {
				t.Fatal(err)
			}
			lines, names := b.variants()
			if want := []string{"720p60", "480p30", "360p30"}; !slices.Equal(names, want) {
				t.Fatalf("renditions %v, want %v: %v", names, want, lines)
			}
			for i, want := range []string{"RESOLUTION=1280x720,FRAME-RATE=60.000", "RESOLUTION=854x480,FRAME-RATE=30.000", "RESOLUTION=640x360,FRAME-RATE=30.000"} {
				if !strings.Contains(lines[i], want) || !strings.Contains(lines[i], `CODECS="avc1.42C01F,mp4a.40.2"`) || !strings.Contains(lines[i], "/"+names[i]+".m3u8?viewer=") {
					t.Errorf("%s, want %s", lines[i], want)
				}
			}
			first := b.media("720p60.m3u8")
			if len(first.Segments) < 10 {
				t.Errorf("%d segments", len(first.Segments))
			}
			for _, name := range names[1:] {
				other := b.media(name + ".m3u8")
				if other.MediaSequence != first.MediaSequence || inStep(t, first, other) != len(first.Segments) {
					t.Errorf("%s is not in step: %d of %d", name, other.MediaSequence, first.MediaSequence)
				}
			}
			text := b.get(playbackRoot + testName + "/480p30.m3u8").Body.String()
			if n := strings.Count(text, "#EXT-X-RENDITION-REPORT:URI="); n != 2 || !strings.Contains(text, `URI="720p60.m3u8",LAST-MSN=`) {
				t.Errorf("%d reports in %s", n, text)
			}
			stream, _ := b.Stream(testARN)
			if len(stream.Tracks) != 3 || stream.Video.Height != 720 || stream.Tracks[2].BitRate < 200_000 || stream.Health != Healthy {
				t.Errorf("%+v", stream)
			}
			// Metadata and ad breaks are in all of them, at the same time.
			if err := b.PutMetadata(testARN, "hello"); err != nil {
				t.Fatal(err)
			}
			if _, err := b.InsertAdBreak(testARN, "abcdefghijkl", 2*time.Second); err != nil {
				t.Fatal(err)
			}
			s.run(1)
			ranges := map[string]bool{}
			for _, name := range names {
				text := b.get(playbackRoot + testName + "/" + name + ".m3u8").Body.String()
				ranges[regexp.MustCompile("#EXT-X-DATERANGE.*").FindString(text)] = true
				found := false
				for _, u := range regexp.MustCompile(`PART:DURATION=.*?,URI="(.*?)"`).FindAllStringSubmatch(text, -1) {
					found = found || strings.Contains(b.get(playbackRoot+testName+"/"+u[1]).Body.String(), "hello")
				}
				if !found {
					t.Errorf("%s has no metadata", name)
				}
			}
			if len(ranges) != 1 || ranges[""] {
				t.Errorf("ad breaks %v", ranges)
			}
			// It ends in all of them.
			s.leave(true)
			for _, name := range names {
				if !b.media(name + ".m3u8").Endlist {
					t.Errorf("%s does not end", name)
				}
			}
		})
	})
}

// TestRenditionsReconnect loses the publisher, who comes back with another clock.
func TestRenditionsReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, multitrackDirectory())
		tracks := func() []*track {
			return []*track{{params: params(0, 1280, 720)}, {params: params(1, 640, 360), late: 1}}
		}
		s := b.studio(30, tracks()...)
		s.run(7.3)
		s.leave(false)
		time.Sleep(3 * time.Second)
		s = b.studio(30, tracks()...)
		s.origin = 777_000
		s.run(5)
		if err := s.cutFor(); err != nil {
			t.Fatal(err)
		}
		high, low := b.media("720p30.m3u8"), b.media("360p30.m3u8")
		if n := inStep(t, high, low); n != len(low.Segments) || n != len(high.Segments) || discontinuities(low) != 1 {
			t.Errorf("%d of %d and %d segments in step, %d breaks", n, len(high.Segments), len(low.Segments), discontinuities(low))
		}
		// It goes on with one picture only: the other rendition is gone.
		s.leave(false)
		time.Sleep(time.Second)
		s = b.studio(30, tracks()[:1]...)
		s.run(3)
		if lines, names := b.variants(); len(lines) != 1 || len(names) != 0 {
			t.Errorf("renditions %v", lines)
		}
		if w := b.get(playbackRoot + testName + "/360p30.m3u8"); w.Code != 404 {
			t.Errorf("the rendition that is gone: status %d", w.Code)
		}
		if m := b.media("720p30.m3u8"); discontinuities(m) != 2 {
			t.Errorf("%d breaks", discontinuities(m))
		}
	})
}

// TestRenditionFaults brings pictures that do not keep to the rules; the others do not notice.
func TestRenditionFaults(t *testing.T) {
	for name, c := range map[string]struct {
		during  func(low *track, high *track) // from 5 s to 11 s
		then    string                        // renditions at 11 s
		after   string                        // 7 s after it is well again
		leading int                           // breaks that the others have
	}{
		"stops":             {func(low, _ *track) { low.absent = true }, "720p30", "720p30 360p30", 0},
		"the leading stops": {func(_, high *track) { high.absent = true }, "360p30", "720p30 360p30", 0},
		"other key frames":  {func(low, _ *track) { low.keyOff = 20 }, "720p30", "720p30 360p30", 0},
		"one second late":   {func(low, _ *track) { low.late = 30 }, "720p30", "720p30", 0},
		"frames missing":    {func(low, _ *track) { low.sparse = true }, "720p30 360p30", "720p30 360p30", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, multitrackDirectory())
				high, low := &track{params: params(0, 1280, 720)}, &track{params: params(1, 640, 360)}
				s := b.studio(30, high, low)
				s.run(5)
				c.during(low, high)
				s.run(6)
				_, names := b.variants()
				if lines, _ := b.variants(); len(lines) == 1 {
					names = []string{strings.TrimSuffix(regexp.MustCompile(`/(\w+)\.m3u8`).FindStringSubmatch(lines[0])[1], ".m3u8")}
				}
				if got := strings.Join(names, " "); got != c.then {
					t.Errorf("renditions %q, want %q", got, c.then)
				}
				high.absent = false
				low.absent, low.sparse, low.keyOff = false, false, 0
				s.run(7)
				if err := s.cutFor(); err != nil {
					t.Fatal(err)
				}
				_, names = b.variants()
				if c.after != "720p30" {
					if got := strings.Join(names, " "); got != c.after {
						t.Fatalf("renditions %q in the end, want %q", got, c.after)
					}
					if n := inStep(t, b.media("720p30.m3u8"), b.media("360p30.m3u8")); n < 2 {
						t.Errorf("%d segments in common", n)
					}
				}
				stream, _ := b.Stream(testARN)
				if stream.Health != Healthy {
					t.Errorf("health %s", stream.Health)
				}
				for _, file := range []string{"720p30.m3u8", "360p30.m3u8"} {
					if w := b.get(playbackRoot + testName + "/" + file); w.Code == 200 {
						if m := b.media(file); discontinuities(m) != c.leading {
							t.Errorf("%s has %d breaks", file, discontinuities(m))
						}
					}
				}
			})
		})
	}
}

// TestRenditionGap: when all pictures are away for a while, none has been left behind, whichever comes back first.
func TestRenditionGap(t *testing.T) {
	for name, leadingFirst := range map[string]bool{"the leading one first": true, "another first": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, multitrackDirectory())
				s := b.studio(30, &track{params: params(0, 1280, 720)}, &track{params: params(1, 640, 360)})
				s.run(5)
				const away = 45 // frames
				time.Sleep(away * time.Second / 30)
				s.frame += away
				if !leadingFirst {
					slices.Reverse(s.tracks)
				}
				s.run(0.5) // without a key frame, at which a lost one would come back
				if _, names := b.variants(); !slices.Equal(names, []string{"720p30", "360p30"}) {
					t.Errorf("renditions %v", names)
				}
				s.run(5)
				a, m := b.media("720p30.m3u8"), b.media("360p30.m3u8")
				if n := inStep(t, a, m); n < 3 || discontinuities(a)+discontinuities(m) != 0 {
					t.Errorf("%d segments in common, %d and %d breaks", n, discontinuities(a), discontinuities(m))
				}
			})
		})
	}
}

// TestRenditionJoins brings a second picture after seven seconds, and other parameters after some more.
func TestRenditionJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, multitrackDirectory())
		high, low := &track{params: params(0, 1280, 720)}, &track{params: params(1, 640, 360), absent: true}
		s := b.studio(30, high, low)
		s.run(7)
		if lines, _ := b.variants(); len(lines) != 1 || !strings.Contains(lines[0], "/live.m3u8?") {
			t.Errorf("at first: %v", lines)
		}
		low.absent = false
		s.run(7)
		if _, names := b.variants(); !slices.Equal(names, []string{"720p30", "360p30"}) {
			t.Errorf("then: %v", names)
		}
		if n := inStep(t, b.media("live.m3u8"), b.media("360p30.m3u8")); n < 2 {
			t.Errorf("%d segments in common", n)
		}
		low.params = params(1, 854, 480)
		s.try(low.params)
		s.run(7)
		if _, names := b.variants(); !slices.Equal(names, []string{"720p30", "480p30"}) {
			t.Errorf("with other parameters: %v", names)
		}
		m := b.media("live.m3u8")
		if n := inStep(t, m, b.media("480p30.m3u8")); n < 2 || discontinuities(m) != 0 {
			t.Errorf("%d segments in common, %d breaks", n, discontinuities(m))
		}
		// Other parameters of all are a break.
		high.params, low.params = params(0, 640, 480), params(1, 320, 240)
		s.try(low.params, high.params)
		s.run(6)
		m = b.media("live.m3u8")
		if n := inStep(t, m, b.media("480p30.m3u8")); n < 2 || discontinuities(m) != 1 {
			t.Errorf("%d segments in common, %d breaks", n, discontinuities(m))
		}
	})
}

// TestRenditionAlone has a second picture that never keeps step, and stays alone.
func TestRenditionAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, multitrackDirectory())
		high, low := &track{params: params(0, 1280, 720)}, &track{params: params(1, 640, 360), keyOff: 25}
		s := b.studio(30, high, low)
		s.run(6)
		if lines, _ := b.variants(); len(lines) != 1 || !strings.Contains(lines[0], "1280x720") {
			t.Errorf("at first: %v", lines)
		}
		high.absent = true
		s.run(16)
		if lines, _ := b.variants(); len(lines) != 1 || !strings.Contains(lines[0], "640x360") {
			t.Errorf("then: %v", lines)
		}
		if m := b.media(mediaPlaylist); discontinuities(m) != 0 || m.DiscontinuitySequence == nil || len(m.Segments) < 2 {
			t.Errorf("%+v", m)
		}
		if stream, _ := b.Stream(testARN); stream.Health != Healthy {
			t.Errorf("health %s", stream.Health)
		}
	})
}

// TestRenditionReorder has encoders that reorder differently: the same picture is earlier in one's decoding order.
func TestRenditionReorder(t *testing.T) {
	for _, reorder := range [][2]int64{{2, 0}, {0, 2}, {3, 1}} {
		t.Run(fmt.Sprint(reorder), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, multitrackDirectory())
				s := b.studio(30, &track{params: params(0, 1280, 720), reorder: reorder[0]}, &track{params: params(1, 640, 360), reorder: reorder[1]})
				s.origin = 1000
				s.run(9)
				if _, names := b.variants(); len(names) != 2 {
					t.Fatalf("renditions %v", names)
				}
				high, low := b.media("720p30.m3u8"), b.media("360p30.m3u8")
				if high.MediaSequence != low.MediaSequence || len(high.Segments) != len(low.Segments) {
					t.Fatalf("%d and %d, %d and %d segments", high.MediaSequence, low.MediaSequence, len(high.Segments), len(low.Segments))
				}
				shift := time.Duration(reorder[0]-reorder[1]) * time.Second / 30
				for i, h := range high.Segments {
					l := low.Segments[i]
					if off := l.DateTime.Sub(*h.DateTime) - shift; off.Abs() > 2*time.Millisecond {
						t.Errorf("segment %d begins %v apart, want %v", i, l.DateTime.Sub(*h.DateTime), shift)
					}
					if (h.Duration - l.Duration).Abs() > 2*time.Millisecond {
						t.Errorf("segment %d: %v and %v", i, h.Duration, l.Duration)
					}
				}
			})
		})
	}
}

// tape notes what is recorded, a line for each change of each track.
type tape map[int]*tapedPicture

func (t tape) OpenRecording(context.Context, string) (Sink, func(), error) {
	return nil, nil, ErrUnknownStreamKey
}
func (t tape) RecordChannel(context.Context, Channel) (Tape, func()) { return t, func() {} }

func (t tape) Picture(track int) Sink {
	if t[track] == nil {
		t[track] = &tapedPicture{}
	}
	return t[track]
}

func (t tape) Lose(track int) {
	if p := t[track]; p != nil {
		p.note("lost")
	}
}

type tapedPicture struct{ lines []string }

func (p *tapedPicture) note(line string) error {
	if n := len(p.lines); n == 0 || p.lines[n-1] != line {
		p.lines = append(p.lines, line)
	}
	return nil
}

func (p *tapedPicture) SetTracks(t hls.Tracks) error {
	_, h := t.Size()
	return p.note(fmt.Sprint(h))
}
func (p *tapedPicture) WriteVideo(f hls.VideoFrame) error {
	return p.note(fmt.Sprintf("track %d", f.NALUs[0][1]))
}
func (p *tapedPicture) WriteAudio(hls.AudioFrame) error { return nil }
func (p *tapedPicture) Break() error                    { return p.note("break") }
func (p *tapedPicture) EndTime() int64                  { return 0 }
func (p *tapedPicture) Wall() time.Time                 { return time.Time{} }

// TestRenditionRecorded records the sizes that are asked for, or the largest for one that is not there; when it stops the
// others go on, or the next best does.
func TestRenditionRecorded(t *testing.T) {
	const high, middle, low = "720, track 0", "480, track 1", "360, track 2"
	for _, c := range []struct {
		sizes []Resolution
		want  map[int]string
	}{
		{[]Resolution{}, map[int]string{0: high + ", lost, " + high, 1: middle, 2: low}},
		{[]Resolution{SD, Lowest}, map[int]string{1: middle, 2: low}},
		{[]Resolution{Lowest}, map[int]string{2: low}},
		{[]Resolution{FullHD}, map[int]string{0: high + ", lost, " + high, 1: middle}},
		{[]Resolution{FullHD, Lowest}, map[int]string{0: high + ", lost, " + high, 1: middle, 2: low}},
	} {
		synctest.Test(t, func(t *testing.T) {
			d, p := multitrackDirectory(), tape{}
			d.recorded = c.sizes
			b := newBench(t, d)
			b.Recordings = p
			high := &track{params: params(0, 1280, 720)}
			s := b.studio(30, high, &track{params: params(1, 854, 480)}, &track{params: params(2, 640, 360)})
			s.run(5)
			high.absent = true
			s.run(5)
			high.absent = false
			s.run(10)
			got := map[int]string{}
			for track, p := range p {
				got[track] = strings.Join(p.lines, ", ")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%v: %s", c.sizes, diff)
			}
		})
	}
}

// TestRenditionLimit trims what a token allows.
func TestRenditionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := multitrackDirectory()
		d.authorized = true
		g := &gate{revoked: -1}
		b := newBench(t, d)
		b.Gate = g
		s := b.studio(30, &track{params: params(0, 1920, 1080)}, &track{params: params(1, 1280, 720)}, &track{params: params(2, 640, 360)})
		s.run(5)
		address := func(lines []string, i int) string { return playbackRoot + strings.Split(lines[i], "\n")[1] }
		all, _ := b.variants()
		g.grant.Limit = HD
		some, names := b.variants()
		if len(all) != 3 || !slices.Equal(names, []string{"720p30", "360p30"}) {
			t.Fatalf("%v and %v", all, some)
		}
		folder := regexp.MustCompile(`^.*/`).FindString(address(some, 0))
		denied(t, "the large one's playlist", b.get(folder+"1080p30.m3u8"), "resolution_not_allowed")
		w := b.get(address(all, 0))
		for _, u := range regexp.MustCompile(`URI="(\w+_(?:init|p).*?)"|(\w+_s.*)`).FindAllStringSubmatch(w.Body.String(), -1) {
			denied(t, "a file of the large one", b.get(folder+u[1]+u[2]), "resolution_not_allowed")
		}
		for i := range some {
			if w := b.get(address(some, i)); w.Code != 200 {
				t.Errorf("%s: status %d", address(some, i), w.Code)
			}
		}
		if stream, _ := b.Stream(testARN); stream.ViewerCount != 2 {
			t.Errorf("%d viewers of two sessions", stream.ViewerCount)
		}
		g.grant.Limit = SD
		if only, _ := b.variants(); len(only) != 1 {
			t.Errorf("%v", only)
		}
	})
}
