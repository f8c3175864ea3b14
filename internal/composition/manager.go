package composition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/store"
)

// retention is how long a record stays after the end (spec/composition.md §3).
const retention = 5 * time.Minute

// Manager holds all compositions of a node. Set the fields, then Start, then use it from any goroutine. What only
// reads may be used from Open on; the fields that Open does not need can be set until Start.
type Manager struct {
	Store    *store.Store
	Composer string // the composer program
	// Job says what a composer is to do. It is asked at every start of a process, since tokens and addresses change.
	// ErrStageGone ends the composition, any other error is followed by another attempt.
	Job func(context.Context, Record) (wire.Job, error)
	// Images reads the images of a scene by their names, PNG or JPEG. Without it there are none.
	Images func(ctx context.Context, names []string) (map[string][]byte, error)
	// Finish ends a channel's live stream at once, for when its composer cannot say goodbye itself. It may be nil.
	Finish func(channelARN string)
	// FinishRecording ends the recording of a destination, with a failure when the cause has a code, and returns what
	// is closed when the object store has all of it; nil when there is nothing to wait for. It may be nil.
	FinishRecording func(ctx context.Context, r Record, d Destination, cause Cause) (stored <-chan struct{}, err error)
	// Publish appends an event of a composition to the log. It is called from a goroutine that may wait for it, again
	// after an error, and perhaps again after a crash of this process. Without it events are only logged.
	Publish func(context.Context, Record, Event) error
	// Publishers is how many participants publish on a stage now. Without it, one counts.
	Publishers func(stageARN string) int
	// MaxCores is what all composers together may take of the machine; default nine tenths of it.
	MaxCores float64
	// MaxMemory is how much a composer may have resident, in bytes, before it is replaced; default 1 GiB.
	MaxMemory uint64
	Log       *slog.Logger
	Now       func() time.Time // wall clock; default time.Now

	records *store.Bucket[Record]                          // by composition id
	books   books                                          // what the goroutines write
	launch  func(wire.Job, *slog.Logger) (*process, error) // set by tests before Start, else it runs Composer
	teller  *teller
	ctx     context.Context // of the goroutines
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex // also held from counting compositions until one more is stored
	lives map[string]*live

	reserved float64 // cores, for others than composers
}

// Open opens the records: Get, List, InUse and Feeds answer from now on.
func (m *Manager) Open(ctx context.Context) (err error) {
	if m.records, err = store.NewBucket[Record](ctx, m.Store, "compositions"); err != nil {
		return fmt.Errorf("open compositions: %w", err)
	}
	return nil
}

// Start resumes every composition that has not ended, after an Open unless that has been done. It returns
// without waiting for their composers.
func (m *Manager) Start(ctx context.Context) error {
	if m.Now == nil {
		m.Now = time.Now
	}
	if m.Log == nil {
		m.Log = slog.New(slog.DiscardHandler)
	}
	m.Log = m.Log.With("component", "composition")
	if m.records == nil {
		if err := m.Open(ctx); err != nil {
			return err
		}
	}
	m.hasComposer() // so that the log says it before the first composition is refused
	all, err := m.records.List(ctx, "")
	if err != nil {
		return fmt.Errorf("start compositions: %w", err)
	}
	m.teller = &teller{manager: m, wake: make(chan struct{}, 1)}
	m.books = &ledger{m.records, m.teller}
	if m.launch == nil {
		m.launch = func(job wire.Job, log *slog.Logger) (*process, error) {
			return launch(m.Composer, job, m.maxMemory(), log)
		}
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.lives = map[string]*live{}
	for _, r := range all {
		if !r.State.Ended() {
			m.Log.Info("resuming", "composition", r.ID, "state", r.State)
		}
		m.begin(r)
		if len(r.Untold) > 0 && m.Publish != nil {
			m.teller.due(r.ID)
		}
	}
	m.running.Go(func() { m.teller.run(m.ctx) })
	return nil
}

// Close ends the composers and waits. The compositions themselves go on at the next Start.
func (m *Manager) Close() {
	if m.cancel != nil {
		m.mu.Lock() // so that nothing begins behind the wait
		m.cancel()
		m.mu.Unlock()
		m.running.Wait()
	}
}

// maxMemory is MaxMemory or its default.
func (m *Manager) maxMemory() uint64 { return cmp.Or(m.MaxMemory, 1<<30) }

// begin gives a record to a goroutine of its own, which owns it until it is removed.
func (m *Manager) begin(r Record) {
	if m.ctx.Err() != nil {
		return // the next Start begins with it
	}
	l := &live{manager: m, record: r, log: m.Log.With("composition", r.ID), requests: make(chan request), gone: make(chan struct{})}
	m.lives[r.ID] = l
	m.running.Go(l.run)
}

// forget drops the actor of a record that has been removed.
func (m *Manager) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.lives, id)
}

// Get reads a composition; store.ErrNotFound when there is none.
func (m *Manager) Get(ctx context.Context, id string) (Record, error) {
	r, _, err := m.records.Get(ctx, id)
	return r, err
}

// List reads all compositions, those that have ended but are not yet forgotten included.
func (m *Manager) List(ctx context.Context) ([]Record, error) { return m.records.List(ctx, "") }

// ChangeTags changes the tags of a composition, which change gets as they are, never nil.
func (m *Manager) ChangeTags(ctx context.Context, id string, change func(map[string]string) error) error {
	_, err := m.records.Update(ctx, id, func(r *Record) error {
		if r.Tags == nil {
			r.Tags = map[string]string{}
		}
		return change(r.Tags)
	})
	return err
}

// Stop asks a composition to end gracefully and returns once it is STOPPING, or at once when it has ended.
func (m *Manager) Stop(ctx context.Context, id string) error {
	return m.ask(ctx, id, request{stop: &Cause{Reason: "StopComposition"}})
}

// InUse says whether a composition that has not ended refers to the resource.
func (m *Manager) InUse(ctx context.Context, resourceARN string) (bool, error) {
	all, err := m.records.List(ctx, "")
	if err != nil {
		return false, err
	}
	for i := range all {
		if !all[i].State.Ended() && all[i].uses(resourceARN) {
			return true, nil
		}
	}
	return false, nil
}

// Feeds says whether a composition may publish to a channel: neither it nor its destination there has ended.
func (m *Manager) Feeds(ctx context.Context, id, channelARN string) (bool, error) {
	r, err := m.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && !r.State.Ended() && slices.ContainsFunc(r.Destinations, func(d Destination) bool {
		return d.ChannelARN == channelARN && !d.State.Ended()
	}), err
}

// StageDeleted ends the compositions of a stage that is gone. They fail with StageDeleted.
func (m *Manager) StageDeleted(ctx context.Context, stageARN string) error {
	all, err := m.records.List(ctx, "")
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.StageARN != stageARN || r.State.Ended() {
			continue
		}
		if err := m.ask(ctx, r.ID, request{stop: &stageDeleted}); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// ask hands a request to the composition's goroutine and waits until it has been taken up.
func (m *Manager) ask(ctx context.Context, id string, r request) error {
	l := m.life(id)
	if l == nil {
		return store.ErrNotFound
	}
	r.taken = make(chan error, 1)
	select {
	case l.requests <- r:
	case <-l.gone:
		return store.ErrNotFound
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.taken:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
