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

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/channel/rtmp"
	"github.com/footlight-live/footlight/internal/channel/unit"
)

// bitWriter writes what an SPS is made of.
type bitWriter struct {
	b []byte
	n int
}

func (w *bitWriter) bits(v uint64, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
}

// ue writes an Exp-Golomb code.
func (w *bitWriter) ue(v uint64) {
	n := 0
	for (v+1)>>(n+1) > 0 {
		n++
	}
	w.bits(0, n)
	w.bits(v+1, n+1)
}

// params are parameter sets of a constrained baseline stream without VUI (ISO/IEC 14496-10 §7.3.2.1.1).
func params(track, width, height int) unit.VideoParams {
	w := &bitWriter{}
	w.bits(0x6742c01f, 32)
	w.ue(0) // seq_parameter_set_id
	w.ue(0) // log2_max_frame_num_minus4
	w.ue(2) // pic_order_cnt_type
	w.ue(1) // max_num_ref_frames
	w.bits(0, 1)
	across, down := (width+15)/16, (height+15)/16
	w.ue(uint64(across - 1))
	w.ue(uint64(down - 1))
	w.bits(1, 1) // frame_mbs_only_flag
	w.bits(1, 1) // direct_8x8_inference_flag
	w.bits(1, 1) // frame_cropping_flag
	w.ue(0)
	w.ue(uint64(across*16-width) / 2)
	w.ue(0)
	w.ue(uint64(down*16-height) / 2)
	w.bits(0, 1) // no VUI
	w.bits(1, 1) // stop bit
	return unit.VideoParams{Track: track, SPS: [][]byte{w.b}, PPS: video180.PPS}
}

// track is one picture of a publisher in a bubble.
type track struct {
	params  unit.VideoParams
	every   int64 // of the publisher's frames it has: 2 is half the rate; 0: each
	absent  bool  // brings nothing
	sparse  bool  // leaves out two of three frames that are no key frames
	reorder int64 // frames from DTS to PTS
	late    int64 // how many frames it arrives after the others
	keyOff  int64 // frames that its key frames are late
	bytes   int   // of a frame
	nextUp  []unit.Unit
}

// studio is a publisher of several pictures.
type studio struct {
	*encoder
	fps    int64
	tracks []*track
}

func (b *bench) studio(fps int64, tracks ...*track) *studio {
	b.t.Helper()
	e, err := b.connect(plainKey)
	if err != nil {
		b.t.Fatal(err)
	}
	s := &studio{encoder: e, fps: fps, tracks: tracks}
	s.try(rtmp.Metadata{Encoder: "test", HasAudio: true}, stereo)
	for _, t := range tracks {
		s.try(t.params)
	}
	return s
}

func (s *studio) try(units ...unit.Unit) {
	for _, u := range units {
		if s.pub.Write(s.ctx, u) != nil {
			return
		}
	}
	synctest.Wait()
}

// run sends some seconds with a key frame every two of them, in real time of the bubble.
func (s *studio) run(seconds float64) {
	for range int(seconds * float64(s.fps)) {
		ms := s.origin + s.frame*1000/s.fps
		at := time.Duration(ms) * time.Millisecond
		for i, t := range s.tracks {
			if t.absent || t.every > 1 && s.frame%t.every != 0 {
				continue
			}
			nalu := make([]byte, max(2, t.bytes))
			nalu[0], nalu[1] = 0x41, byte(i)
			key := (s.frame-t.keyOff)%(2*s.fps) == 0
			if t.sparse && !key && s.frame%3 != 0 {
				continue
			}
			if key {
				nalu[0] = 0x65
			}
			t.nextUp = append(t.nextUp, unit.VideoFrame{Track: t.params.Track, DTS: at - time.Duration(t.reorder)*time.Second/time.Duration(s.fps), PTS: at, Key: key, NALUs: [][]byte{nalu}})
			if int64(len(t.nextUp)) > t.late {
				s.try(t.nextUp[0])
				t.nextUp = t.nextUp[1:]
			}
		}
		for s.sound*1024*1000/48000 <= s.frame*1000/s.fps {
			s.try(rtmp.AudioFrame{PTS: time.Duration(s.origin+s.sound*1024*1000/48000) * time.Millisecond, AU: []byte{1}})
			s.sound++
		}
		s.frame++
		time.Sleep(time.Second / time.Duration(s.fps))
	}
}

// variants reads the multivariant playlist: the lines of renditions, and their names in order.
func (b *bench) variants(header ...string) (lines, names []string) {
	b.t.Helper()
	w := b.get(testPath+"?token=word", header...)
	if w.Code != 200 {
		b.t.Fatalf("status %d %s", w.Code, w.Body)
	}
	for _, m := range regexp.MustCompile(`#EXT-X-STREAM-INF:.*\n.*`).FindAllString(w.Body.String(), -1) {
		lines = append(lines, m)
		if name := regexp.MustCompile(`VIDEO="(.*?)"`).FindStringSubmatch(m); name != nil {
			names = append(names, name[1])
		}
	}
	return lines, names
}

func (b *bench) media(file string) *playlist.Media {
	b.t.Helper()
	w := b.get(playbackRoot + testName + "/" + file)
	p, err := playlist.Unmarshal(w.Body.Bytes())
	if err != nil {
		b.t.Fatalf("%s: status %d: %v in %s", file, w.Code, err, w.Body)
	}
	return p.(*playlist.Media)
}

// inStep compares renditions: what they both have must have the same numbers, times, lengths and breaks. It returns the
// number of segments that they share.
func inStep(t *testing.T, a, b *playlist.Media) (shared int) {
	t.Helper()
	type place struct{ sequence, breaks int }
	places := func(m *playlist.Media) map[place]*playlist.MediaSegment {
		all, breaks := map[place]*playlist.MediaSegment{}, 0
		if m.DiscontinuitySequence != nil {
			breaks = *m.DiscontinuitySequence
		}
		for i, s := range m.Segments {
			if s.Discontinuity {
				breaks++
			}
			all[place{m.MediaSequence + i, breaks}] = s
		}
		return all
	}
	pa, pb := places(a), places(b)
	for at, s := range pb {
		o := pa[at]
		if o == nil {
			if at.sequence >= a.MediaSequence && at.sequence < a.MediaSequence+len(a.Segments) {
				t.Errorf("segment %d with break %d is another one elsewhere", at.sequence, at.breaks)
			}
			continue
		}
		if off := o.DateTime.Sub(*s.DateTime).Abs(); off > 2*time.Millisecond {
			t.Errorf("segment %d begins %v apart", at.sequence, off)
		}
		// At a break a frame may be on its way.
		if off := (o.Duration - s.Duration).Abs(); off > 40*time.Millisecond {
			t.Errorf("segment %d: %v and %v", at.sequence, o.Duration, s.Duration)
		}
		if len(o.Parts) > 0 && len(s.Parts) > 0 && len(o.Parts) != len(s.Parts) {
			t.Errorf("segment %d: %d and %d parts", at.sequence, len(o.Parts), len(s.Parts))
		}
		shared++
	}
	return shared
}

func multitrackDirectory() directory {
	return directory{fragmented: true, multitrack: Multitrack{Enabled: true, Limit: FullHD}}
}

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

// tape notes what is recorded, as a line for each change.
type tape struct{ lines []string }

func (p *tape) OpenRecording(context.Context, string) (Sink, func(), error) {
	return nil, nil, ErrUnknownStreamKey
}
func (p *tape) RecordChannel(context.Context, Channel) (Sink, func()) { return p, func() {} }

func (p *tape) note(line string) error {
	if n := len(p.lines); n == 0 || p.lines[n-1] != line {
		p.lines = append(p.lines, line)
	}
	return nil
}

func (p *tape) SetTracks(t hls.Tracks) error {
	_, h := t.Size()
	return p.note(fmt.Sprint(h))
}
func (p *tape) WriteVideo(f hls.VideoFrame) error {
	return p.note(fmt.Sprintf("track %d", f.NALUs[0][1]))
}
func (p *tape) WriteAudio(hls.AudioFrame) error { return nil }
func (p *tape) Break() error                    { return p.note("break") }
func (p *tape) EndTime() int64                  { return 0 }
func (p *tape) Wall() time.Time                 { return time.Time{} }

// TestRenditionRecorded records the largest of the sizes that are asked for, and the next best when it stops.
func TestRenditionRecorded(t *testing.T) {
	for _, c := range []struct {
		sizes []Resolution
		want  string
	}{
		{[]Resolution{}, "720, track 0, break, 480, track 1"},
		{[]Resolution{SD, Lowest}, "480, track 1"},
		{[]Resolution{Lowest}, "360, track 2"},
		{[]Resolution{FullHD}, "720, track 0, break, 480, track 1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			d, p := multitrackDirectory(), &tape{}
			d.recorded = c.sizes
			b := newBench(t, d)
			b.Recordings = p
			high := &track{params: params(0, 1280, 720)}
			s := b.studio(30, high, &track{params: params(1, 854, 480)}, &track{params: params(2, 640, 360)})
			s.run(5)
			high.absent = true
			s.run(5)
			if got := strings.Join(p.lines, ", "); got != c.want {
				t.Errorf("%v: %s, want %s", c.sizes, got, c.want)
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

// TestMultitrackRules brings what the channel does not take.
func TestMultitrackRules(t *testing.T) {
	p720, p360 := params(0, 1280, 720), params(1, 640, 360)
	many := []*track{}
	for i := range 6 {
		many = append(many, &track{params: params(i, 640, 360)})
	}
	for name, c := range map[string]struct {
		rules  Multitrack
		tracks []*track
		code   string
	}{
		"not enabled":  {Multitrack{}, []*track{{params: p720}, {params: p360}}, codeNotAllowed},
		"too few":      {Multitrack{Enabled: true, Required: true, Limit: FullHD}, []*track{{params: p720}}, codeRequired},
		"too large":    {Multitrack{Enabled: true, Limit: SD}, []*track{{params: p720}, {params: p360}}, codeMediaProperties},
		"too many":     {Multitrack{Enabled: true, Limit: FullHD}, many, codeTrackCount},
		"allowed":      {Multitrack{Enabled: true, Limit: HD}, []*track{{params: p720}, {params: p360}}, ""},
		"one is right": {Multitrack{Enabled: true, Limit: SD}, []*track{{params: p720}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, directory{multitrack: c.rules})
				s := b.studio(30, c.tracks...)
				s.run(3)
				if err := s.cutFor(); (err != nil) != (c.code != "") {
					t.Errorf("cut for %v", err)
				}
				if c.code != "" {
					events := b.events.await(t, 2)
					if last := events[len(events)-1]; last.Kind != SessionEnded || last.Code != c.code {
						t.Errorf("%s %s, want the code %s", last.Kind, last.Code, c.code)
					}
				}
			})
		})
	}
}

// TestMultitrackBitRate takes 15 Mb/s of all pictures together, and not more.
func TestMultitrackBitRate(t *testing.T) {
	for bits, cut := range map[int]bool{12_000_000: false, 40_000_000: true} {
		t.Run(fmt.Sprint(bits), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, multitrackDirectory())
				s := b.studio(30, &track{params: params(0, 1280, 720), bytes: bits / 8 / 60}, &track{params: params(1, 640, 360), bytes: bits / 8 / 60})
				s.run(14)
				if err := s.cutFor(); (err != nil) != cut {
					t.Errorf("cut for %v", err)
				}
			})
		})
	}
}

// TestMultitrackTakeover replaces a publisher by one with the same pictures, and not by one with others.
func TestMultitrackTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, multitrackDirectory())
		s := b.studio(30, &track{params: params(0, 1280, 720)}, &track{params: params(1, 640, 360)})
		s.run(6)
		other := func(tracks ...*track) *studio {
			e, err := b.connect(plainKey + "?priority=5")
			if err != nil {
				t.Fatal(err)
			}
			o := &studio{encoder: e, fps: 30, tracks: tracks}
			o.try(rtmp.Metadata{HasAudio: true}, stereo)
			for _, t := range tracks {
				o.try(t.params)
			}
			o.run(3)
			return o
		}
		if err := other(&track{params: params(0, 1280, 720)}).cutFor(); err == nil || s.cutFor() != nil {
			t.Errorf("one picture took two over: %v", err)
		}
		s.run(1)
		if err := other(&track{params: params(0, 1280, 720)}, &track{params: params(1, 640, 360)}).cutFor(); err != nil || s.cutFor() == nil {
			t.Errorf("the same pictures did not take over: %v", err)
		}
		high, low := b.media("720p30.m3u8"), b.media("360p30.m3u8")
		if n := inStep(t, high, low); n != len(low.Segments) || discontinuities(low) != 1 {
			t.Errorf("%d of %d segments in step, %d breaks", n, len(low.Segments), discontinuities(low))
		}
	})
}

// TestManyViewersOnce counts a viewer once who loads several renditions.
func TestManyViewersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, multitrackDirectory())
		s := b.studio(30, &track{params: params(0, 1280, 720)}, &track{params: params(1, 640, 360)})
		s.run(4)
		lines, _ := b.variants()
		for _, l := range lines {
			if w := b.get(playbackRoot + strings.Split(l, "\n")[1]); w.Code != 200 {
				t.Errorf("status %d", w.Code)
			}
		}
		if stream, _ := b.Stream(testARN); stream.ViewerCount != 1 {
			t.Errorf("%d viewers", stream.ViewerCount)
		}
	})
}
