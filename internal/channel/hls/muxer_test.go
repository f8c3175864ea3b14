package hls

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/google/go-cmp/cmp"
)

// checkPlaylist asserts the rules that hold for every playlist.
func checkPlaylist(t *testing.T, m *playlist.Media) {
	t.Helper()
	target := m.PartInf.PartTarget.Seconds()
	checkParts := func(parts []*playlist.MediaPart, complete bool) (sum float64) {
		for i, p := range parts {
			d := p.Duration.Seconds()
			sum += d
			if d > target+1e-5 {
				t.Errorf("part of %.5f s, PART-TARGET is %.5f", d, target)
			}
			if last := complete && i == len(parts)-1; !last && d < 0.85*target {
				t.Errorf("part of %.5f s is shorter than 85 %% of PART-TARGET %.5f", d, target)
			}
		}
		return sum
	}
	fromEnd := 0.0
	for _, p := range m.Parts {
		fromEnd += p.Duration.Seconds()
	}
	checkParts(m.Parts, false)
	for i := len(m.Segments) - 1; i >= 0; i-- {
		s := m.Segments[i]
		d := s.Duration.Seconds()
		if math.Round(d) > float64(m.TargetDuration) {
			t.Errorf("segment of %.3f s, EXT-X-TARGETDURATION is %d", d, m.TargetDuration)
		}
		if sum := checkParts(s.Parts, true); len(s.Parts) > 0 && math.Abs(sum-d) > 1e-4 {
			t.Errorf("parts of %.5f s in a segment of %.5f s", sum, d)
		}
		if want := fromEnd < 3*float64(m.TargetDuration)-1e-3; want != (len(s.Parts) > 0) && math.Abs(fromEnd-6) > 1e-3 {
			t.Errorf("segment %.3f s from the end has %d parts", fromEnd, len(s.Parts))
		}
		if s.DateTime == nil {
			t.Error("segment without EXT-X-PROGRAM-DATE-TIME")
		}
		fromEnd += d
	}
	if m.Endlist == (m.PreloadHint != nil) {
		t.Errorf("end of list %v, preload hint %v", m.Endlist, m.PreloadHint)
	}
	if c := m.ServerControl; !c.CanBlockReload || *c.PartHoldBack < 2*m.PartInf.PartTarget || c.CanSkipUntil.Seconds() < 6*float64(m.TargetDuration) {
		t.Errorf("server control %+v", c)
	}
}

func TestFrameRates(t *testing.T) { inBoth(t, testFrameRates) }

func testFrameRates(t *testing.T, container Container) {
	for _, c := range []struct {
		num, den, gop int64
		part          float64 // seconds
	}{
		{30, 1, 60, 0.2}, {25, 1, 50, 0.2}, {60, 1, 120, 0.2}, {24, 1, 48, 5. / 24}, {50, 1, 100, 0.2}, {15, 1, 30, 0.2},
		{30000, 1001, 60, 6 * 1.001 / 30}, {60000, 1001, 120, 12 * 1.001 / 60}, {24000, 1001, 48, 5 * 1.001 / 24},
		{10, 1, 20, 0.2}, {5, 1, 10, 0.2}, {2, 1, 4, 0.5}, {1, 1, 2, 1},
		{30, 1, 45, 0.2}, {30, 1, 15, 0.2}, {30, 1, 30, 0.2}, {30, 1, 75, 0.2}, // other key-frame intervals
		{30, 1, 250, 0.2}, {30, 1, 1 << 40, 0.2}, // far too long ones
		{30, 1, 1, 0.2},
	} {
		t.Run(fmt.Sprintf("%d:%d every %d", c.num, c.den, c.gop), func(t *testing.T) {
			s := newSource(t, container, c.num, c.den, c.gop)
			last := int64(-1)
			s.each = func() {
				v := s.m.current.Load()
				if v.nextPart == last || v.nextPart == 0 {
					return
				}
				last = v.nextPart
				m := parse(t, v.full)
				if d := m.PartInf.PartTarget.Seconds() - c.part; math.Abs(d) > 1e-4 {
					t.Fatalf("PART-TARGET %v, want %v s", m.PartInf.PartTarget, c.part)
				}
				checkPlaylist(t, m)
			}
			s.run(30 * c.num / c.den)
			m := s.playlist()
			if n := len(m.Segments); n < 9 || n > 21 {
				t.Errorf("%d segments in the window", n)
			}
			if aligned := c.gop*c.den*100 < 249*c.num; m.IndependentSegments != aligned {
				t.Errorf("EXT-X-INDEPENDENT-SEGMENTS is %v", m.IndependentSegments)
			}
			checkMedia(t, s)
		})
	}
}

// checkMedia reads every segment in the window and asserts that it is its parts, and that video and sound have no holes.
func checkMedia(t *testing.T, s *source) {
	t.Helper()
	var video, audio timeline
	for _, seg := range s.m.current.Load().segments {
		if seg.data == nil {
			continue
		}
		var parts [][]byte
		for _, p := range seg.parts {
			parts = append(parts, p.data)
		}
		if !bytes.Equal(bytes.Join(parts, nil), seg.data) {
			t.Error("a segment is not its parts")
		}
		if seg.discontinuity {
			video, audio = timeline{}, timeline{}
		}
		if s.m.cfg.Container == MPEGTS {
			m := demux(t, seg.data)
			for _, u := range m.video {
				video.goesOn(t, "video", u.dts, s.ticks(1))
			}
			for _, u := range frames(t, m.sound) {
				audio.goesOn(t, "sound", u.pts, samplesPerAU*ClockRate/48000)
			}
			continue
		}
		var fragments fmp4.Parts
		if err := fragments.Unmarshal(seg.data); err != nil {
			t.Fatal(err)
		}
		if len(fragments) != len(seg.parts) {
			t.Fatalf("%d fragments in a segment of %d parts", len(fragments), len(seg.parts))
		}
		for _, f := range fragments {
			for _, track := range f.Tracks {
				line, name := &video, "video"
				if track.ID == audioTrackID {
					line, name = &audio, "sound"
				}
				at := int64(track.BaseTime)
				for _, sample := range track.Samples {
					line.goesOn(t, name, at, int64(sample.Duration))
					at += int64(sample.Duration)
				}
			}
		}
	}
}

// timeline is where a track goes on.
type timeline struct {
	known bool
	next  int64
}

// goesOn asserts that something begins there, and lasts for a time. It forgives a tick of rounding.
func (l *timeline) goesOn(t *testing.T, what string, at, length int64) {
	t.Helper()
	const bits = 64 - 33 // above those of the times in MPEG-TS
	if d := (at - l.next) << bits >> bits; l.known && (d < -1 || d > 1) {
		t.Errorf("%s goes on at %d, want %d", what, at, l.next)
	}
	l.known, l.next = true, at+length
}
func TestFirstPart(t *testing.T) {
	s := newSource(t, FragmentedMP4, 30, 1, 60)
	s.run(5)
	if s.m.Ready() {
		t.Fatal("ready without a part")
	}
	s.run(1) // the sixth frame completes 200 ms
	if !s.m.Ready() {
		t.Fatal("not ready with the first part")
	}
	m := s.playlist()
	// hls.js refuses a playlist without a complete segment.
	if len(m.Segments) != 1 || len(m.Segments[0].Parts) != 1 || !m.Segments[0].Parts[0].Independent {
		t.Errorf("first playlist:\n%s", s.m.current.Load().full)
	}
	if m.MediaSequence != 1000 || *m.DiscontinuitySequence != 50 {
		t.Errorf("sequence %d, discontinuities %d", m.MediaSequence, *m.DiscontinuitySequence)
	}
	init := s.request("GET", m.Map.URI)
	var i fmp4.Init
	if err := i.Unmarshal(strings.NewReader(init.Body.String())); err != nil {
		t.Fatal(err)
	}
	if len(i.Tracks) != 2 || i.Tracks[0].TimeScale != ClockRate || i.Tracks[1].TimeScale != 48000 {
		t.Errorf("tracks %+v", i.Tracks)
	}
}

func TestSequenceAndNames(t *testing.T) {
	s := newSource(t, MPEGTS, 30, 1, 60)
	content := map[string]string{} // by name: a name never changes its content
	sequence, start := 0, map[int]string{}
	s.each = func() {
		v := s.m.current.Load()
		if !s.m.Ready() {
			return
		}
		m := parse(t, v.full)
		if m.MediaSequence < sequence {
			t.Errorf("media sequence goes back from %d to %d", sequence, m.MediaSequence)
		}
		sequence = m.MediaSequence
		for i, seg := range m.Segments {
			n := m.MediaSequence + i
			if old, ok := start[n]; ok && old != seg.DateTime.String() {
				t.Errorf("segment %d began at %s, now at %s", n, old, seg.DateTime)
			}
			start[n] = seg.DateTime.String()
			for _, p := range seg.Parts {
				body := s.request("GET", p.URI).Body.String()
				if old, ok := content[p.URI]; ok && old != body {
					t.Errorf("%s changed", p.URI)
				}
				content[p.URI] = body
			}
			body := s.request("GET", seg.URI).Body.String()
			if old, ok := content[seg.URI]; ok && old != body || body == "" {
				t.Errorf("%s changed or is empty", seg.URI)
			}
			content[seg.URI] = body
		}
		for _, p := range m.Parts {
			if s.request("GET", p.URI).Code != 200 {
				t.Errorf("%s is not served", p.URI)
			}
		}
		// The hint is the name that the next part really gets, whatever segment it falls into.
		if want := v.partName(v.nextPart); m.PreloadHint.URI != want {
			t.Errorf("hint %s, want %s", m.PreloadHint.URI, want)
		}
	}
	s.run(900)
	if len(s.m.segments) > 40 {
		t.Errorf("%d segments are kept", len(s.m.segments))
	}
}

func TestDelta(t *testing.T) {
	s := newSource(t, MPEGTS, 30, 1, 60)
	s.run(300)
	s.restart(0)
	var before *playlist.Media
	s.each = func() {
		v := s.m.current.Load()
		full, delta := parse(t, v.full), parse(t, v.delta)
		if before != nil && delta.Skip != nil {
			n := delta.Skip.SkippedSegments
			if n == 0 || n > len(full.Segments) {
				t.Fatalf("%d segments skipped of %d", n, len(full.Segments))
			}
			// What a player puts together is the full playlist.
			at := full.MediaSequence - before.MediaSequence
			merged := append(append([]*playlist.MediaSegment{}, before.Segments[at:]...)[:n:n], delta.Segments...)
			for i := range merged {
				// Parts leave a segment when it ages; the full one of before may still have them.
				a, b := *merged[i], *full.Segments[i]
				a.Parts, b.Parts = nil, nil
				if d := cmp.Diff(a, b); d != "" {
					t.Fatal(d)
				}
			}
			skipped := 0.0
			for _, seg := range full.Segments[n:] {
				skipped += seg.Duration.Seconds()
			}
			for _, p := range full.Parts {
				skipped += p.Duration.Seconds()
			}
			if skipped < 12-1e-6 {
				t.Fatalf("only %.3f s are left of CAN-SKIP-UNTIL", skipped)
			}
			if delta.DiscontinuitySequence == nil || *delta.DiscontinuitySequence != *full.DiscontinuitySequence {
				t.Fatal("discontinuity sequence differs")
			}
		}
		if s.m.open != nil {
			before = full
		}
	}
	s.run(600)
	if before == nil || parse(t, s.m.current.Load().delta).Skip == nil {
		t.Error("no delta update was seen")
	}
}

func TestDiscontinuities(t *testing.T) {
	s := newSource(t, FragmentedMP4, 30, 1, 60)
	number := map[int]int{} // discontinuity number of each segment
	seen := 0
	s.each = func() {
		if !s.m.Ready() {
			return
		}
		m := parse(t, s.m.current.Load().full)
		n := *m.DiscontinuitySequence
		for i, seg := range m.Segments {
			if seg.Discontinuity {
				n++
			}
			at := m.MediaSequence + i
			if old, ok := number[at]; ok && old != n {
				t.Fatalf("segment %d had discontinuity number %d, now %d", at, old, n)
			}
			number[at], seen = n, max(seen, n)
		}
	}
	for i := range int64(12) {
		s.run(70 + 13*i)
		s.restart(i * 10000)
	}
	s.run(900)
	if seen != 50+12 {
		t.Errorf("%d discontinuities, want 12", seen-50)
	}
	if m := s.playlist(); *m.DiscontinuitySequence != 50+12 {
		t.Errorf("%d discontinuities were counted after they left the playlist", *m.DiscontinuitySequence-50)
	}
	if n := len(s.m.inits); n != 1 {
		t.Errorf("%d initialisation sections for one set of parameters", n)
	}
}

func TestParametersChange(t *testing.T) {
	inBoth(t, func(t *testing.T, container Container) {
		s := newSource(t, container, 30, 1, 60)
		s.run(60)
		for i, next := range []Tracks{tracks180, tracks360, tracks360, {SPS: sps360, PPS: pps360}, tracks180} {
			if err := s.m.SetTracks(next); err != nil {
				t.Fatal(err)
			}
			if wantBreak := i == 1 || i == 3 || i == 4; (s.m.open == nil) != wantBreak {
				t.Errorf("change %d: break is %v", i, !wantBreak)
			}
			s.offset, s.frame = s.m.EndTime(), 0
			s.run(60)
		}
		text := string(s.m.current.Load().full)
		maps := 4
		if container == MPEGTS {
			maps = 0
		}
		if n := strings.Count(text, "#EXT-X-MAP:"); n != maps {
			t.Errorf("%d maps, want %d\n%s", n, maps, text)
		}
		if n := strings.Count(text, "#EXT-X-DISCONTINUITY\n"); n != 3 {
			t.Errorf("%d discontinuities, want 3", n)
		}
		// Sections that no segment needs any more go.
		s.run(60 * 30)
		if err := s.m.SetTracks(tracks360); err != nil {
			t.Fatal(err)
		}
		if n := len(s.m.inits); n > 2 {
			t.Errorf("%d initialisation sections are kept", n)
		}
	})
}

func TestPictureStandsStill(t *testing.T) { inBoth(t, testPictureStandsStill) }

func testPictureStandsStill(t *testing.T, container Container) {
	s := newSource(t, container, 30, 1, 60)
	s.run(150)
	_, parts := s.m.Position()
	for range 300 { // 6.4 s of sound alone
		if err := s.m.WriteAudio(AudioFrame{DTS: s.sound, AU: []byte{1}}); err != nil {
			t.Fatal(err)
		}
		s.sound += samplesPerAU
	}
	if _, now := s.m.Position(); now < parts+25 {
		t.Errorf("%d parts while only sound came", now-parts)
	}
	checkPlaylist(t, s.playlist())
	s.frame = 360 // the picture comes back at 12 s, with a key frame
	s.run(120)
	checkPlaylist(t, s.playlist())
}

func TestHole(t *testing.T) { inBoth(t, testHole) }

func testHole(t *testing.T, container Container) {
	s := newSource(t, container, 30, 1, 60)
	s.run(95)
	s.frame += 85 // almost three seconds of nothing, then a key frame
	s.sound += 132 * samplesPerAU
	s.run(200)
	checkPlaylist(t, s.playlist())
	if n := strings.Count(string(s.m.current.Load().full), "#EXT-X-DISCONTINUITY\n"); n != 0 {
		t.Errorf("%d discontinuities", n)
	}
}

func TestEnd(t *testing.T) {
	s := newSource(t, MPEGTS, 30, 1, 60)
	s.run(100)
	if err := s.m.End(); err != nil {
		t.Fatal(err)
	}
	m := s.playlist()
	checkPlaylist(t, m)
	total := 0.0
	for _, seg := range m.Segments {
		total += seg.Duration.Seconds()
	}
	if !m.Endlist || math.Abs(total-100./30) > 1e-4 || len(m.Parts) != 0 {
		t.Errorf("ended after %.4f s:\n%s", total, s.m.current.Load().full)
	}
}

func TestSegmentLimit(t *testing.T) {
	s := newSource(t, MPEGTS, 30, 1, 60)
	s.m.cfg.SegmentLimit = 1000
	err := s.m.WriteVideo(VideoFrame{Duration: 3000, Key: true, NALUs: [][]byte{make([]byte, 2000)}})
	if !errors.Is(err, ErrTooMuchData) {
		t.Errorf("error %v", err)
	}
}

// FuzzMuxer writes frames with any timing; the playlist must stay one that others can read.
func FuzzMuxer(f *testing.F) {
	f.Add([]byte{1, 33, 0, 33, 0, 34, 2, 200, 1, 33})
	f.Add([]byte{1, 255, 0, 255, 0, 255, 1, 0, 0, 0, 2, 9, 3, 1, 1, 40})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, container := range []Container{MPEGTS, FragmentedMP4} {
			fuzzMuxer(t, container, data)
		}
	})
}

func fuzzMuxer(t *testing.T, container Container, data []byte) {
	m := New(Config{Prefix: "f", Wall: wall, PartTarget: PartTarget(3000), SegmentLimit: 1 << 20, Container: container})
	if err := m.SetTracks(tracks180); err != nil {
		t.Fatal(err)
	}
	dts, samples := int64(0), int64(0)
	for i := 0; i+1 < len(data); i += 2 {
		switch data[i] % 5 {
		case 0, 1:
			dts += int64(data[i+1])*90 + 1
			m.WriteVideo(VideoFrame{DTS: dts, PTS: dts, Duration: 3000, Key: data[i]%5 == 1, NALUs: [][]byte{{0x65}}})
		case 2:
			samples += int64(data[i+1]) * 48
			m.WriteAudio(AudioFrame{DTS: samples, AU: []byte{1}})
		case 3:
			m.Break()
		case 4:
			dts += int64(data[i+1]) * 9000
		}
	}
	if m.Ready() {
		p := parse(t, m.current.Load().full)
		for _, s := range p.Segments {
			if s.Duration.Seconds() >= 2.5 {
				t.Errorf("segment of %v", s.Duration)
			}
		}
		parse(t, m.current.Load().delta)
	}
}
