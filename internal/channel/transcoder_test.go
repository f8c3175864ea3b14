package channel

import (
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/transcode/ladder"
	"github.com/footlight-live/footlight/internal/unit"
)

// shares is a machine's capacity: of cores that are reserved, in thousandths.
type shares struct {
	limit float64
	used  atomic.Int64
	asked atomic.Int64
}

func (s *shares) Reserve(cores float64) (func(), error) {
	n := int64(1000 * cores)
	s.asked.Store(n)
	if cores > s.limit {
		return nil, errors.New("there is no room")
	}
	s.used.Add(n)
	return func() { s.used.Add(-n) }, nil
}

func startLadder(t *testing.T, capacity *shares, program string) *site {
	return start(t, func(s *Server) {
		s.Directory = directory{ladder: Ladder{ladder.AdvancedSD, ladder.HigherBandwidth}}
		s.Composer, s.Capacity = program, capacity
	})
}

func self(t *testing.T) string {
	t.Helper()
	program, err := os.Executable() // TestMain knows what to do
	if err != nil {
		t.Fatal(err)
	}
	return program
}

var resolutions = regexp.MustCompile(`CODECS="avc1.4D....,mp4a.40.2",RESOLUTION=(\d+x\d+),FRAME-RATE=30.000`)

// TestTranscoded publishes a picture of 360 lines with B-frames and reads its renditions.
func TestTranscoded(t *testing.T) {
	capacity := &shares{limit: 4}
	s := startLadder(t, capacity, self(t))
	p := publish(t, s.plainURL(plainKey), 30, 15, "-s", "640x360", "-tune", "film", "-bf", "2", "-b:v", "1M")
	s.events.awaitLife(t, 2)
	if asked, used := capacity.asked.Load(), capacity.used.Load(); asked < 50 || asked > 300 || used != asked {
		t.Errorf("%d thousandths of a core were asked for, %d are used", asked, used)
	}
	deadline := time.Now().Add(30 * time.Second)
	var body string
	var sizes []string
	for len(sizes) < 2 && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
		_, _, body = s.get(t, testPath)
		sizes = nil
		for _, m := range resolutions.FindAllStringSubmatch(body, -1) {
			sizes = append(sizes, m[1])
		}
	}
	if !slices.Equal(sizes, []string{"640x360", "284x160"}) {
		t.Fatalf("renditions %v of\n%s", sizes, body)
	}
	stream, ok := s.Stream(testARN)
	if v := stream.Video; !ok || v == nil || v.Width != 640 || v.BitRate < 900_000 || v.FrameRate != 30 || len(stream.Tracks) != 1 {
		t.Errorf("the publisher is told of as %+v", v)
	}
	if st, _ := s.StreamStats(testARN); st.Ladder == nil || st.Ladder.Pictures == 0 || st.Ladder.PID == 0 {
		t.Errorf("figures %+v", st.Ladder)
	}
	var addresses []string
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") {
			addresses = append(addresses, playbackRoot+strings.TrimSpace(line))
		}
	}
	if err := p.exit(t); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, p.out)
	}
	s.events.awaitLife(t, 4)
	var all [][]string
	for i, address := range addresses {
		got := ffprobe(t, s.web.URL+address, 0)
		var pictures []string
		for _, p := range got.Packets {
			if p.Type == "video" {
				pictures = append(pictures, p.PTS)
			}
		}
		first := number(t, pictures[0])
		for _, pts := range pictures { // a busy machine leaves some out
			if n := (number(t, pts) - first) * 30; math.Abs(n-math.Round(n)) > 0.001 {
				t.Errorf("%s has a picture at %s, frame %.3f", sizes[i], pts, n)
			}
		}
		audio, _ := checkCadence(t, got.Packets, "audio", 1024./48000)
		if apart := audio - first; apart < -0.1 || apart > 0.1 || len(pictures) < 60 {
			t.Errorf("%s: %d pictures, sound begins %.3f s after them", sizes[i], len(pictures), apart)
		}
		if all = append(all, pictures); !slices.Equal(all[0], all[i]) {
			t.Errorf("the renditions have pictures at %v", all)
		}
		for _, x := range got.Streams {
			if x.Type == "video" && fmt.Sprintf("%dx%d", x.Width, x.Height) != sizes[i] {
				t.Errorf("%s is %dx%d", sizes[i], x.Width, x.Height)
			}
		}
	}
	if used := capacity.used.Load(); used != 0 {
		t.Errorf("%d thousandths of a core are still reserved", used)
	}
}

// TestTranscodeCapacity publishes what cannot be transcoded.
func TestTranscodeCapacity(t *testing.T) {
	for name, c := range map[string]struct {
		limit   float64
		program string
	}{"no room": {0.01, self(t)}, "no program": {4, ""}} {
		t.Run(name, func(t *testing.T) {
			s := startLadder(t, &shares{limit: c.limit}, c.program)
			publish(t, s.plainURL(plainKey), 30, 0)
			events := s.events.await(t, 3)[:3]
			if got := kinds(events); !slices.Equal(got, []EventKind{SessionCreated, StreamFailure, SessionEnded}) {
				t.Fatalf("events %v", got)
			}
			if events[1].Reason != "Transcode capacity exceeded. Please try again." {
				t.Errorf("reason %q", events[1].Reason)
			}
		})
	}
}

// TestTranscodedTooLarge: what the publisher sends is judged, not what would come of it.
func TestTranscodedTooLarge(t *testing.T) {
	s := startLadder(t, &shares{limit: 4}, self(t))
	publish(t, s.plainURL(plainKey), 5, 0, "-s", "2048x1152")
	if got := kinds(s.events.await(t, 3)[:3]); !slices.Equal(got, []EventKind{SessionCreated, IngestResolution, SessionEnded}) {
		t.Errorf("events %v", got)
	}
}

// TestSoundWaits for the picture of its time, but not for ever.
func TestSoundWaits(t *testing.T) {
	in := &ingest{live: &live{server: &Server{}}, publisher: Publisher{Channel: Channel{Ladder: Ladder{Type: ladder.AdvancedSD}}}}
	in.feed.outlet = in
	c := newTranscoder(in, nil)
	now := time.Now()
	sound := func(pts, after time.Duration) {
		t.Helper()
		if err := c.write(unit.AudioFrame{PTS: pts, AU: []byte{1}}, now.Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	waits := func(want int) {
		t.Helper()
		if n := len(c.sound); n != want {
			t.Errorf("%d units wait, want %d", n, want)
		}
	}
	sound(0, -time.Minute) // nothing came out yet
	for i := range 10 {
		sound(time.Duration(i)*20*time.Millisecond, time.Duration(i)*20*time.Millisecond)
	}
	waits(11)
	picture := ladder.Picture{
		Tracks: []unit.VideoParams{{SPS: [][]byte{{0x67}}, PPS: [][]byte{{0x68}}}},
		Frames: []unit.VideoFrame{{PTS: 100 * time.Millisecond, NALUs: [][]byte{{0x41}}}}, Arrived: now,
	}
	if err := c.emit(picture); err != nil {
		t.Fatal(err)
	}
	waits(4) // that of 120 ms and later
	if err := c.write(unit.AudioParams{}, now); err != nil {
		t.Fatal(err)
	}
	waits(5) // parameters keep their place
	sound(0, 200*time.Millisecond+soundPatience)
	waits(1)
	for range 2 * mostSound {
		sound(time.Hour, 200*time.Millisecond+soundPatience)
	}
	waits(mostSound)
	if c.got.audio != 12+2*mostSound {
		t.Errorf("%d bytes of sound were counted", c.got.audio)
	}
}
