package composition

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/footlight-live/footlight/internal/composer/wire"
)

// fakeBooks keep one record in memory.
type fakeBooks struct {
	mu      sync.Mutex
	record  Record
	events  []string // with their destination and code
	removed bool
	away    bool // every write fails
}

var errAway = errors.New("the store is away")

func (b *fakeBooks) write(r Record, events []Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return errAway
	}
	b.record = r
	b.record.Destinations = slices.Clone(r.Destinations)
	for _, e := range events {
		text := e.Name
		for _, more := range []string{e.DestinationID, e.Cause.Code} {
			if more != "" {
				text += " " + more
			}
		}
		b.events = append(b.events, text)
	}
	return nil
}

func (b *fakeBooks) remove(context.Context, string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return errAway
	}
	b.removed = true
	return nil
}

// fakeComposer is the other end of a composer's socket.
type fakeComposer struct {
	*wire.Conn
	job        wire.Job
	began      time.Time
	heard      chan wire.Message // after the job
	killed     chan struct{}
	hang       chan struct{} // closed by a test: from then on it is silent
	publishing atomic.Int64
	memory     atomic.Uint64
}

func (f *fakeComposer) say(m wire.Message) {
	_ = f.Send(m) // the server may have hung up
}

func (f *fakeComposer) destination(id string, state wire.DestinationState, code string) {
	f.say(wire.Message{Destination: &wire.Destination{ID: id, State: state, Code: code, Reason: code}})
}

// beat says Ready and then shows life until the composer is killed or hears Stop, which it obeys.
func (f *fakeComposer) beat() {
	f.say(wire.Message{Ready: &wire.Ready{PID: 1}})
	for _, o := range f.job.Outputs {
		f.destination(o.DestinationID, wire.Active, "")
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.say(wire.Message{Heartbeat: &wire.Heartbeat{Publishing: int(f.publishing.Load()), CPU: 0.5}})
		case m := <-f.heard:
			if m.Stop != nil {
				f.say(wire.Message{Stopped: &wire.Stopped{Reason: m.Stop.Reason}})
				f.Close()
				return
			}
		case <-f.hang:
			<-f.killed
			return
		case <-f.killed:
			return
		}
	}
}

// world is a manager of one composition, with fakes around it, inside a bubble of synctest.
type world struct {
	*Manager
	t      *testing.T
	books  *fakeBooks
	script func(n int, f *fakeComposer) // the life of the nth composer

	mu        sync.Mutex
	composers []*fakeComposer
	running   sync.WaitGroup
	pipes     []io.Closer
}

// inWorld runs a composition with composers that behave as script says, and then the test, in a bubble.
func inWorld(t *testing.T, r Record, script func(n int, f *fakeComposer), test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, books: &fakeBooks{record: r}, script: script}
		w.books.record.Destinations = slices.Clone(r.Destinations)
		w.Manager = &Manager{Now: time.Now, Log: slog.New(slog.DiscardHandler), lives: map[string]*live{}, books: w.books, launch: w.launch}
		w.Job = func(_ context.Context, r Record) (wire.Job, error) {
			if r.StageARN == "" {
				return wire.Job{}, fmt.Errorf("job of %s: %w", r.ID, ErrStageGone)
			}
			job := wire.Job{CompositionID: r.ID}
			for _, d := range r.Destinations {
				if !d.State.Ended() {
					job.Outputs = append(job.Outputs, wire.OutputJob{DestinationID: d.ID})
				}
			}
			return job, nil
		}
		w.ctx, w.cancel = context.WithCancel(t.Context())
		if r.Started.IsZero() {
			r.Started = time.Now()
		}
		w.Manager.mu.Lock()
		w.begin(r)
		w.Manager.mu.Unlock()
		test(w)
		w.Close()
		for _, p := range w.pipes {
			p.Close()
		}
		w.running.Wait()
	})
}

func (w *world) launch(job wire.Job, log *slog.Logger) (*process, error) {
	ours, theirs := net.Pipe()
	w.mu.Lock()
	defer w.mu.Unlock()
	f := &fakeComposer{Conn: wire.NewConn(theirs), job: job, began: time.Now(), heard: make(chan wire.Message, 10), killed: make(chan struct{}), hang: make(chan struct{})}
	w.composers = append(w.composers, f)
	w.pipes = append(w.pipes, theirs)
	n := len(w.composers)
	p := newProcess(ours)
	p.pid = n
	p.signal = sync.OnceFunc(func() { close(f.killed) })
	p.resident = func() (uint64, error) { return f.memory.Load(), nil }
	w.running.Go(func() {
		p.receive(log)
		<-f.killed
		theirs.Close()
		p.err = errors.New("signal: killed")
		close(p.exited)
	})
	w.running.Go(func() {
		for {
			m, err := f.Receive()
			if err != nil {
				return
			}
			f.heard <- m
		}
	})
	w.running.Go(func() { w.script(n, f) })
	return p, nil
}

// composer is the nth composer, from 1.
func (w *world) composer(n int) *fakeComposer {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.composers) < n {
		w.t.Fatalf("%d composers were started, not %d", len(w.composers), n)
	}
	return w.composers[n-1]
}

func (w *world) started() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.composers)
}

// after lets time pass and gives the record of then.
func (w *world) after(d time.Duration) Record {
	time.Sleep(d)
	synctest.Wait()
	return w.record()
}

func (w *world) record() Record {
	w.books.mu.Lock()
	defer w.books.mu.Unlock()
	return w.books.record
}

func (w *world) expect(d time.Duration, state State, destinations ...State) Record {
	w.t.Helper()
	r := w.after(d)
	if r.State != state {
		w.t.Errorf("the composition is %s, want %s", r.State, state)
	}
	for i, want := range destinations {
		if r.Destinations[i].State != want {
			w.t.Errorf("destination %s is %s, want %s", r.Destinations[i].ID, r.Destinations[i].State, want)
		}
	}
	return r
}

func (w *world) told(want ...string) {
	w.t.Helper()
	w.books.mu.Lock()
	defer w.books.mu.Unlock()
	if !slices.Equal(w.books.events, want) {
		w.t.Errorf("told %q, want %q", w.books.events, want)
	}
}

func (w *world) vitals() vitals { return *w.life("c").vitals.Load() }

// fresh is a composition as StartComposition stores it, to so many channels.
func fresh(destinations ...string) Record {
	r := Record{ID: "c", StageARN: "arn:aws:ivs:us-east-1:000000000000:stage/s", State: Starting, Layout: json.RawMessage(`{}`)}
	for _, id := range destinations {
		r.Destinations = append(r.Destinations, Destination{ID: id, ChannelARN: "arn:aws:ivs:us-east-1:000000000000:channel/" + id, State: Starting,
			Video: Video{Width: 1280, Height: 720, FrameRate: 30, BitRate: 2_500_000}})
	}
	return r
}
