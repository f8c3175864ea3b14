package capture

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"

	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/stage"
)

// TestDecodes records what ffmpeg encoded, and has ffmpeg decode the recording without complaint.
func TestDecodes(t *testing.T) {
	dir := t.TempDir()
	raw, ogg := filepath.Join(dir, "v.h264"), filepath.Join(dir, "a.ogg")
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=5", "-f", "lavfi", "-i", "sine=sample_rate=48000:duration=5",
		"-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-g", "50", "-bsf:v", "h264_metadata=aud=insert", raw,
		"-map", "1:a", "-c:a", "libopus", "-ac", "2", "-page_duration", "20000", ogg).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	video, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	sound, err := os.Open(ogg)
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	pages, _, err := oggreader.NewWith(sound)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := objectstore.Open(t.Context(), objectstore.Config{Dir: filepath.Join(dir, "objects")})
	if err != nil {
		t.Fatal(err)
	}
	rec := &record.Recorder{Dir: filepath.Join(dir, "spool"), Objects: objects, Reserve: 1}
	if err := rec.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	recording, err := rec.Open(t.Context(), record.Spec{ID: "p", Kind: record.Participant, Bucket: "recordings", Prefix: "p", Started: time.Now(),
		Media: record.AudioVideo, Segment: 2 * time.Second, Rendition: "high"})
	if err != nil {
		t.Fatal(err)
	}
	source := recording.Source()
	c := newCapture(source, func() {}, 2*time.Second, time.Now())
	var sequence, sounds uint16
	var payloader codecs.H264Payloader
	delimiter := []byte{0, 0, 0, 1, 9}
	for n, unit := range bytes.Split(video, delimiter)[1:] {
		now := time.Duration(n) * 40 * ms
		payloads := payloader.Payload(1200, append(bytes.Clone(delimiter), unit...))
		for i, p := range payloads {
			c.hear(stage.Heard{Video: true, Sequence: sequence, Timestamp: uint32(n) * 3600, Marker: i == len(payloads)-1, Payload: p}, now)
			sequence++
		}
		for range 2 {
			page, header, err := pages.ParseNextPage()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if header.GranulePosition == 0 || bytes.HasPrefix(page, []byte("OpusTags")) {
				continue
			}
			c.hear(stage.Heard{Sequence: sounds, Timestamp: uint32(sounds) * 960, Payload: page}, now)
			sounds++
		}
		c.tick(now)
	}
	c.close(6 * time.Second)
	source.Close()
	if err := recording.End(t.Context(), record.Cause{}); err != nil {
		t.Fatal(err)
	}
	<-recording.Stored()
	list := filepath.Join(dir, "objects", "recordings", "p", "media", "hls", "multivariant.m3u8")
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", list, "-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("decode: %v: %s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets:format=duration", "-of", "csv=p=0", list).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "h264,125") || !strings.Contains(string(out), "opus,2") {
		t.Errorf("ffprobe: %v: %s", err, out)
	}
	if length := recording.Status().Duration; (length - 5*time.Second).Abs() > 50*ms {
		t.Errorf("%v are recorded", length)
	}
}
