package channel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// publisher is a running ffmpeg that sends a test picture and a tone in real time.
type publisher struct {
	cmd  *exec.Cmd
	done chan error
	out  *bytes.Buffer
}

// publish starts ffmpeg. Seconds 0 means until it is stopped.
func publish(t *testing.T, url string, fps int, seconds float64, extra ...string) *publisher {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	args := []string{"-hide_banner", "-loglevel", "warning", "-re"}
	duration := ""
	if seconds > 0 {
		duration = fmt.Sprintf(":duration=%g", seconds)
	}
	args = append(args,
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=320x180:rate=%d%s", fps, duration),
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"+duration,
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1",
		"-g", strconv.Itoa(2*fps), "-b:v", "400k", "-pix_fmt", "yuv420p",
		"-c:a", "aac", "-b:a", "64k", "-ac", "2")
	args = append(args, extra...)
	format := "flv"
	if strings.HasPrefix(url, "srt:") {
		format = "mpegts"
	}
	args = append(args, "-f", format, url)
	p := &publisher{cmd: exec.Command("ffmpeg", args...), done: make(chan error, 1), out: &bytes.Buffer{}}
	p.cmd.Stderr = p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { p.kill() })
	return p
}

// kill is what a crash or a power cut does.
func (p *publisher) kill() {
	p.cmd.Process.Kill()
	p.done <- <-p.done // for the next one who asks
}

// exit waits for the end.
func (p *publisher) exit(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.done:
		p.done <- err
		return err
	case <-time.After(60 * time.Second):
		t.Fatal("ffmpeg goes on and on")
		return nil
	}
}

// packet is what ffprobe says of one packet.
type packet struct {
	Type     string `json:"codec_type"`
	PTS      string `json:"pts_time"`
	DTS      string `json:"dts_time"`
	Duration string `json:"duration_time"`
}

type probe struct {
	Packets []packet
	Streams []struct {
		Type       string `json:"codec_type"`
		Codec      string `json:"codec_name"`
		Width      int    `json:"width"`
		Height     int    `json:"height"`
		FrameRate  string `json:"avg_frame_rate"`
		SampleRate string `json:"sample_rate"`
		Channels   int    `json:"channels"`
	}
}

// ffprobe reads a playlist or a file to its end, or for some seconds.
func ffprobe(t *testing.T, address string, seconds int) probe {
	t.Helper()
	args := []string{"-v", "error", "-show_packets", "-show_streams", "-of", "json"}
	if seconds > 0 {
		args = append(args, "-read_intervals", fmt.Sprintf("%%+%d", seconds))
	}
	cmd := exec.Command("ffprobe", append(args, address)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffprobe: %v\n%s", err, stderr.String())
	}
	var p probe
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// checkCadence asserts that packets of a kind follow one another at an exact distance.
func checkCadence(t *testing.T, packets []packet, kind string, want float64) (first float64, count int) {
	t.Helper()
	last := math.NaN()
	for _, p := range packets {
		if p.Type != kind {
			continue
		}
		at := number(t, p.DTS)
		if count == 0 {
			first = number(t, p.PTS)
		} else if math.Abs(at-last-want) > 0.00003 {
			t.Errorf("%s packet %d comes %.6f s after the one before, want %.6f", kind, count, at-last, want)
		}
		last = at
		count++
	}
	return first, count
}

// TestFFmpeg publishes with ffmpeg and reads the playlist with ffprobe.
func TestFFmpeg(t *testing.T) {
	const seconds = 14 // on a busy machine, too, the reading while live ends before
	for _, c := range []struct {
		fps        int
		secure     bool
		fragmented bool
	}{{30, false, false}, {30, false, true}, {25, true, true}, {60, false, false}} {
		t.Run(fmt.Sprintf("%d fps, fragmented MP4 %v", c.fps, c.fragmented), func(t *testing.T) {
			s := start(t, func(s *Server) { s.Directory = directory{fragmented: c.fragmented} })
			url := s.plainURL(plainKey)
			if c.secure {
				url = s.secureURL(secureKey)
			}
			before := time.Now()
			p := publish(t, url, c.fps, seconds)
			s.events.awaitLife(t, 2)
			t.Logf("playable %v after ffmpeg was started", time.Since(before).Round(time.Millisecond))

			// While live: ffprobe follows from the newest segments.
			live := ffprobe(t, s.web.URL+testPath, 4)
			_, n := checkCadence(t, live.Packets, "video", 1/float64(c.fps))
			if n < 2*c.fps {
				t.Errorf("%d video packets while live", n)
			}
			stream, ok := s.Stream(testARN)
			if !ok {
				t.Fatal("not live")
			}
			if v := stream.Video; v == nil || v.Width != 320 || v.Height != 180 || math.Abs(v.FrameRate-float64(c.fps)) > 0.01 ||
				!strings.HasPrefix(v.Codec, "avc1.") || !strings.Contains(v.Encoder, "Lavf") {
				t.Errorf("video %+v", v)
			}
			if a := stream.Audio; a == nil || a.SampleRate != 48000 || a.Channels != 2 || a.Codec != "mp4a.40.2" {
				t.Errorf("audio %+v", a)
			}
			if stream.ViewerCount != 1 {
				t.Errorf("%d viewers, want 1", stream.ViewerCount)
			}

			media := s.mediaURL(t)
			if err := p.exit(t); err != nil {
				t.Fatalf("ffmpeg: %v\n%s", err, p.out)
			}
			events := s.events.awaitLife(t, 4)
			if got := fmt.Sprint(kinds(events)); got != "[Session Created Stream Start Stream End Session Ended]" {
				t.Errorf("events %v", got)
			}

			// At the end: the whole stream is still in the window.
			if _, _, body := s.get(t, media); !strings.HasSuffix(body, "#EXT-X-ENDLIST\n") {
				t.Errorf("no end in\n%s", body)
			}
			all := ffprobe(t, s.web.URL+media, 0)
			firstVideo, frames := checkCadence(t, all.Packets, "video", 1/float64(c.fps))
			firstAudio, units := checkCadence(t, all.Packets, "audio", 1024.0/48000)
			if frames != seconds*c.fps {
				t.Errorf("%d frames, want %d", frames, seconds*c.fps)
			}
			if units < seconds*48000/1024-2 {
				t.Errorf("%d access units of sound", units)
			}
			// ffmpeg's AAC priming comes 21 ms before the picture and cannot be played; the first that can is near it.
			if d := firstAudio - firstVideo; d < -0.002 || d > 0.0225 {
				t.Errorf("sound starts %.4f s after picture", d)
			}
			for _, st := range all.Streams {
				if st.Type == "video" && (st.Codec != "h264" || st.Width != 320 || st.Height != 180) ||
					st.Type == "audio" && (st.Codec != "aac" || st.SampleRate != "48000" || st.Channels != 2) {
					t.Errorf("stream %+v", st)
				}
			}
		})
	}
}
