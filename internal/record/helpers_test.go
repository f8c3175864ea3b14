package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/footlight-live/footlight/internal/objectstore"
)

// The media of the tests: 320x180 at 25 with a key frame every two seconds, and AAC, for clipLength.
const (
	clipLength = 20 * time.Second
	clipRate   = 25
	clipFrame  = ClockRate / clipRate
)

type clip struct {
	tracks Tracks
	video  []VideoFrame // DTS from 0
	audio  []AudioFrame
}

var loadClip = sync.OnceValues(func() (clip, error) { return makeClip("320x180") })

// loadLadder is the clip in three sizes, the largest first.
var loadLadder = sync.OnceValues(func() (ladder []clip, err error) {
	for _, size := range []string{"640x360", "320x180", "160x90"} {
		c, e := makeClip(size)
		ladder, err = append(ladder, c), errors.Join(err, e)
	}
	return ladder, err
})

func makeClip(size string) (clip, error) {
	dir, err := os.MkdirTemp("", "footlight-record-")
	if err != nil {
		return clip{}, err
	}
	defer os.RemoveAll(dir)
	length := fmt.Sprint(clipLength.Seconds())
	out, err := exec.Command("ffmpeg", "-v", "error",
		"-f", "lavfi", "-i", "testsrc2=size="+size+":rate="+fmt.Sprint(clipRate)+":duration="+length,
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration="+length,
		"-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-sc_threshold", "0", "-bf", "0",
		"-bsf:v", "h264_metadata=aud=insert", filepath.Join(dir, "v.h264"),
		"-map", "1:a", "-c:a", "aac", "-ac", "2", filepath.Join(dir, "a.adts")).CombinedOutput()
	if err != nil {
		return clip{}, fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	var c clip
	raw, err := os.ReadFile(filepath.Join(dir, "v.h264"))
	if err != nil {
		return clip{}, err
	}
	raw = bytes.ReplaceAll(raw, []byte{0, 0, 0, 1}, []byte{0, 0, 1})
	var unit *VideoFrame
	for _, n := range bytes.Split(raw, []byte{0, 0, 1}) {
		if len(n) == 0 {
			continue
		}
		switch h264.NALUType(n[0] & 0x1f) {
		case h264.NALUTypeAccessUnitDelimiter:
			at := int64(len(c.video)) * clipFrame
			c.video = append(c.video, VideoFrame{DTS: at, PTS: at, Duration: clipFrame})
			unit = &c.video[len(c.video)-1]
		case h264.NALUTypeSPS:
			c.tracks.SPS = n
		case h264.NALUTypePPS:
			c.tracks.PPS = n
		default:
			unit.Key = unit.Key || h264.NALUType(n[0]&0x1f) == h264.NALUTypeIDR
			unit.NALUs = append(unit.NALUs, n)
		}
	}
	raw, err = os.ReadFile(filepath.Join(dir, "a.adts"))
	if err != nil {
		return clip{}, err
	}
	var packets mpeg4audio.ADTSPackets
	if err := packets.Unmarshal(raw); err != nil {
		return clip{}, err
	}
	for i, p := range packets {
		c.tracks.AAC = &mpeg4audio.AudioSpecificConfig{Type: p.Type, SampleRate: p.SampleRate, ChannelConfig: p.ChannelConfig}
		c.audio = append(c.audio, AudioFrame{DTS: int64(i) * 1024, Samples: 1024, Data: p.AU})
	}
	return c, nil
}

func testClip(t testing.TB) clip {
	t.Helper()
	c, err := loadClip()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// play feeds what lies in [from, to) of a clip, interleaved as an encoder does, as if the source's clock began at
// an origin. Frames are fed as fast as the recording takes them.
func (c clip) play(s *Source, from, to, origin time.Duration) {
	s.SetTracks(c.tracks)
	tick := func(d time.Duration) int64 { return ticks(d) }
	a := 0
	for _, v := range c.video {
		if v.DTS < tick(from) || v.DTS >= tick(to) {
			continue
		}
		for ; a < len(c.audio) && c.audio[a].DTS*ClockRate/48000 < v.DTS+clipFrame; a++ {
			if at := c.audio[a].DTS * ClockRate / 48000; at >= tick(from) && at < tick(to) {
				f := c.audio[a]
				f.DTS += tick(origin) * 48000 / ClockRate
				f.Arrived = time.Now()
				s.wait()
				s.WriteAudio(f)
			}
		}
		v.DTS += tick(origin)
		v.PTS += tick(origin)
		v.Arrived = time.Now()
		s.wait()
		s.WriteVideo(v)
	}
	s.wait()
}

// wait lets the recording catch up: tests feed faster than life.
func (s *Source) wait() {
	for len(s.recording.inbox) > cap(s.recording.inbox)/4 {
		select {
		case <-time.After(time.Millisecond):
		case <-s.recording.over:
			return
		case <-s.recording.recorder.ctx.Done():
			return
		}
	}
}

func compositeSpec(id string) Spec {
	return Spec{
		ID: id, Kind: Composite, Bucket: "recordings", Prefix: "stage1/comp1/" + id + "/composite", Started: time.Now().UTC(), Media: AudioVideo,
		Segment: 2 * time.Second, KeyInterval: 2 * time.Second, Rendition: "180p25-abcdeABCDE12", FrameRate: clipRate, BitRate: 800_000,
		Width: 320, Height: 180, StageARN: "arn:aws:ivs:us-east-1:000000000000:stage/stage1",
	}
}

// folder is an object store in a temporary folder.
func folder(t testing.TB) objectstore.Store {
	t.Helper()
	s, err := objectstore.Open(t.Context(), objectstore.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func startRecorder(t testing.TB, dir string, store objectstore.Store, change ...func(*Recorder)) *Recorder {
	t.Helper()
	rec := &Recorder{Dir: dir, Objects: store, Log: testLog(t), Reserve: 1}
	for _, f := range change {
		f(rec)
	}
	if err := rec.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rec.Close)
	return rec
}

func open(t testing.TB, rec *Recorder, s Spec) (*Recording, *Source) {
	t.Helper()
	r, err := rec.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	source, err := r.Attach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r, source
}

// end ends a recording and waits until the store has it.
func end(t testing.TB, r *Recording, c Cause) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.End(ctx, c); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.Stored():
	case <-ctx.Done():
		t.Fatalf("not stored: %+v", r.Status())
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
		time.Sleep(2 * time.Millisecond) // between two looks
	}
}

// stored is what a store has below a prefix: the content by key.
func stored(t testing.TB, store objectstore.Store, s Spec) map[string][]byte {
	t.Helper()
	b, err := store.Bucket(s.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for o, err := range b.List(t.Context(), s.Prefix+"/") {
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := b.Open(t.Context(), o.Key, objectstore.Range{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		body.Close()
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(o.Key, s.Prefix+"/")] = data
	}
	return all
}

func keys(all map[string][]byte) []string { return slices.Sorted(maps.Keys(all)) }

// parseMedia reads a media playlist with an independent parser.
func parseMedia(t testing.TB, data []byte) *playlist.Media {
	t.Helper()
	p, err := playlist.Unmarshal(data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	m, ok := p.(*playlist.Media)
	if !ok {
		t.Fatalf("not a media playlist:\n%s", data)
	}
	return m
}

func readMetadata(t testing.TB, data []byte) metadata {
	t.Helper()
	var m metadata
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return m
}

// facts is what ffmpeg finds when it decodes all of a recording.
type facts struct {
	frames   int
	duration time.Duration // by ffprobe
	longest  time.Duration // between the times of two pictures
	sound    time.Duration // the longest step between two access units of sound
}

// decode writes a recording into a folder and decodes it from its multivariant playlist. Any complaint of ffmpeg
// fails the test.
func decode(t testing.TB, all map[string][]byte, multivariant string) facts {
	t.Helper()
	dir := t.TempDir()
	for key, data := range all {
		path := filepath.Join(dir, filepath.FromSlash(key))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	input := filepath.Join(dir, "media", "hls", multivariant)
	if out, err := exec.Command("ffmpeg", "-v", "error", "-i", input, "-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("decode: %v: %s", err, out)
	}
	probe := func(args ...string) []string {
		out, err := exec.Command("ffprobe", append(append([]string{"-v", "error"}, args...), "-of", "csv=p=0", input)...).Output()
		if err != nil {
			t.Fatalf("ffprobe: %v", err)
		}
		return strings.Fields(string(out))
	}
	seconds := func(text string) time.Duration {
		f, err := strconv.ParseFloat(strings.Trim(text, ","), 64)
		if err != nil {
			t.Fatalf("ffprobe said %q", text)
		}
		return time.Duration(f * float64(time.Second))
	}
	var f facts
	f.duration = seconds(probe("-show_entries", "format=duration")[0])
	steps := func(stream string) (n int, longest time.Duration) {
		var last time.Duration
		for i, text := range probe("-select_streams", stream, "-show_entries", "packet=pts_time") {
			now := seconds(text)
			if i > 0 {
				longest = max(longest, now-last)
			}
			last, n = now, n+1
		}
		return n, longest
	}
	f.frames, f.longest = steps("v:0")
	_, f.sound = steps("a:0")
	return f
}
