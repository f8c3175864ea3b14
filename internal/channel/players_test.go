package channel

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"
	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// TestPublisherKilled kills ffmpeg without a goodbye and starts another one.
func TestPublisherKilled(t *testing.T) { inBoth(t, testPublisherKilled) }

func testPublisherKilled(t *testing.T, d directory) {
	s := start(t, func(s *Server) { s.Directory, s.Grace = d, time.Minute })
	p := publish(t, s.plainURL(plainKey), 30, 0)
	s.events.awaitLife(t, 2)
	media := s.mediaURL(t)
	first, _ := s.Stream(testARN)
	s.awaitPlaylist(t, media, func(text string) bool { return strings.Count(text, "#EXTINF") >= 11 })
	p.kill()
	s.awaitLog(t, "to=gap")
	p = publish(t, s.plainURL(plainKey), 30, 6)
	s.awaitPlaylist(t, media, func(text string) bool {
		_, after, found := strings.Cut(text, "#EXT-X-DISCONTINUITY\n")
		return found && strings.Contains(after, "#EXT-X-PART:")
	})
	if now, _ := s.Stream(testARN); now.ID != first.ID {
		t.Errorf("stream %s became %s", first.ID, now.ID)
	}
	if err := p.exit(t); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, p.out)
	}
	s.events.awaitLife(t, 4)
	// A player without low latency reads over the break: time only grows.
	all := ffprobe(t, s.web.URL+media, 0)
	last, frames := -1.0, 0
	for _, k := range all.Packets {
		if k.Type == "video" {
			if at := number(t, k.DTS); at <= last {
				t.Errorf("DTS %.3f after %.3f", at, last)
			} else {
				last = at
			}
			frames++
		}
	}
	if frames < 8*30-10 {
		t.Errorf("%d frames", frames)
	}
}

// awaitPlaylist polls a playlist until it is as wanted.
func (s *site) awaitPlaylist(t *testing.T, address string, ok func(string) bool) {
	t.Helper()
	var body string
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, _, body = s.get(t, address); ok(body) {
			return
		}
	}
	t.Fatalf("the playlist does not get as wanted:\n%s", body)
}

func (s *site) awaitLog(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(s.log.String(), text) {
			return
		}
	}
	t.Fatalf("%q is not logged", text)
}

// TestRefusedPublishers tries what is not allowed while somebody publishes, who must not notice.
func TestRefusedPublishers(t *testing.T) {
	s := start(t, nil)
	good := publish(t, s.secureURL(secureKey), 30, 0)
	s.events.awaitLife(t, 2)
	for name, c := range map[string]struct {
		url, log string
		extra    []string
	}{
		"wrong key":           {s.secureURL("sk_us-east-1_AbCdEf123456_wrong"), "unknown stream key", nil},
		"plain on secure":     {s.plainURL(secureKey), "use rtmps://, or set insecureIngest", nil},
		"a second publisher":  {s.secureURL(secureKey), "the channel has one", nil},
		"another application": {"rtmps://" + s.RTMPSAddress() + "/live/" + secureKey, "/app/<stream key>", nil},
		"TLS where plain is":  {"rtmps://" + s.RTMPAddress() + "/app/" + secureKey, "RTMP handshake", nil},
		"plain where TLS is":  {"rtmp://" + s.RTMPSAddress() + "/app/" + secureKey, "TLS handshake", nil},
	} {
		p := publish(t, c.url, 30, 5, c.extra...)
		if err := p.exit(t); err == nil {
			t.Errorf("%s: ffmpeg was let in", name)
		}
		s.awaitLog(t, c.log)
	}
	if strings.Contains(s.log.String(), secureKey) {
		t.Error("the log holds a stream key")
	}
	if _, ok := s.Stream(testARN); !ok {
		t.Fatalf("the good publisher is gone: %s", good.out)
	}
	good.cmd.Process.Signal(os.Interrupt) // ffmpeg then says goodbye
	good.exit(t)
	if got := kinds(s.events.awaitLife(t, 4)); len(got) != 4 {
		t.Errorf("events %v", got)
	}
	if strings.Contains(s.log.String(), "to=gap") {
		t.Error("the good publisher was disturbed")
	}
}

func TestUnsupportedCodec(t *testing.T) {
	s := start(t, nil)
	p := publish(t, s.plainURL(plainKey), 30, 5, "-c:a", "libmp3lame", "-ar", "44100")
	p.exit(t)
	s.awaitLog(t, "MP3 audio is not supported: send H.264 video and AAC audio")
}

// TestGohlslib lets an independent player watch, which knows the stream by its preload hints.
func TestGohlslib(t *testing.T) { inBoth(t, testGohlslib) }

func testGohlslib(t *testing.T, d directory) {
	s := start(t, func(s *Server) { s.Directory = d })
	p := publish(t, s.plainURL(plainKey), 30, 8, "-x264-params", "bframes=2:keyint=60", "-tune", "film")
	s.events.awaitLife(t, 2)
	// A client of its own, so that its idle connections can be closed.
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var frames, units int
	c := &gohlslib.Client{URI: s.web.URL + testPath, HTTPClient: &http.Client{Transport: transport}}
	// It logs every download otherwise.
	c.OnDownloadPrimaryPlaylist, c.OnDownloadStreamPlaylist = func(string) {}, func(string) {}
	c.OnDownloadSegment, c.OnDownloadPart = func(string) {}, func(string) {}
	c.OnTracks = func(tracks []*gohlslib.Track) error {
		for _, track := range tracks {
			switch track.Codec.(type) {
			case *codecs.H264:
				last := int64(-1)
				c.OnDataH26x(track, func(pts, dts int64, _ [][]byte) {
					// This player follows the hints alone: when it is late it misses whole parts, of six frames.
					if step := dts - last; last >= 0 && step%18000 != 3000 {
						t.Errorf("frame %d comes %d ticks after the one before", frames, dts-last)
					}
					if pts < dts || (pts-dts)%3000 != 0 {
						t.Errorf("frame %d is shown %d ticks later", frames, pts-dts)
					}
					last = dts
					frames++
				})
			case *codecs.MPEG4Audio:
				c.OnDataMPEG4Audio(track, func(_ int64, aus [][]byte) { units += len(aus) })
			}
		}
		return nil
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait2() }()
	if err := p.exit(t); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, p.out)
	}
	select {
	case err := <-done:
		t.Logf("the player ended: %v", err)
	case <-time.After(30 * time.Second):
	}
	c.Close()
	if frames < 3*30 || units < 3*46 {
		t.Errorf("%d frames and %d access units of sound", frames, units)
	}
}

// TestDecode decodes a whole stream: no error, no frame missing, and the picture is the one that was sent. Then it decodes
// what a playlist says can be decoded by itself.
func TestDecode(t *testing.T) { inBoth(t, testDecode) }

func testDecode(t *testing.T, d directory) {
	s := start(t, func(s *Server) { s.Directory = d })
	p := publish(t, s.plainURL(plainKey), 30, 6)
	s.events.awaitLife(t, 2)
	media := s.mediaURL(t)
	if err := p.exit(t); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, p.out)
	}
	s.events.awaitLife(t, 4)
	u, err := url.Parse(s.web.URL + media)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ffmpeg", "-v", "error", "-xerror", "-err_detect", "explode", "-i", u.String(),
		"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=6", "-lavfi", "[0:v][1:v]psnr=stats_file=-", "-f", "null", "-")
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("ffmpeg: %v\n%s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 180 {
		t.Errorf("%d frames, want 180", len(lines))
	}
	for _, line := range lines {
		_, psnr, _ := strings.Cut(line, "psnr_avg:")
		psnr, _, _ = strings.Cut(psnr, " ")
		if v := number(t, psnr); v < 18 {
			t.Errorf("another picture: %s", line)
			break
		}
	}
	_, _, text := s.get(t, media)
	p2, err := playlist.Unmarshal([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	list := p2.(*playlist.Media)
	file := func(name string) string {
		_, _, body := s.get(t, path.Dir(media)+"/"+name)
		return body
	}
	head := ""
	if list.Map != nil {
		head = file(list.Map.URI)
	}
	alone := 0
	for _, seg := range list.Segments {
		for _, part := range seg.Parts {
			if !part.Independent {
				continue
			}
			alone++
			cmd := exec.Command("ffmpeg", "-v", "error", "-xerror", "-err_detect", "explode", "-i", "-", "-map", "0:v", "-map", "0:a", "-f", "framecrc", "-")
			cmd.Stdin = strings.NewReader(head + file(part.URI))
			out, err := cmd.CombinedOutput()
			if n := strings.Count(string(out), "\n0,"); err != nil || n != 6 {
				t.Errorf("%s by itself: %v, %d pictures\n%s", part.URI, err, n, out)
			}
		}
	}
	if alone < 2 {
		t.Errorf("%d parts can be decoded by themselves", alone)
	}
}
