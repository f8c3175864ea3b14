package composition

import (
	"context"
	"time"

	"github.com/footlight-live/footlight/internal/composer/wire"
)

// Status is a composition with what its supervision knows: the record says what was told to callers, the rest is
// how it fares at this moment.
type Status struct {
	Record      Record
	Heartbeat   *wire.Heartbeat // of the running composer; nil before its first and while there is none
	ComposerPID int             // zero while there is none
	Restarts    int             // composers that were replaced since the server started or the composition began
	LastExit    string          // why the last of them was replaced; empty when none was
	IdleSince   time.Time       // since when nobody has been seen publishing; zero while somebody is
	StopsAt     time.Time       // when it stops by itself: a minute after IdleSince, or 24 hours after its start
}

// vitals are what a composition's goroutine tells about its composer.
type vitals struct {
	pid       int
	since     time.Time // when the composer was started
	cores     float64   // that it uses, smoothed
	restarts  int
	lastExit  string
	idleSince time.Time
	heartbeat *wire.Heartbeat
}

// learnCores smooths what heartbeats say, which is of half a second each, over about five seconds.
func (v *vitals) learnCores(cores float64) {
	if v.heartbeat == nil || v.cores == 0 {
		v.cores = cores
		return
	}
	v.cores += (cores - v.cores) / 10
}

// When a composition ends by itself (spec/composition.md §3).
const (
	idleTimeout = 60 * time.Second // without a publisher
	maxDuration = 24 * time.Hour
)

// stopsAt is when a composition ends by itself, and why. A zero idleSince means that somebody publishes.
func stopsAt(started, idleSince time.Time) (at time.Time, why string) {
	at, why = started.Add(maxDuration), "it has run for 24 hours"
	if idle := idleSince.Add(idleTimeout); !idleSince.IsZero() && idle.Before(at) {
		return idle, "nobody has published for a minute"
	}
	return at, why
}

// Status is a composition as it fares now; false when there is none of that id.
func (m *Manager) Status(id string) (Status, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	r, err := m.Get(ctx, id)
	if err != nil {
		return Status{}, false
	}
	s := Status{Record: r}
	l := m.life(id)
	if l == nil {
		return s, true
	}
	v := l.vitals.Load()
	if v == nil {
		return s, true
	}
	s.Heartbeat, s.ComposerPID, s.Restarts, s.LastExit, s.IdleSince = v.heartbeat, v.pid, v.restarts, v.lastExit, v.idleSince
	if r.State == Stopping || r.State.Ended() {
		s.IdleSince = time.Time{}
	} else {
		s.StopsAt, _ = stopsAt(r.Started, v.idleSince)
	}
	return s, true
}

// Heartbeat is what a composition's composer measured last; false while there is no composer.
func (m *Manager) Heartbeat(id string) (wire.Heartbeat, bool) {
	l := m.life(id)
	if l == nil {
		return wire.Heartbeat{}, false
	}
	v := l.vitals.Load()
	if v == nil || v.heartbeat == nil {
		return wire.Heartbeat{}, false
	}
	return *v.heartbeat, true
}

// life finds the goroutine of a composition; nil when there is none.
func (m *Manager) life(id string) *live {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lives[id]
}

// Capacity is what composers may take of the machine, and what they take now.
func (m *Manager) Capacity(ctx context.Context) (Capacity, error) {
	all, err := m.List(ctx)
	if err != nil {
		return Capacity{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.capacity(all), nil
}
