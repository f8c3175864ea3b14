package recording

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"github.com/footlight-live/footlight/internal/record"
)

// The media of the benchmarks: 1280x720 at 30 with a key frame every two seconds, at 2.5 Mb/s, and AAC.
const (
	clipLength = 10 * time.Second
	frameRate  = 30
	frameTicks = record.ClockRate / frameRate
	bitRate    = 2_500_000
	soundRate  = 48000
)

type clip struct {
	tracks record.Tracks
	video  []record.VideoFrame
	audio  []record.AudioFrame
}

var loadClip = sync.OnceValues(func() (c clip, err error) {
	dir, err := os.MkdirTemp("", "footlight-bench-")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	path, length, rate := filepath.Join(dir, "clip.mp4"), fmt.Sprint(clipLength.Seconds()), fmt.Sprint(bitRate)
	out, err := exec.Command("ffmpeg", "-v", "error",
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=1280x720:rate=%d:duration=%s", frameRate, length),
		"-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=440:sample_rate=%d:duration=%s", soundRate, length),
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "60", "-sc_threshold", "0",
		"-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-c:a", "aac", "-ac", "2",
		"-movflags", "frag_keyframe+empty_moov+default_base_moof+skip_trailer", path).CombinedOutput()
	if err != nil {
		return c, fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	var init fmp4.Init
	if err := init.Unmarshal(bytes.NewReader(data)); err != nil {
		return c, err
	}
	sound := 0
	for _, t := range init.Tracks {
		switch k := t.Codec.(type) {
		case *codecs.H264:
			c.tracks.SPS, c.tracks.PPS = k.SPS, k.PPS
		case *codecs.MPEG4Audio:
			c.tracks.AAC, sound = &k.Config, t.ID
		}
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(data[bytes.Index(data, []byte("moof"))-4:]); err != nil {
		return c, err
	}
	for _, p := range parts {
		for _, t := range p.Tracks {
			for _, s := range t.Samples {
				if t.ID == sound {
					c.audio = append(c.audio, record.AudioFrame{DTS: int64(len(c.audio)) * 1024, Samples: 1024, Data: s.Payload})
					continue
				}
				var nalus h264.AVCC
				if err := nalus.Unmarshal(s.Payload); err != nil {
					return c, err
				}
				at := int64(len(c.video)) * frameTicks
				c.video = append(c.video, record.VideoFrame{DTS: at, PTS: at, Duration: frameTicks, Key: slices.ContainsFunc(nalus, isIDR), NALUs: nalus})
			}
		}
	}
	if len(c.video) != int(clipLength.Seconds()*frameRate) || len(c.audio) == 0 {
		return c, fmt.Errorf("ffmpeg made %d pictures and %d pieces of sound", len(c.video), len(c.audio))
	}
	return c, nil
})

func isIDR(nalu []byte) bool { return len(nalu) > 0 && h264.NALUType(nalu[0]&0x1f) == h264.NALUTypeIDR }

// feeder feeds a clip over and over, as one stream without end.
type feeder struct {
	clip   clip
	source *record.Source
	video  int // frames so far
	audio  int
}

// feedTo feeds all media before a time.
func (f *feeder) feedTo(until time.Duration) {
	for {
		at := int64(f.video) * frameTicks
		if time.Duration(at)*time.Second/record.ClockRate >= until {
			return
		}
		for ; int64(f.audio)*1024*record.ClockRate/soundRate < at+frameTicks; f.audio++ {
			a := f.clip.audio[f.audio%len(f.clip.audio)]
			a.DTS, a.Arrived = int64(f.audio)*1024, time.Now()
			f.source.WriteAudio(a)
		}
		v := f.clip.video[f.video%len(f.clip.video)]
		v.DTS, v.PTS, v.Arrived = at, at, time.Now()
		f.source.WriteVideo(v)
		f.video++
	}
}

// begin opens a recording of a clip.
func begin(b *testing.B, rec *record.Recorder, id string) (*record.Recording, *feeder) {
	b.Helper()
	c, err := loadClip()
	if err != nil {
		b.Fatal(err)
	}
	r, err := rec.Open(b.Context(), record.Spec{
		ID: id, Kind: record.Composite, Bucket: "recordings", Prefix: "bench/" + id, Started: time.Now(), Media: record.AudioVideo,
		Segment: 2 * time.Second, KeyInterval: 2 * time.Second, Rendition: "720p30", FrameRate: frameRate, BitRate: bitRate, Width: 1280, Height: 720,
	})
	if err != nil {
		b.Fatal(err)
	}
	source, err := r.Attach(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	source.SetTracks(c.tracks)
	return r, &feeder{clip: c, source: source}
}
