package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/footlight-live/footlight/internal/objectstore"
)

const (
	defaultLimit   = 20 << 30 // bytes
	defaultReserve = 1 << 30  // bytes
	// startPatience is how long a start waits for the store's answer. A store that is away is no reason not to record.
	startPatience = 5 * time.Second
)

// Refusals.
var (
	ErrClosed = errors.New("the recorder is closed")
	ErrOver   = errors.New("the recording is over")
	ErrNoRoom = errors.New("the spool of recordings is full")
)

// Recorder has the recordings of a node. Set the fields, then Start, then use it from any goroutine.
type Recorder struct {
	Dir     string            // the spool, on a disk that outlives the machine's end
	Objects objectstore.Store // where recordings go
	// Thumbnail makes a JPEG of a key frame in Annex B form, no higher than maxHeight pixels unless that is 0. Without
	// it there are no thumbnails.
	Thumbnail func(ctx context.Context, annexB []byte, maxHeight int) ([]byte, error)
	// Observe hears what happens to recordings, those of one in order. It must not block, nor call the recording.
	Observe func(Event)
	// Noted returns when what Observe has heard is written down, or ctx ends. Without it nobody writes anything down.
	Noted func(ctx context.Context) error
	// Limit is how much the spool may take, in bytes; 0: 20 GiB. Reserve is what is left free of its disk; 0: 1 GiB.
	Limit   int64
	Reserve int64
	Log     *slog.Logger

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	budget  *budget
	lock    *os.File      // held: nobody else has the spool
	drawing chan struct{} // one token for each thumbnail that is being drawn

	mu         sync.Mutex
	recordings map[string]*Recording
}

func (rec *Recorder) log() *slog.Logger {
	return cmp.Or(rec.Log, slog.New(slog.DiscardHandler)).With("component", "record")
}

// Start takes up what is in the spool: everything in it is on its way to the store again. Recordings that are not
// over wait for their sources, or for End.
func (rec *Recorder) Start(context.Context) error {
	if err := errors.Join(os.MkdirAll(rec.Dir, 0o700), syncDir(filepath.Dir(rec.Dir))); err != nil {
		return fmt.Errorf("make the spool of recordings: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(rec.Dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lock the spool of recordings: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return fmt.Errorf("the spool of recordings %s is in use by another process: %w", rec.Dir, err)
	}
	rec.lock = lock
	rec.ctx, rec.cancel = context.WithCancel(context.Background())
	rec.budget = &budget{limit: cmp.Or(rec.Limit, defaultLimit), reserve: cmp.Or(rec.Reserve, defaultReserve), dir: rec.Dir}
	rec.drawing = make(chan struct{}, thumbnailsAtOnce)
	rec.recordings = map[string]*Recording{}
	entries, err := os.ReadDir(rec.Dir)
	if err != nil {
		return fmt.Errorf("read the spool of recordings: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if err := rec.takeUp(filepath.Join(rec.Dir, e.Name())); err != nil {
			// It stays where it is: somebody may be able to read it.
			rec.log().Error("a recording in the spool cannot be read", "folder", e.Name(), "error", err)
		}
	}
	return nil
}

func (rec *Recorder) takeUp(dir string) error {
	spec, err := readSpec(dir)
	if errors.Is(err, fs.ErrNotExist) || strings.HasPrefix(filepath.Base(dir), ".") {
		return os.RemoveAll(dir) // half made, or half removed
	}
	if err != nil {
		return err
	}
	sweepParts(dir)
	sp, h, err := openSpool(dir, rec.budget)
	if err != nil {
		return err
	}
	r := newRecording(rec, spec, sp, h)
	r.log.Info("recording found in the spool", "state", r.state, "segments", len(h.slots), "waiting", len(r.uploads.files))
	rec.begin(r)
	return nil
}

// sweepParts removes files that were being written.
func sweepParts(dir string) {
	parts, _ := filepath.Glob(filepath.Join(dir, ".part-*"))
	for _, p := range parts {
		_ = os.Remove(p)
	}
}

// begin is called with the lock held, or before there is anybody else.
func (rec *Recorder) begin(r *Recording) {
	rec.recordings[r.spec.ID] = r
	var both sync.WaitGroup
	if r.history.end == nil {
		both.Go(func() { r.run(rec.ctx) })
	} else {
		close(r.over)
	}
	both.Go(func() { r.upload(rec.ctx) })
	rec.running.Go(func() {
		both.Wait()
		r.spool.close()
	})
}

// Close writes what has come and ends. Recordings that are not over go on at the next Start.
func (rec *Recorder) Close() {
	if rec.cancel != nil {
		rec.mu.Lock()
		rec.cancel()
		rec.mu.Unlock()
		rec.running.Wait()
		rec.lock.Close()
	}
}

// Open begins a recording, or goes on with the one of that id. A new one whose rendition is known writes the first
// object before it returns, so that a bucket that cannot be written to is known at once: objectstore.ErrNoBucket,
// ErrDenied, ErrInvalidName. A store that does not answer is no error. Others: ErrInvalid, ErrOver, ErrNoRoom.
func (rec *Recorder) Open(ctx context.Context, s Spec) (*Recording, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if r := rec.Get(s.ID); r != nil {
		select {
		case <-r.over:
			return nil, ErrOver
		default:
			return r, nil
		}
	}
	if rec.budget.pressure() == Full {
		return nil, ErrNoRoom
	}
	stored, err := rec.first(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("begin recording %s: %w", s.ID, err)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if r := rec.recordings[s.ID]; r != nil {
		return r, nil // of two at once the first one counts
	}
	sp, err := createSpool(rec.Dir, s, rec.budget)
	if err != nil {
		return nil, fmt.Errorf("begin recording %s: %w", s.ID, err)
	}
	r := newRecording(rec, s, sp, history{})
	r.log.Info("recording begins", "bucket", s.Bucket, "prefix", s.Prefix)
	if stored {
		r.uploads.started = true
		r.tell(Started)
	}
	rec.begin(r)
	return r, nil
}

// first writes the metadata of the start, when it can be known, and tells whether the store has it.
func (rec *Recorder) first(ctx context.Context, s Spec) (stored bool, err error) {
	bucket, err := rec.Objects.Bucket(s.Bucket)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if s.Rendition == "" {
		err = objectstore.Check(ctx, bucket)
	} else {
		var key string
		var data []byte
		if key, data, err = describe(s, []stream{{name: s.Rendition, width: s.Width, height: s.Height}}, s.Width, s.Height, 0, nil, ""); err != nil {
			return false, err
		}
		err = bucket.Put(ctx, s.Prefix+"/"+key, strings.NewReader(string(data)))
	}
	switch {
	case err == nil:
		return s.Rendition != "", nil
	case errors.Is(err, objectstore.ErrNoBucket), errors.Is(err, objectstore.ErrDenied), errors.Is(err, objectstore.ErrInvalidName):
		return false, err
	}
	rec.log().Warn("the object store does not answer: recording begins in the spool", "recording", s.ID, "error", err)
	return false, nil
}

// Get finds a recording that is not wholly stored; nil when there is none of that id.
func (rec *Recorder) Get(id string) *Recording {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.recordings[id]
}

// All are the recordings that are not wholly stored, in the order of their ids.
func (rec *Recorder) All() []*Recording {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	all := make([]*Recording, 0, len(rec.recordings))
	for _, r := range rec.recordings {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *Recording) int { return strings.Compare(a.spec.ID, b.spec.ID) })
	return all
}

func (rec *Recorder) forget(r *Recording) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.recordings[r.spec.ID] == r {
		delete(rec.recordings, r.spec.ID)
	}
}

// Usage is what the spool takes.
type Usage struct {
	Bytes, Limit int64
	Pressure     Pressure
}

// Usage is how full the spool is.
func (rec *Recorder) Usage() Usage {
	return Usage{Bytes: rec.budget.used.Load(), Limit: rec.budget.limit, Pressure: rec.budget.pressure()}
}
