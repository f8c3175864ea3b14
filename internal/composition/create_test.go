package composition

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/store"
)

// keep runs a manager on the records of a directory, with composers that are fakes; the function ends it.
func keep(t *testing.T, dir string, m *Manager) (*Manager, func()) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, script: obedient}
	if m.Composer, err = os.Executable(); err != nil { // never run
		t.Fatal(err)
	}
	m.Store, m.launch = s, w.launch
	m.Job = func(_ context.Context, r Record) (wire.Job, error) {
		return wire.Job{CompositionID: r.ID, Outputs: []wire.OutputJob{{DestinationID: r.Destinations[0].ID}}}, nil
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m, func() {
		m.Close()
		for _, p := range w.pipes {
			p.Close()
		}
		w.running.Wait()
		s.Close()
	}
}

func named(id string) Record {
	r := fresh("d" + id)
	r.ID, r.Started = id, time.Now().UTC()
	return r
}

// TestCapacity: what the machine cannot carry is refused with what is needed, what is free, and what to do.
func TestCapacity(t *testing.T) {
	m, end := keep(t, t.TempDir(), &Manager{MaxCores: 1, Publishers: func(string) int { return 4 }})
	defer end()
	if _, err := m.Create(t.Context(), named("one"), plenty); err != nil {
		t.Fatal(err)
	}
	_, err := m.Create(t.Context(), named("two"), plenty)
	if !errors.Is(err, ErrCapacity) {
		t.Fatalf("a second composition of half a core: %v", err)
	}
	for _, words := range []string{"0.54 cores", "4 publishers", "1280x720 at 30 frames", "of the 1.00 cores", "stop another", "--max-composer-cores"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q is not in: %v", words, err)
		}
	}
	if c, err := m.Capacity(t.Context()); err != nil || c.Used < 0.53 || c.Free() > 0.47 {
		t.Errorf("%+v, %v", c, err)
	}
	// What it has measured for long enough counts, whatever was expected.
	one := &live{} // without a composer, whose heartbeats would come between
	m.mu.Lock()
	m.lives["probe"] = one
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.lives, "probe")
		m.mu.Unlock()
	}()
	one.vitals.Store(&vitals{since: time.Now().Add(-youth), cores: 0.2, heartbeat: &wire.Heartbeat{}})
	if used := m.uses(named("probe")); used != 0.2 {
		t.Errorf("used %v", used)
	}
	one.vitals.Store(&vitals{since: time.Now(), cores: 0.2, heartbeat: &wire.Heartbeat{}})
	if used := m.uses(named("probe")); used < 0.53 {
		t.Errorf("a young composer uses %v", used)
	}
}

// TestReserve shares the machine with what is no composition.
func TestReserve(t *testing.T) {
	m, end := keep(t, t.TempDir(), &Manager{MaxCores: 1, Publishers: func(string) int { return 4 }})
	defer end()
	release, err := m.Reserve(0.6)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Create(t.Context(), named("one"), plenty); !errors.Is(err, ErrCapacity) {
		t.Errorf("a composition of half a core beside 0.6: %v", err)
	}
	if _, err := m.Reserve(0.5); !errors.Is(err, ErrCapacity) || !strings.Contains(err.Error(), "0.40 of the 1.00 are free") {
		t.Errorf("another half core beside 0.6: %v", err)
	}
	release()
	release() // once counts
	if _, err := m.Create(t.Context(), named("one"), plenty); err != nil {
		t.Error(err)
	}
	if _, err := m.Reserve(0.6); !errors.Is(err, ErrCapacity) {
		t.Errorf("0.6 cores beside a composition: %v", err)
	}
}

func TestDemand(t *testing.T) {
	one := fresh("a")
	two := fresh("a", "b")
	if demand(one, 4) != demand(two, 4) {
		t.Error("equal pictures are not encoded once")
	}
	two.Destinations[1].Video.Width = 640
	if demand(one, 4) >= demand(two, 4) {
		t.Error("another picture costs nothing")
	}
	two.Destinations[1].State = Failed
	if demand(one, 4) != demand(two, 4) {
		t.Error("a destination that has failed costs")
	}
	if d := demand(one, 4); d < 0.51 || d > 0.6 {
		t.Errorf("4 publishers at 720p: %v cores, measured were 0.40 to 0.51", d)
	}
}

// TestExisting: a request is repeated with its token, whatever else is full or gone; another one with it conflicts.
func TestExisting(t *testing.T) {
	m, end := keep(t, t.TempDir(), &Manager{MaxCores: 0.6})
	defer end()
	r := named("one")
	r.IdempotencyToken, r.RequestHash = "token", "a"
	if _, err := m.Create(t.Context(), r, plenty); err != nil {
		t.Fatal(err)
	}
	again := named("two")
	again.IdempotencyToken, again.RequestHash = "token", "a"
	if got, err := m.Create(t.Context(), again, Limits{}); err != nil || got.ID != "one" {
		t.Errorf("%v, %v", got.ID, err)
	}
	if got, ok, err := m.Existing(t.Context(), "token", "a"); err != nil || !ok || got.ID != "one" {
		t.Errorf("%v, %v, %v", got.ID, ok, err)
	}
	if _, ok, err := m.Existing(t.Context(), "token", "b"); ok || !errors.Is(err, ErrConflict) {
		t.Errorf("%v, %v", ok, err)
	}
	for _, token := range []string{"", "other"} {
		if _, ok, err := m.Existing(t.Context(), token, "a"); ok || err != nil {
			t.Errorf("%q: %v, %v", token, ok, err)
		}
	}
}

// TestTelling: events reach the log in order although it fails now and then, and those that it has not taken when
// the server ends come after the next start, each with the id that it had.
func TestTelling(t *testing.T) {
	dir := t.TempDir()
	type said struct{ name, id string }
	heard := make(chan said, 100)
	var refusing atomic.Bool
	var calls atomic.Int64
	publish := func(_ context.Context, r Record, e Event) error {
		if n := calls.Add(1); refusing.Load() || n%2 == 0 {
			heard <- said{"refused", e.ID}
			return errors.New("not now")
		}
		heard <- said{fmt.Sprintf("%s %s", r.ID, e.Name), e.ID}
		return nil
	}
	var names []string
	ids := map[string]string{} // of what was refused
	next := func() said {
		t.Helper()
		select {
		case s := <-heard:
			return s
		case <-time.After(patience):
			t.Fatalf("nothing comes after %v", names)
			return said{}
		}
	}
	take := func(n int) {
		t.Helper()
		for len(names) < n {
			if s := next(); s.name != "refused" {
				names = append(names, s.name)
				delete(ids, s.id)
			} else {
				ids[s.id] = s.name
			}
		}
	}
	m, end := keep(t, dir, &Manager{MaxCores: 100, Publish: publish})
	if _, err := m.Create(t.Context(), named("one"), plenty); err != nil {
		t.Fatal(err)
	}
	take(2)
	refusing.Store(true)
	if err := m.Stop(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if s := next(); s.name != "refused" {
		t.Fatalf("told %s", s.name)
	} else {
		ids[s.id] = s.name
	}
	end()
	for len(heard) > 0 {
		s := <-heard
		ids[s.id] = s.name
	}
	refusing.Store(false)
	m, end = keep(t, dir, &Manager{MaxCores: 100, Publish: publish})
	defer end()
	take(4)
	if want := []string{"one Session Start", "one Destination Start", "one Destination End", "one Session End"}; !slices.Equal(names, want) {
		t.Errorf("told %q, want %q", names, want)
	}
	if len(ids) != 0 {
		t.Errorf("refused and never taken: %v", ids)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // the store's own time
		r, err := m.Get(t.Context(), "one")
		if err == nil && len(r.Untold) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the record keeps what was told: %v, %v", r.Untold, err)
		}
	}
}

// TestNobodyToTell: without an event log a composition lives and goes as ever, even one whose record holds events.
func TestNobodyToTell(t *testing.T) {
	dir := t.TempDir()
	m, end := keep(t, dir, &Manager{MaxCores: 100})
	r := named("one")
	r.State, r.Ended = Stopped, time.Now().Add(-retention)
	r.Untold = []Event{{ID: "1", Name: "Session End"}}
	if err := m.records.Create(t.Context(), r.ID, r); err != nil {
		t.Fatal(err)
	}
	end()
	m, end = keep(t, dir, &Manager{MaxCores: 100})
	defer end()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // the store's own time
		if _, err := m.Get(t.Context(), "one"); errors.Is(err, store.ErrNotFound) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the record stays")
		}
	}
}
