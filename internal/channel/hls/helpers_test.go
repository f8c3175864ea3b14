package hls

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/footlight-live/footlight/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// Parameter sets of x264: 320x180 constrained baseline, and 640x360 main.
var (
	sps180 = []byte{0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0f, 0x23, 0xc5, 0x0a, 0xa8}
	pps180 = []byte{0x68, 0xce, 0x0f, 0xc8}
	sps360 = []byte{0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc, 0xb8, 0x08, 0x80, 0, 0, 3, 0, 0x80, 0, 0, 0x19, 0x07, 0x8b, 0x16, 0xcb}
	pps360 = []byte{0x68, 0xef, 0x8f, 0xc8}
	stereo = &mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2, ChannelCount: 2}

	tracks180 = Tracks{SPS: sps180, PPS: pps180, Audio: stereo}
	tracks360 = Tracks{SPS: sps360, PPS: pps360, Audio: stereo}
)

var wall = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// inBoth runs a test for each container.
func inBoth(t *testing.T, test func(t *testing.T, c Container)) {
	for name, c := range map[string]Container{"TS": MPEGTS, "fMP4": FragmentedMP4} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

// source feeds a muxer with a constant frame rate and sound beside it.
type source struct {
	t        testing.TB
	m        *Muxer
	num, den int64 // frame rate
	gop      int64 // frames
	offset   int64 // ticks: start of the current run
	frame    int64 // of the current run
	sound    int64 // samples written
	silent   bool
	each     func() // after each frame
	audience Audience
	events   uint32 // that tagsIn has seen
}

func newSource(t testing.TB, c Container, num, den, gop int64) *source {
	s := &source{t: t, num: num, den: den, gop: gop}
	s.m = New(Config{Prefix: "abc", Wall: wall, PartTarget: PartTarget(s.ticks(1)), Sequence: 1000, Breaks: 50, Container: c})
	if err := s.m.SetTracks(tracks180); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *source) ticks(n int64) int64 { return (n*ClockRate*s.den + s.num/2) / s.num }

// run writes some frames.
func (s *source) run(frames int64) {
	s.t.Helper()
	for range frames {
		dts := s.offset + s.ticks(s.frame)
		key := s.frame%s.gop == 0
		nalu := []byte{0x41, byte(s.frame), byte(s.frame >> 8)}
		if key {
			nalu[0] = 0x65
		}
		if err := s.m.WriteVideo(VideoFrame{DTS: dts, PTS: dts, Duration: s.ticks(s.frame+1) - s.ticks(s.frame), Key: key, NALUs: [][]byte{nalu}}); err != nil {
			s.t.Fatal(err)
		}
		s.frame++
		for !s.silent && s.sound*ClockRate/48000 <= dts {
			if err := s.m.WriteAudio(AudioFrame{DTS: s.sound, AU: []byte{1, 2, 3, 4}}); err != nil {
				s.t.Fatal(err)
			}
			s.sound += samplesPerAU
		}
		if s.each != nil {
			s.each()
		}
	}
}

// restart goes on after a pause, as a publisher that comes back does.
func (s *source) restart(pause int64) {
	s.t.Helper()
	if err := s.m.Break(); err != nil {
		s.t.Fatal(err)
	}
	s.offset, s.frame = s.m.EndTime()+pause, 0
	s.sound = (s.offset*48000/ClockRate + samplesPerAU - 1) / samplesPerAU * samplesPerAU
}

// parse reads a media playlist with gohlslib's parser.
func parse(t testing.TB, text []byte) *playlist.Media {
	t.Helper()
	p, err := playlist.Unmarshal(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	m, ok := p.(*playlist.Media)
	if !ok {
		t.Fatalf("no media playlist:\n%s", text)
	}
	return m
}

func (s *source) playlist() *playlist.Media {
	s.t.Helper()
	return parse(s.t, s.m.current.Load().full)
}

// request asks for the playlist with a query, or for a file.
func (s *source) request(method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(s.t.Context(), method, "http://host/"+target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return s.do(r)
}

func (s *source) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	if name := r.URL.Path[1:]; name == "live.m3u8" {
		s.m.ServePlaylist(w, r, cmp.Or(s.audience, Public))
	} else if !s.m.ServeFile(w, r, name, cmp.Or(s.audience, Public)) {
		w.WriteHeader(http.StatusNotFound)
	}
	return w
}
