package composition

import (
	"context"
	"errors"
	"testing"
	"time"
)

// taped is a composition to so many recordings.
func taped(destinations ...string) Record {
	r := fresh(destinations...)
	for i := range r.Destinations {
		r.Destinations[i].ChannelARN = ""
		r.Destinations[i].S3 = &S3{Bucket: "recordings", Prefix: "x/" + r.Destinations[i].ID, Segment: 2}
	}
	return r
}

// shelf stores recordings: each is stored when its channel is closed.
type shelf map[string]chan struct{}

func (s shelf) finish(_ context.Context, _ Record, d Destination, _ Cause) (<-chan struct{}, error) {
	return s[d.ID], nil
}

// TestStoppedWhenStored: a composition is STOPPING until its recording is stored.
func TestStoppedWhenStored(t *testing.T) {
	inWorld(t, taped("d"), watched, func(w *world) {
		s := shelf{"d": make(chan struct{})}
		w.FinishRecording = s.finish
		w.expect(5*second, Active, Active)
		if err := w.Stop(w.t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		w.expect(9*time.Minute, Stopping)
		if err := w.Stop(w.t.Context(), "c"); err != nil {
			t.Errorf("stopping it again: %v", err)
		}
		close(s["d"])
		w.expect(second, Stopped, Stopped)
		w.told(whole...)
	})
}

// TestStoreAwayAtTheEnd: after ten minutes the recording that is not stored has failed, and only that one, whichever
// comes first.
func TestStoreAwayAtTheEnd(t *testing.T) {
	for _, missing := range []string{"a", "b"} {
		for range 8 { // a choice between two that are ready is random
			inWorld(t, taped("a", "b"), watched, func(w *world) {
				s := shelf{"a": make(chan struct{}), "b": make(chan struct{})}
				w.FinishRecording = s.finish
				w.expect(5*second, Active, Active, Active)
				if err := w.Stop(w.t.Context(), "c"); err != nil {
					t.Fatal(err)
				}
				for id, stored := range s {
					if id != missing {
						close(stored)
					}
				}
				w.expect(uploadPatience-5*second, Stopping)
				states := map[string]State{"a": Stopped, "b": Stopped, missing: Failed}
				r := w.expect(10*second, Stopped, states["a"], states["b"])
				if r.Cause.Code != "" {
					t.Errorf("cause %+v", r.Cause)
				}
			})
		}
	}
}

// TestNothingToStore: a recording that cannot be ended, or is not there, does not keep a composition.
func TestNothingToStore(t *testing.T) {
	inWorld(t, taped("d"), watched, func(w *world) {
		w.FinishRecording = func(context.Context, Record, Destination, Cause) (<-chan struct{}, error) {
			return nil, errors.New("the recorder is closed")
		}
		w.expect(5*second, Active, Active)
		if err := w.Stop(w.t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		w.expect(5*second, Stopped, Stopped)
	})
}

// TestRestartWhileStoring: a server that ends does not wait for the store, and leaves the composition STOPPING.
func TestRestartWhileStoring(t *testing.T) {
	inWorld(t, taped("d"), watched, func(w *world) {
		w.FinishRecording = shelf{"d": make(chan struct{})}.finish
		w.expect(5*second, Active, Active)
		if err := w.Stop(w.t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		w.expect(time.Minute, Stopping)
		w.Close()
		w.expect(second, Stopping)
	})
}
