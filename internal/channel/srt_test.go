package channel

import (
	"bytes"
	"fmt"
	"math"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestSRT publishes with ffmpeg over SRT, encrypted, and judges what a player gets.
func TestSRT(t *testing.T) {
	const seconds = 12 // on a busy machine, too, the reading while live ends before
	s := start(t, nil)
	p := publish(t, s.srtURL(secureKey, "&passphrase="+passphrase), 30, seconds)
	s.events.awaitLife(t, 2)
	live := ffprobe(t, s.web.URL+testPath, 3)
	if _, n := checkCadence(t, live.Packets, "video", 1./30); n < 45 {
		t.Errorf("%d video packets while live", n)
	}
	stream, ok := s.Stream(testARN)
	if v, a := stream.Video, stream.Audio; !ok || v == nil || v.Width != 320 || v.Height != 180 || math.Abs(v.FrameRate-30) > 0.01 ||
		a == nil || a.SampleRate != 48000 || a.Channels != 2 || a.Codec != "mp4a.40.2" {
		t.Errorf("stream %+v %+v", stream.Video, stream.Audio)
	}
	media := s.mediaURL(t)
	if err := p.exit(t); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, p.out)
	}
	// ffmpeg says goodbye, so the stream ends at once.
	events := s.events.awaitLife(t, 4)
	if got := fmt.Sprint(kinds(events)); got != "[Session Created Stream Start Stream End Session Ended]" {
		t.Errorf("events %v", got)
	}
	all := ffprobe(t, s.web.URL+media, 0)
	video, frames := checkCadence(t, all.Packets, "video", 1./30)
	sound, units := checkCadence(t, all.Packets, "audio", 1024./48000)
	// What the protocol held back at the end, 120 ms and a frame, is lost; a busy machine has read less of it.
	if frames < seconds*30-30 || units < seconds*46-47 {
		t.Errorf("%d frames and %d access units", frames, units)
	}
	if d := sound - video; d < -0.002 || d > 0.0225 {
		t.Errorf("sound starts %.4f s after picture", d)
	}
	// The picture is the one that was sent, frame by frame.
	cmd := exec.Command("ffmpeg", "-v", "error", "-xerror", "-err_detect", "explode", "-i", s.web.URL+media,
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=320x180:rate=30:duration=%d", seconds), "-lavfi", "[0:v][1:v]psnr=stats_file=-:shortest=1", "-f", "null", "-")
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("ffmpeg: %v\n%s", err, stderr.String())
	}
	for line := range strings.Lines(out.String()) {
		_, psnr, _ := strings.Cut(line, "psnr_avg:")
		psnr, _, _ = strings.Cut(psnr, " ")
		if v := number(t, psnr); v < 18 {
			t.Errorf("another picture: %s", line)
			break
		}
	}
}

// TestSRTKilled: the rules of coming back are those of RTMP, also from the one to the other.
func TestSRTKilled(t *testing.T) {
	s := start(t, func(s *Server) { s.Grace = time.Minute })
	p := publish(t, s.srtURL("#!::u="+plainKey+",priority=2", ""), 30, 0)
	s.events.awaitLife(t, 2)
	first, _ := s.Stream(testARN)
	media := s.mediaURL(t)
	s.awaitPlaylist(t, media, func(text string) bool { return strings.Count(text, "#EXTINF") >= 11 })
	p.kill()
	s.awaitLog(t, "the publisher vanished")
	s.awaitLog(t, "to=gap")
	p = publish(t, s.plainURL(plainKey), 30, 0)
	s.awaitPlaylist(t, media, func(text string) bool {
		_, after, found := strings.Cut(text, "#EXT-X-DISCONTINUITY\n")
		return found && strings.Contains(after, "#EXT-X-PART:")
	})
	if now, _ := s.Stream(testARN); now.ID != first.ID {
		t.Errorf("stream %s became %s", first.ID, now.ID)
	}
	// A backup encoder over SRT takes the stream over from RTMP.
	backup := publish(t, s.srtURL("#!::u="+plainKey+",priority=7", ""), 30, 4)
	s.awaitPlaylist(t, media, func(text string) bool { return strings.Count(text, "#EXT-X-DISCONTINUITY\n") == 2 })
	if err := p.exit(t); err == nil {
		t.Error("the publisher that was replaced goes on")
	}
	if now, _ := s.Stream(testARN); now.ID != first.ID {
		t.Errorf("stream %s became %s", first.ID, now.ID)
	}
	if err := backup.exit(t); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, backup.out)
	}
	s.awaitPlaylist(t, media, func(text string) bool { return strings.HasSuffix(text, "#EXT-X-ENDLIST\n") })
}

func TestSRTRefused(t *testing.T) {
	s := start(t, nil)
	for name, c := range map[string]struct{ url, log string }{
		"wrong passphrase": {s.srtURL(secureKey, "&passphrase=another-passphrase"), "wrong passphrase"},
		"no passphrase":    {s.srtURL(secureKey, ""), "with its passphrase only"},
		"wrong key":        {s.srtURL("sk_us-east-1_AbCdEf123456_wrong", "&passphrase="+passphrase), "unknown stream key"},
		"no key":           {"srt://" + s.SRTAddress(), "unknown stream key"},
		"a player":         {s.srtURL("#!::m=request,u="+plainKey, ""), "only to publish"},
	} {
		p := publish(t, c.url, 30, 5)
		if err := p.exit(t); err == nil {
			t.Errorf("%s: ffmpeg was let in", name)
		}
		s.awaitLog(t, c.log)
	}
	if strings.Contains(s.log.String(), secureKey) || strings.Contains(s.log.String(), passphrase) {
		t.Error("the log holds a secret")
	}
	// Codecs that are not taken.
	p := publish(t, s.srtURL(plainKey, ""), 30, 5, "-c:a", "mp2")
	p.exit(t)
	s.awaitLog(t, "MPEG audio is not supported: send H.264 video and AAC audio")
}
