package record

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/objectstore"
)

func mp4Spec(id string) Spec {
	s := compositeSpec(id)
	s.MP4 = true
	return s
}

// mp4Facts is what ffmpeg finds in an MP4.
type mp4Facts struct {
	pictures, sounds []time.Duration // when each packet is shown or heard
	duration         time.Duration
}

// decodeMP4 decodes all of an MP4 and reads its packets. Any complaint of ffmpeg fails the test.
func decodeMP4(t testing.TB, data []byte) (f mp4Facts) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.mp4")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ffmpeg", "-v", "warning", "-xerror", "-i", path, "-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("decode: %v: %s", err, out)
	}
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "packet=stream_index,pts_time:format=duration", "-of", "csv=p=0", path).Output()
	if err != nil {
		t.Fatalf("ffprobe: %v", err)
	}
	for _, line := range strings.Fields(string(out)) {
		stream, text, isPacket := strings.Cut(line, ",")
		if !isPacket {
			text = stream
		}
		seconds, err := strconv.ParseFloat(strings.Trim(text, ","), 64)
		if err != nil {
			t.Fatalf("ffprobe said %q", line)
		}
		at := time.Duration(seconds * float64(time.Second))
		switch {
		case !isPacket:
			f.duration = at
		case stream == "0":
			f.pictures = append(f.pictures, at)
		default:
			f.sounds = append(f.sounds, at)
		}
	}
	return f
}

// topBoxes are the kinds of the boxes of a file, in their order.
func topBoxes(t testing.TB, data []byte) (kinds []string) {
	t.Helper()
	for len(data) >= 16 {
		size := 0
		for _, b := range data[:4] {
			size = size<<8 | int(b)
		}
		if size == 1 {
			size = 0
			for _, b := range data[8:16] {
				size = size<<8 | int(b)
			}
		}
		kinds = append(kinds, string(data[4:8]))
		if size < 8 || size > len(data) {
			t.Fatalf("%v: a box of %d bytes among %d", kinds, size, len(data))
		}
		data = data[size:]
	}
	return kinds
}

// TestMP4 records with a restart and a break in the middle: the MP4 has every packet of the
// playlist at its time.
func TestMP4(t *testing.T) {
	c, store, dir := testClip(t), folder(t), t.TempDir()
	spec := mp4Spec("mp4")
	first := startRecorder(t, dir, store)
	_, source := open(t, first, spec)
	c.play(source, 0, 3*time.Second, time.Hour)
	first.Close()
	second := startRecorder(t, dir, store)
	r, source := open(t, second, spec)
	c.play(source, 4*time.Second, 6*time.Second, 0)
	source.Break()
	c.play(source, 10*time.Second, 13*time.Second, 5*time.Minute)
	source.Close()
	if r.Status().MP4Key != "" {
		t.Errorf("while it records: %+v", r.Status())
	}
	end(t, r, Cause{})
	key := "media/mp4/" + spec.Rendition + ".mp4"
	if got := r.Status().MP4Key; got != key {
		t.Errorf("status: %q", got)
	}
	all := stored(t, store, spec)
	data := all[key]
	if diff := cmp.Diff([]string{"ftyp", "moov", "mdat"}, topBoxes(t, data)); diff != "" {
		t.Error(diff)
	}
	f := decodeMP4(t, data)
	if off := f.duration - 8*time.Second; off.Abs() > 50*time.Millisecond || len(f.pictures) != 8*clipRate {
		t.Errorf("duration %v, %d pictures", f.duration, len(f.pictures))
	}
	for name, list := range map[string][]time.Duration{"picture": f.pictures, "sound": f.sounds} {
		for i := range list[1:] {
			if step := list[i+1] - list[i]; step <= 0 || step > 90*time.Millisecond {
				t.Errorf("%s %d comes %v after the one before", name, i+1, step)
			}
		}
		if list[0] > 25*time.Millisecond {
			t.Errorf("the first %s comes at %v", name, list[0])
		}
	}
	if m := readMetadata(t, all[endedKey]); m.Media.MP4 == nil || *m.Media.MP4 != (mp4Metadata{"media/mp4", spec.Rendition + ".mp4"}) {
		t.Errorf("metadata: %s", all[endedKey])
	}
	if f := decode(t, all, "multivariant.m3u8"); f.frames != 8*clipRate {
		t.Errorf("the playlist: %+v", f)
	}
}

// TestMP4Gap has sound alone for two seconds: the pictures around it keep their times.
func TestMP4Gap(t *testing.T) {
	c, store := testClip(t), folder(t)
	spec := mp4Spec("gap")
	r, source := open(t, startRecorder(t, t.TempDir(), store), spec)
	gap := c
	gap.video = slices.DeleteFunc(slices.Clone(c.video), func(f VideoFrame) bool { return f.DTS >= 4*ClockRate && f.DTS < 6*ClockRate })
	gap.play(source, 0, 4*time.Second, 0)
	for _, a := range c.audio {
		if at := a.DTS * ClockRate / 48000; at >= 4*ClockRate && at < 6*ClockRate {
			source.wait()
			source.WriteAudio(a)
		}
	}
	gap.play(source, 6*time.Second, 8*time.Second, 0)
	source.Close()
	end(t, r, Cause{})
	f := decodeMP4(t, stored(t, store, spec)["media/mp4/"+spec.Rendition+".mp4"])
	if n := len(f.pictures); n != 6*clipRate || f.pictures[n-1] != 8*time.Second-time.Second/clipRate {
		t.Errorf("%d pictures, the last one at %v", n, f.pictures[n-1])
	}
	for i := range f.sounds[1:] {
		if step := f.sounds[i+1] - f.sounds[i]; step > 25*time.Millisecond {
			t.Errorf("sound %d comes %v after the one before", i+1, step)
		}
	}
}

// refusing is a store that does not take MP4s, for some time or for ever.
type refusing struct {
	objectstore.Store
	fault error
	times int // -1: for ever
}

func (s *refusing) Bucket(name string) (objectstore.Bucket, error) {
	b, err := s.Store.Bucket(name)
	return refusingBucket{b, s}, err
}

type refusingBucket struct {
	objectstore.Bucket
	*refusing
}

func (b refusingBucket) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if strings.Contains(key, "/media/mp4/") && b.times != 0 {
		b.times--
		_, _ = io.CopyN(io.Discard, body, 10_000)
		return b.fault
	}
	return b.Bucket.Put(ctx, key, body)
}

// TestMP4Refused has a store that does not take the file: the recording is whole all the same.
func TestMP4Refused(t *testing.T) {
	for name, c := range map[string]struct {
		times   int
		spoil   bool
		changes bool
		want    bool
	}{
		"once":                {times: 1, want: true},
		"for ever":            {times: -1},
		"a segment is gone":   {spoil: true},
		"the picture changes": {changes: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &refusing{Store: folder(t), fault: errors.New("entity too large"), times: c.times}
			spec := mp4Spec("refused")
			r, source := open(t, startRecorder(t, t.TempDir(), store), spec)
			testClip(t).play(source, 0, 3*time.Second, 0)
			other := testClip(t)
			if c.changes {
				other.tracks.SPS = slices.Concat(other.tracks.SPS, []byte{0}) // a trailing zero: the same picture
			}
			other.play(source, 4*time.Second, 6*time.Second, 0)
			source.Close()
			if c.spoil {
				eventually(t, "a segment is stored", func() bool { return r.Status().Stored > 0 })
				b, _ := store.Store.Bucket(spec.Bucket)
				if err := b.Delete(t.Context(), spec.Prefix+"/media/hls/"+spec.Rendition+"/0.mp4"); err != nil {
					t.Fatal(err)
				}
			}
			end(t, r, Cause{})
			all := stored(t, store, spec)
			m := readMetadata(t, all[endedKey])
			_, there := all["media/mp4/"+spec.Rendition+".mp4"]
			if named := m.Media.MP4 != nil; there != c.want || named != c.want || (r.Status().MP4Key != "") != c.want {
				t.Errorf("there: %v, in the metadata: %v, want %v", there, named, c.want)
			}
			if m.Status != statusEnded {
				t.Errorf("metadata: %+v", m)
			}
			if !c.spoil {
				if f := decode(t, all, "multivariant.m3u8"); f.frames != 5*clipRate {
					t.Errorf("decoded: %+v", f)
				}
			}
		})
	}
}

// stuck is a store that takes an MP4 only half, and never answers.
type stuck struct {
	objectstore.Store
	trying chan struct{}
}

func (s stuck) Bucket(name string) (objectstore.Bucket, error) {
	b, err := s.Store.Bucket(name)
	return stuckBucket{b, s}, err
}

type stuckBucket struct {
	objectstore.Bucket
	stuck
}

func (b stuckBucket) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if !strings.Contains(key, "/media/mp4/") {
		return b.Bucket.Put(ctx, key, body)
	}
	_, _ = io.CopyN(io.Discard, body, 10_000)
	close(b.trying)
	<-ctx.Done()
	return ctx.Err()
}

// TestMP4Restart ends the recorder while it stores an MP4: the next one stores it.
func TestMP4Restart(t *testing.T) {
	store, dir, spec := stuck{folder(t), make(chan struct{})}, t.TempDir(), mp4Spec("again")
	first := startRecorder(t, dir, store)
	r, source := open(t, first, spec)
	testClip(t).play(source, 0, 3*time.Second, 0)
	if err := r.End(t.Context(), Cause{}); err != nil {
		t.Fatal(err)
	}
	<-store.trying
	first.Close()
	if m := stored(t, store.Store, spec)[endedKey]; m != nil {
		t.Errorf("the end is told before the MP4 is there: %s", m)
	}
	again := startRecorder(t, dir, store.Store).Get("again")
	if again == nil {
		t.Fatal("the recording is not in the spool any more")
	}
	<-again.Stored()
	all := stored(t, store.Store, spec)
	if f := decodeMP4(t, all["media/mp4/"+spec.Rendition+".mp4"]); len(f.pictures) != 3*clipRate {
		t.Errorf("%d pictures", len(f.pictures))
	}
	if m := readMetadata(t, all[endedKey]); m.Media.MP4 == nil {
		t.Errorf("metadata: %s", all[endedKey])
	}
}

// TestJoined reads an MP4 in all manners.
func TestJoined(t *testing.T) {
	store := folder(t)
	b, err := store.Bucket("joined")
	if err != nil {
		t.Fatal(err)
	}
	want := []byte("header")
	j := &joined{ctx: t.Context(), bucket: b, header: want}
	for key, data := range map[string]string{"a": "first", "b": "second and longer", "c": "3"} {
		if err := b.Put(t.Context(), key, strings.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	for o, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		j.objects = append(j.objects, o)
	}
	want = []byte("headerfirstsecond and longer3")
	if err := iotest.TestReader(j, want); err != nil {
		t.Error(err)
	}
	if _, err := j.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "b", strings.NewReader("short")); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(j); !errors.Is(err, errMP4) || !bytes.Equal(data, want[:11]) {
		t.Errorf("with an object that has changed: %q, %v", data, err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzMP4(f *testing.F) {
	tracks := anyTracks
	tracks.SPS = []byte{0x67, 0x42, 0xc0, 0x28, 0xd9, 0, 0x78, 2, 0x27, 0xe5, 0x84, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0xf0, 0x3c, 0x60, 0xc9, 0x20}
	init, err := tracks.initialization()
	if err != nil {
		f.Fatal(err)
	}
	p := &keep{}
	s := alone(p, ClockRate, false)
	s.setTracks(tracks)
	for i := range int64(60) {
		_ = s.writeVideo(VideoFrame{DTS: i * 3600, PTS: i * 3600, Duration: 3600, Key: i%25 == 0, NALUs: [][]byte{{0x65, 1}}})
	}
	_ = s.brk()
	f.Add(init, p.data)
	f.Fuzz(func(t *testing.T, init, data []byte) {
		var x mp4Index
		if x.setInit(init) != nil {
			return
		}
		size, err := x.addSegment(bytes.NewReader(data))
		if size > int64(len(data)) || err == nil && x.size != size {
			t.Fatal(size, x.size, err)
		}
		header := x.header()
		if err := eachBox(header[:len(header)-mdatHeader], func(string, []byte, []byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
}
