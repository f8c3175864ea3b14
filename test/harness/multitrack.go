package harness

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// Ladder is a clip in several sizes with one sound: 30 fps, a key frame every two seconds, no B-frames.
type Ladder struct {
	Sizes  [][2]int
	videos [][][][]byte // by size: access units of NAL units
	paused []atomic.Bool
	sound  mpeg4audio.ADTSPackets
}

// NewLadder encodes a clip in sizes of width and height, the largest first.
func NewLadder(t testing.TB, clip string, sizes ...[2]int) *Ladder {
	t.Helper()
	dir := t.TempDir()
	args := []string{"-v", "error", "-nostdin", "-i", clip}
	for i, size := range sizes {
		args = append(args, "-map", "0:v", "-s", fmt.Sprintf("%dx%d", size[0], size[1]), "-r", "30", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0",
			"-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-b:v", strconv.Itoa(2*size[0]*size[1]), "-bsf:v", "h264_metadata=aud=insert",
			filepath.Join(dir, fmt.Sprintf("%d.h264", i)))
	}
	sound := filepath.Join(dir, "sound.aac")
	args = append(args, "-map", "0:a", "-c:a", "copy", sound)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	l := &Ladder{Sizes: sizes, paused: make([]atomic.Bool, len(sizes))}
	for i := range sizes {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.h264", i)))
		if err != nil {
			t.Fatal(err)
		}
		l.videos = append(l.videos, accessUnits(b))
	}
	b, err := os.ReadFile(sound)
	if err == nil {
		err = l.sound.Unmarshal(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// accessUnits cuts a byte stream with access unit delimiters apart.
func accessUnits(b []byte) (units [][][]byte) {
	for _, n := range bytes.Split(bytes.ReplaceAll(b, []byte{0, 0, 0, 1}, []byte{0, 0, 1}), []byte{0, 0, 1}) {
		if len(n) == 0 {
			continue
		}
		if h264.NALUType(n[0]&0x1f) == h264.NALUTypeAccessUnitDelimiter {
			units = append(units, nil)
		} else if len(units) > 0 {
			units[len(units)-1] = append(units[len(units)-1], n)
		}
	}
	return units
}

// Pause has Publish leave out the pictures of a size from now on, or no more.
func (l *Ladder) Pause(size int, pause bool) { l.paused[size].Store(pause) }

// Publish sends the first pictures of the ladder to an RTMP server in real time, as many as there are tracks, over and
// over until ctx is done, and then vanishes. It returns why it was cut, or nil.
func (l *Ladder) Publish(ctx context.Context, address string, tracks int) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	c := &gortmplib.Client{URL: u, Publish: true}
	if err := c.Initialize(ctx); err != nil {
		return err
	}
	defer c.Close()
	w := &gortmplib.Writer{Conn: c}
	for i := range tracks {
		codec := &codecs.H264{}
		for _, n := range l.videos[i][0] {
			switch h264.NALUType(n[0] & 0x1f) {
			case h264.NALUTypeSPS:
				codec.SPS = n
			case h264.NALUTypePPS:
				codec.PPS = n
			}
		}
		w.Tracks = append(w.Tracks, &gortmplib.Track{Codec: codec})
	}
	first := l.sound[0]
	audio := &gortmplib.Track{Codec: &codecs.MPEG4Audio{Config: &mpeg4audio.AudioSpecificConfig{
		Type: first.Type, SampleRate: first.SampleRate, ChannelConfig: first.ChannelConfig,
	}}}
	w.Tracks = append(w.Tracks, audio)
	if err := w.Initialize(); err != nil {
		return err
	}
	start, heard := time.Now(), 0
	for n := 0; ; n++ {
		at := time.Duration(n) * time.Second / 30
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(start.Add(at))):
		}
		for i := range tracks {
			if l.paused[i].Load() {
				continue
			}
			if err := w.WriteH264(w.Tracks[i], at, at, l.videos[i][n%len(l.videos[i])]); err != nil {
				return err
			}
		}
		for ; time.Duration(heard)*1024*time.Second/time.Duration(first.SampleRate) <= at; heard++ {
			pts := time.Duration(heard) * 1024 * time.Second / time.Duration(first.SampleRate)
			if err := w.WriteMPEG4Audio(audio, pts, l.sound[heard%len(l.sound)].AU); err != nil {
				return err
			}
		}
	}
}
