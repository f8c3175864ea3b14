package hls

import (
	"math"
	"net/http"
	"strings"
	"testing"
)

// TestWholeSegments: without parts, the playlist tells of complete segments only, and players stay behind.
func TestWholeSegments(t *testing.T) { inBoth(t, testWholeSegments) }

func testWholeSegments(t *testing.T, container Container) {
	s := newSource(t, container, 30, 1, 60)
	s.m = New(Config{Container: container, Prefix: "abc", Wall: wall, PartTarget: PartTarget(s.ticks(1)), Sequence: 1000, Breaks: 50, WholeSegments: true})
	if err := s.m.SetTracks(tracks180); err != nil {
		t.Fatal(err)
	}
	s.run(60)
	if s.m.Ready() {
		t.Error("ready before a segment is complete")
	}
	s.run(1)
	if !s.m.Ready() {
		t.Error("not ready with a complete segment")
	}
	s.run(10 * 60)
	text := string(s.m.current.Load().full)
	for _, word := range []string{"EXT-X-PART", "PRELOAD-HINT", "CAN-BLOCK-RELOAD", "PART-HOLD-BACK"} {
		if strings.Contains(text, word) {
			t.Errorf("%s in\n%s", word, text)
		}
	}
	m := s.playlist()
	if !strings.Contains(text, "#EXT-X-SERVER-CONTROL:HOLD-BACK=6.00000,") { // three target durations
		t.Errorf("server control in\n%s", text)
	}
	if n := len(m.Segments); n != 10 || m.MediaSequence != 1001 {
		t.Errorf("%d segments from %d", n, m.MediaSequence)
	}
	for i, segment := range m.Segments {
		if math.Abs(segment.Duration.Seconds()-2) > 1e-4 || len(segment.Parts) != 0 {
			t.Errorf("segment %d: %+v", i, segment)
		}
		if w := s.request("GET", segment.URI); w.Code != http.StatusOK {
			t.Errorf("segment %d: status %d", i, w.Code)
		}
	}
	checkMedia(t, s)
	// Nothing waits for parts, which have no names here.
	for _, n := range []int64{0, s.m.nextPart} {
		if w := s.request("GET", s.m.current.Load().partName(n)); w.Code != http.StatusNotFound {
			t.Errorf("part %d: status %d", n, w.Code)
		}
	}
	if err := s.m.End(); err != nil {
		t.Fatal(err)
	}
	if m := s.playlist(); !m.Endlist || len(m.Segments) < 10 {
		t.Errorf("end %v, %d segments", m.Endlist, len(m.Segments))
	}
}
