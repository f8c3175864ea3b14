package record

import (
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/google/go-cmp/cmp"

	"github.com/footlight-live/footlight/internal/objectstore"
)

// faulty is a store that fails on purpose, and remembers in which order things were acknowledged.
type faulty struct {
	objectstore.Store
	mu     sync.Mutex
	fault  error
	half   bool // take half of an object before the fault
	lose   bool // store it and answer the fault all the same
	acked  []string
	failed int
}

func (f *faulty) set(fault error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *faulty) failures() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func (f *faulty) Bucket(name string) (objectstore.Bucket, error) {
	b, err := f.Store.Bucket(name)
	return faultyBucket{b, f}, err
}

type faultyBucket struct {
	objectstore.Bucket
	*faulty
}

func (b faultyBucket) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	b.mu.Lock()
	fault, half, lose := b.fault, b.half, b.lose
	if fault != nil {
		b.failed++
	}
	b.mu.Unlock()
	if fault != nil && half {
		_, _ = io.CopyN(io.Discard, body, 1000)
	}
	if fault != nil && !lose {
		return fault
	}
	if err := b.Bucket.Put(ctx, key, body); err != nil || fault != nil {
		return errors.Join(err, fault)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acked = append(b.acked, key)
	return nil
}

// events collects what an observer hears.
type events struct {
	mu   sync.Mutex
	list []EventKind
}

func (e *events) observe(v Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, v.Kind)
}

func (e *events) all() []EventKind {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

// TestStoreAway takes the store away in the middle in several ways: the recording is complete afterwards, and each
// playlist came after its segments.
func TestStoreAway(t *testing.T) {
	c := testClip(t)
	for name, prepare := range map[string]func(*faulty) error{
		"refuses":             func(*faulty) error { return objectstore.ErrDenied },
		"bucket deleted":      func(*faulty) error { return objectstore.ErrNoBucket },
		"errors half-way":     func(f *faulty) error { f.half = true; return errors.New("500") },
		"answers get lost":    func(f *faulty) error { f.lose = true; return errors.New("connection reset") },
		"away from the start": func(*faulty) error { return errors.New("connection refused") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &faulty{Store: folder(t)}
			fault := prepare(store)
			var heard events
			rec := startRecorder(t, t.TempDir(), store, func(r *Recorder) { r.Observe = heard.observe })
			spec := compositeSpec("away")
			if name == "away from the start" {
				store.set(fault)
			}
			r, source := open(t, rec, spec)
			c.play(source, 0, 3*time.Second, 0)
			store.set(fault)
			c.play(source, 3*time.Second, 9*time.Second, 0)
			failures := store.failures()
			eventually(t, "it is tried again", func() bool { return store.failures() > failures+1 })
			if s := r.Status(); s.AwaySince.IsZero() || s.State != Active || s.Problem == "" || s.Waiting == 0 {
				t.Errorf("while the store is away: %+v", s)
			}
			store.set(nil)
			c.play(source, 9*time.Second, 10*time.Second, 0)
			end(t, r, Cause{})
			all := stored(t, store, spec)
			if f := decode(t, all, "multivariant.m3u8"); f.frames != 10*clipRate || f.longest > 41*time.Millisecond {
				t.Errorf("decoded: %+v", f)
			}
			want := []EventKind{Started, StoreAway, StoreBack, Ended}
			if name == "away from the start" {
				want = []EventKind{StoreAway, StoreBack, Started, Ended}
			}
			if diff := cmp.Diff(want, heard.all()); diff != "" {
				t.Error(diff)
			}
			store.ordered(t, spec)
		})
	}
}

// ordered judges the order in which a store got things.
func (f *faulty) ordered(t *testing.T, spec Spec) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	place := func(name string) int {
		return slices.IndexFunc(f.acked, func(key string) bool { return strings.HasSuffix(key, "/"+name) })
	}
	if place("multivariant.m3u8") > place("init-0.mp4") || place("init-0.mp4") > place("0.mp4") || place("0.mp4") > place("playlist.m3u8") {
		t.Errorf("order: %v", f.acked)
	}
	if last := f.acked[len(f.acked)-1]; path.Base(last) != "recording-ended.json" {
		t.Errorf("the last thing stored is %s", last)
	}
}

// TestStartRefused begins recordings that cannot be stored.
func TestStartRefused(t *testing.T) {
	for _, fault := range []error{objectstore.ErrNoBucket, objectstore.ErrDenied} {
		store := &faulty{Store: folder(t), fault: fault}
		dir := t.TempDir()
		rec := startRecorder(t, dir, store)
		if _, err := rec.Open(t.Context(), compositeSpec("refused")); !errors.Is(err, fault) {
			t.Errorf("%v: %v", fault, err)
		}
		if len(rec.All()) != 0 {
			t.Errorf("%v: %+v stays", fault, rec.All())
		}
	}
}

// TestSpoolFull fills the spool while the store is away: what was recorded stays, what comes is lost and counted, and
// the recording goes on when there is room again.
func TestSpoolFull(t *testing.T) {
	c := testClip(t)
	store := &faulty{Store: folder(t)}
	var heard events
	rec := startRecorder(t, t.TempDir(), store, func(r *Recorder) { r.Observe, r.Limit = heard.observe, 400<<10 })
	spec := compositeSpec("full")
	r, source := open(t, rec, spec)
	store.set(errors.New("away"))
	c.play(source, 0, 12*time.Second, 0)
	eventually(t, "it pauses", func() bool { return r.Status().State == Paused })
	if u := rec.Usage(); u.Pressure != Full || u.Bytes > u.Limit+200<<10 {
		t.Errorf("usage %+v", u)
	}
	if _, err := rec.Open(t.Context(), compositeSpec("another")); !errors.Is(err, ErrNoRoom) {
		t.Errorf("another recording: %v", err)
	}
	before := r.Status()
	store.set(nil)
	eventually(t, "there is room", func() bool { return rec.budget.resumes() })
	eventually(t, "it goes on", func() bool {
		c.play(source, 12*time.Second, 20*time.Second, 0)
		return r.Status().State == Active
	})
	source.Close()
	end(t, r, Cause{})
	if before.Dropped == 0 {
		t.Error("nothing was counted as lost")
	}
	all := stored(t, store, spec)
	f := decode(t, all, "multivariant.m3u8")
	m := readMetadata(t, all[endedKey])
	if off := f.duration - time.Duration(*m.Media.HLS.DurationMS)*time.Millisecond; off.Abs() > 50*time.Millisecond || f.longest > 90*time.Millisecond {
		t.Errorf("decoded %+v, metadata %d ms", f, *m.Media.HLS.DurationMS)
	}
	p := parseMedia(t, all["media/hls/"+spec.Rendition+"/playlist.m3u8"])
	if !slices.ContainsFunc(p.Segments, func(s *playlist.MediaSegment) bool { return s.Discontinuity }) {
		t.Errorf("no discontinuity:\n%s", all["media/hls/"+spec.Rendition+"/playlist.m3u8"])
	}
	if got := heard.all(); !slices.Contains(got, SpoolFull) || !slices.Contains(got, SpoolBack) {
		t.Errorf("heard %v", got)
	}
}
