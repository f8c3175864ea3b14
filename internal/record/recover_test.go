package record

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/objectstore"
)

var kills = flag.Int("kills", 3, "how many times TestKilled kills a recorder")

// lossLimit is the recovery point that docs/recording.md promises, in media time.
const lossLimit = 1500 * time.Millisecond

// TestRecorderProcess is no test: it is the process that TestKilled kills. It records the clip in real time and says
// what it has fed.
func TestRecorderProcess(t *testing.T) {
	dir := os.Getenv("FOOTLIGHT_RECORD_DIR")
	if dir == "" {
		t.Skip("only a process of TestKilled")
	}
	store, err := objectstore.Open(t.Context(), objectstore.Config{Dir: filepath.Join(dir, "objects")})
	if err != nil {
		t.Fatal(err)
	}
	rec := &Recorder{Dir: filepath.Join(dir, "spool"), Objects: store, Log: slog.New(slog.DiscardHandler)}
	if err := rec.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	spec, clips := compositeSpec("killed"), []clip{testClip(t)}
	if os.Getenv("FOOTLIGHT_RECORD_LADDER") != "" {
		spec, clips = ladderSpec("killed"), testLadder(t)
	}
	_, source := open(t, rec, spec)
	began := time.Now()
	playLadder(source, clips, 0, clipLength, 0, func(at time.Duration) {
		time.Sleep(time.Until(began.Add(at))) // an encoder's pace
		if len(source.recording.inbox) == 0 { // what a slow machine has not taken up yet is no loss of the recorder's
			fmt.Printf("fed %d\n", at.Milliseconds())
		}
	})
	select {} // to be killed
}

// TestKilled kills a recorder at random instants, as kill -9 does. Another one takes up the spool: every prefix ends
// valid, and no more is lost than promised.
func TestKilled(t *testing.T) {
	testClip(t)
	testLadder(t)
	var mu sync.Mutex
	var worst, sum time.Duration
	t.Run("kills", func(t *testing.T) {
		for i := range *kills {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				lost := killOnce(t, time.Duration(200+rand.IntN(4000))*time.Millisecond, i%2 == 1)
				mu.Lock()
				defer mu.Unlock()
				worst, sum = max(worst, lost), sum+lost
			})
		}
	})
	t.Logf("%d kills: %v lost on average, %v at worst", *kills, (sum / time.Duration(max(1, *kills))).Round(time.Millisecond), worst)
}

// killOnce kills a recorder of one size, or of several.
func killOnce(t *testing.T, after time.Duration, ladder bool) (lost time.Duration) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestRecorderProcess$")
	child.Env = append(os.Environ(), "FOOTLIGHT_RECORD_DIR="+dir)
	if ladder {
		child.Env = append(child.Env, "FOOTLIGHT_RECORD_LADDER=1")
	}
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var fed time.Duration
	lines := bufio.NewScanner(out)
	var once sync.Once
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "fed "); ok {
			once.Do(func() { time.AfterFunc(after, func() { child.Process.Kill() }) })
			ms, _ := strconv.Atoi(text)
			fed = time.Duration(ms) * time.Millisecond
		}
	}
	_ = child.Wait() // it was killed

	store, err := objectstore.Open(t.Context(), objectstore.Config{Dir: filepath.Join(dir, "objects")})
	if err != nil {
		t.Fatal(err)
	}
	rec := startRecorder(t, filepath.Join(dir, "spool"), store)
	r := rec.Get("killed")
	if r == nil {
		t.Fatalf("killed after %v: the recording is not in the spool", fed)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.End(ctx, Cause{Message: "killed"}); err != nil {
		t.Fatal(err)
	}
	<-r.Stored()
	spec, playlists := compositeSpec("killed"), []string{"multivariant.m3u8"}
	if ladder {
		spec, playlists = ladderSpec("killed"), ladderPlaylists
	}
	all := stored(t, store, spec)
	m := readMetadata(t, all[endedKey])
	had := time.Duration(*m.Media.HLS.DurationMS) * time.Millisecond
	lost = fed - had
	if lost > lossLimit {
		t.Errorf("of %v fed, %v are there: %v are lost", fed, had, lost)
	}
	if had == 0 {
		return max(0, lost)
	}
	for i, name := range playlists {
		f := decode(t, all, name)
		off := f.duration - had
		if i > 0 && off < 0 && -off <= time.Second {
			off = 0 // of what came last a small one may lack a part
		}
		if off.Abs() > 50*time.Millisecond || f.longest > 41*time.Millisecond {
			t.Errorf("%s: decoded %+v, metadata say %v", name, f, had)
		}
	}
	b, err := store.Bucket(spec.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	if report, err := Check(t.Context(), b, spec.Prefix); err != nil || len(report.Problems) > 0 || len(report.Loose) > 0 {
		t.Errorf("%v: %+v", err, report)
	}
	return max(0, lost)
}

// TestTorn cuts or spoils the last file and the journal at every kind of place.
func TestTorn(t *testing.T) {
	c := testClip(t)
	dir := t.TempDir()
	store := folder(t)
	first := startRecorder(t, dir, &faulty{Store: store, fault: io.ErrUnexpectedEOF})
	_, source := open(t, first, compositeSpec("torn"))
	c.play(source, 0, 3500*time.Millisecond, 0)
	eventually(t, "a part of the second segment is there", func() bool {
		info, err := os.Stat(filepath.Join(dir, "torn", "1.mp4"))
		return err == nil && info.Size() > 0
	})
	whole := t.TempDir()
	if err := os.CopyFS(whole, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	segment, err := os.ReadFile(filepath.Join(whole, "torn", "1.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(path string) error{
		"as it is":          func(string) error { return nil },
		"half a part":       func(p string) error { return os.WriteFile(p, append(segment, segment[:len(segment)/3]...), 0o600) },
		"half a header":     func(p string) error { return os.WriteFile(p, append(segment, 0, 0, 1), 0o600) },
		"zeros":             func(p string) error { return os.WriteFile(p, append(segment, make([]byte, 5000)...), 0o600) },
		"nothing but zeros": func(p string) error { return os.WriteFile(p, make([]byte, 5000), 0o600) },
		"empty":             func(p string) error { return os.WriteFile(p, nil, 0o600) },
		"gone":              os.Remove,
		"half a line": func(p string) error {
			f, err := os.OpenFile(filepath.Join(filepath.Dir(p), "journal"), os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString(`{"close":{"end":1`)
				f.Close()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			if err := spoil(filepath.Join(dir, "torn", "1.mp4")); err != nil {
				t.Fatal(err)
			}
			store := folder(t)
			rec := startRecorder(t, dir, store)
			r, source := open(t, rec, compositeSpec("torn"))
			c.play(source, 4*time.Second, 6*time.Second, 0)
			source.Close()
			end(t, r, Cause{})
			all := stored(t, store, compositeSpec("torn"))
			f := decode(t, all, "multivariant.m3u8")
			least := 4 * time.Second
			if f.duration < least-50*time.Millisecond || f.longest > 90*time.Millisecond {
				t.Errorf("decoded %+v", f)
			}
		})
	}
}

// TestNoted: a recording stays in the spool until its end was noted, so that the next start tells it again.
func TestNoted(t *testing.T) {
	c, store, dir := testClip(t), folder(t), t.TempDir()
	spec := compositeSpec("noted")
	heard, asked := make(chan EventKind, 8), make(chan struct{})
	first := startRecorder(t, dir, store, func(r *Recorder) {
		r.Observe = func(e Event) { heard <- e.Kind }
		r.Noted = func(ctx context.Context) error {
			close(asked)
			<-ctx.Done() // as a crash before anything was written
			return ctx.Err()
		}
	})
	r, source := open(t, first, spec)
	c.play(source, 0, 3*time.Second, 0)
	source.Close()
	if err := r.End(t.Context(), Cause{}); err != nil {
		t.Fatal(err)
	}
	<-asked
	select {
	case <-r.Stored():
		t.Error("stored, and its end is not noted")
	default:
	}
	first.Close()

	second := startRecorder(t, dir, store, func(r *Recorder) {
		r.Observe = func(e Event) { heard <- e.Kind }
		r.Noted = func(context.Context) error { return nil }
	})
	eventually(t, "the end is told again", func() bool { return second.Get("noted") == nil })
	close(heard)
	var all []EventKind
	for kind := range heard {
		all = append(all, kind)
	}
	if diff := cmp.Diff([]EventKind{Started, Ended, Started, Ended}, all); diff != "" {
		t.Error(diff)
	}
	if f := decode(t, stored(t, store, spec), "multivariant.m3u8"); f.frames != 3*clipRate {
		t.Errorf("decoded %+v", f)
	}
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"init":{"n":0,"codecs":"x"}}` + "\n" + `{"open":{"n":0,"init":0,"start":0}}` + "\n" + `{"close":{"end":9,"size":3}}` + "\n" + `{"end":{"time":"2026-01-01T00:00:00Z"}}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, size, err := readJournal(bytes.NewReader(data))
		if err != nil || size > int64(len(data)) {
			t.Fatal(size, err)
		}
		again, sameSize, _ := readJournal(bytes.NewReader(data[:size]))
		if sameSize != size || len(again.slots) != len(h.slots) {
			t.Fatal("what was read does not read the same again")
		}
	})
}

func FuzzParts(f *testing.F) {
	p := &keep{}
	s := alone(p, ClockRate, false)
	for i := range int64(60) {
		_ = s.writeVideo(VideoFrame{DTS: i * 3600, PTS: i * 3600, Duration: 3600, Key: i%25 == 0, NALUs: [][]byte{{0x65, 1}}})
	}
	_ = s.brk()
	f.Add(p.data, int64(48000))
	f.Fuzz(func(t *testing.T, data []byte, rate int64) {
		size, end, err := wholeParts(bytes.NewReader(data), rate)
		if err != nil || size > int64(len(data)) || end < 0 {
			t.Fatal(size, end, err)
		}
		if again, e, err := wholeParts(bytes.NewReader(data[:size]), rate); again != size || e != end || err != nil {
			t.Fatal("a repaired file is not whole", again, size, e, end, err)
		}
	})
}

// keep is a segmentWriter that keeps the bytes.
type keep struct{ data []byte }

func (*keep) openSegment(cut, bool) error { return nil }
func (*keep) closeSegment(int64) error    { return nil }
func (*keep) dropSegment() error          { return nil }
func (k *keep) writePart(data []byte, _ int64) error {
	k.data = append(k.data, data...)
	return nil
}
