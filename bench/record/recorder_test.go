package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/record"
)

// BenchmarkRecorder records 1 and 20 streams at once in real time into a real spool and a folder, for FOOTLIGHT_RECORD
// (20s). The cost includes reading the access units, the disk, and the upload into the folder.
func BenchmarkRecorder(b *testing.B) {
	for _, n := range []int{1, 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rec, bucket := startRecorder(b, nil)
			length := setting(b, "FOOTLIGHT_RECORD", 20*time.Second)
			recordings, feeders := make([]*record.Recording, n), make([]*feeder, n)
			for i := range n {
				recordings[i], feeders[i] = begin(b, rec, fmt.Sprint("stream-", i))
			}
			before := ownCPU(b)
			play(length, feeders, nil)
			for _, r := range recordings {
				finish(b, r)
			}
			cost := (ownCPU(b) - before) / length.Seconds() / float64(n)
			for _, r := range recordings {
				check(b, bucket, r, length)
			}
			keep(b, map[string]float64{"streams": float64(n), "cpu-percent-of-a-core-per-stream": 100 * cost})
		})
	}
}

// BenchmarkStoreAway takes the object store away for FOOTLIGHT_AWAY (10s) of FOOTLIGHT_RECORD (15s) and says how much
// the memory grew in the second half of that. Goal: not at all, and a whole recording.
func BenchmarkStoreAway(b *testing.B) {
	length, away := setting(b, "FOOTLIGHT_RECORD", 15*time.Second), setting(b, "FOOTLIGHT_AWAY", 10*time.Second)
	if away >= length {
		b.Fatalf("the store cannot be away for %v of %v", away, length)
	}
	store := &awayStore{}
	rec, bucket := startRecorder(b, store)
	r, f := begin(b, rec, "away")
	from := (length - away) / 2
	var half, whole float64
	spooled := int64(0)
	play(length, []*feeder{f}, map[time.Duration]func(){
		from:          func() { store.gone.Store(true) },
		from + away/2: func() { half = heap() },
		from + away: func() {
			whole, spooled = heap(), rec.Usage().Bytes
			store.gone.Store(false)
		},
	})
	finish(b, r)
	check(b, bucket, r, length)
	if store.refused.Load() == 0 {
		b.Error("the store was not missed")
	}
	grew := whole - half
	if grew > 8 {
		b.Errorf("the memory grew by %.1f MiB in %v", grew, away/2)
	}
	keep(b, map[string]float64{"away-s": away.Seconds(), "of-s": length.Seconds(), "heap-MiB": whole, "heap-growth-MiB": grew,
		"spool-MiB": float64(spooled) / (1 << 20), "refusals": float64(store.refused.Load())})
}

// heap is what is in use after a collection, in MiB.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

func startRecorder(b *testing.B, away *awayStore) (*record.Recorder, objectstore.Bucket) {
	b.Helper()
	// Where the server has its data too: a file system in memory would cost nothing.
	dir, err := os.MkdirTemp(".", "spool-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	store, err := objectstore.Open(b.Context(), objectstore.Config{Dir: filepath.Join(dir, "objects")})
	if err != nil {
		b.Fatal(err)
	}
	bucket, err := store.Bucket("recordings")
	if err != nil {
		b.Fatal(err)
	}
	rec := &record.Recorder{Dir: filepath.Join(dir, "spool"), Objects: store}
	if away != nil {
		away.Store = store
		rec.Objects = away
	}
	if err := rec.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(rec.Close)
	return rec, bucket
}

// step is how much is fed at once.
const step = 100 * time.Millisecond

// play feeds streams in real time, and does what is to be done at a time.
func play(length time.Duration, feeders []*feeder, at map[time.Duration]func()) {
	began := time.Now()
	for now := step; now <= length; now += step {
		for _, f := range feeders {
			f.feedTo(now)
		}
		for when, do := range at {
			if when <= now {
				do()
				delete(at, when)
			}
		}
		time.Sleep(time.Until(began.Add(now))) // an encoder's pace
	}
}

func finish(b *testing.B, r *record.Recording) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	if err := r.End(ctx, record.Cause{}); err != nil {
		b.Fatal(err)
	}
	select {
	case <-r.Stored():
	case <-ctx.Done():
		b.Fatalf("not stored: %+v", r.Status())
	}
}

// check reads all of a recording.
func check(b *testing.B, bucket objectstore.Bucket, r *record.Recording, length time.Duration) {
	b.Helper()
	s := r.Status()
	report, err := record.Check(b.Context(), bucket, s.Spec.Prefix)
	if err != nil {
		b.Fatal(err)
	}
	if off := report.Duration - length; len(report.Problems) > 0 || s.Dropped > 0 || off.Abs() > 50*time.Millisecond {
		b.Errorf("%s: %v of %v, %d frames dropped, %v", s.Spec.ID, report.Duration, length, s.Dropped, report.Problems)
	}
}

// awayStore is a store that can be away.
type awayStore struct {
	objectstore.Store
	gone    atomic.Bool
	refused atomic.Int64
}

func (s *awayStore) Bucket(name string) (objectstore.Bucket, error) {
	b, err := s.Store.Bucket(name)
	return awayBucket{b, s}, err
}

type awayBucket struct {
	objectstore.Bucket
	store *awayStore
}

func (b awayBucket) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	if b.store.gone.Load() {
		b.store.refused.Add(1)
		return errors.New("connection refused")
	}
	return b.Bucket.Put(ctx, key, body)
}
