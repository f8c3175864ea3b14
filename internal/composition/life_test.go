package composition

import (
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/composer/wire"
)

const second = time.Second

func obedient(_ int, f *fakeComposer) { f.beat() }

func watched(_ int, f *fakeComposer) {
	f.publishing.Store(1)
	f.beat()
}

// whole is what is told of a composition to one channel that ends well.
var whole = []string{"Session Start", "Destination Start d", "Destination End d", "Session End"}

// TestIdleFromTheStart: a stage where nobody ever publishes is composed for a minute.
func TestIdleFromTheStart(t *testing.T) {
	inWorld(t, fresh("d"), obedient, func(w *world) {
		w.expect(59*second, Active, Active)
		if v := w.vitals(); v.idleSince.IsZero() {
			t.Error("it does not say that it is idle")
		}
		r := w.expect(2*second, Stopped, Stopped)
		if r.Cause.Code != "" || !strings.Contains(r.Cause.Reason, "minute") || r.Ended.IsZero() || r.Destinations[0].Ended.IsZero() {
			t.Errorf("after a minute without publishers: %+v", r)
		}
		w.told(whole...)
	})
}

// TestIdleAgain: the minute begins when the last publisher stops, and whoever publishes ends it.
func TestIdleAgain(t *testing.T) {
	inWorld(t, fresh("d"), obedient, func(w *world) {
		w.after(50 * second)
		w.composer(1).publishing.Store(2)
		w.expect(10*time.Minute, Active, Active)
		if v := w.vitals(); !v.idleSince.IsZero() {
			t.Errorf("idle since %v while two publish", v.idleSince)
		}
		w.composer(1).publishing.Store(0)
		w.expect(50*second, Active, Active)
		w.composer(1).publishing.Store(1)
		w.after(second)
		w.composer(1).publishing.Store(0)
		w.expect(59*second, Active, Active)
		w.expect(3*second, Stopped, Stopped)
	})
}

// TestIdleOverACrash: another composer does not begin the minute anew.
func TestIdleOverACrash(t *testing.T) {
	inWorld(t, fresh("d"), obedient, func(w *world) {
		w.after(40 * second)
		w.composer(1).Close()
		w.expect(15*second, Active, Active)
		w.expect(7*second, Stopped, Stopped)
		if w.started() != 2 {
			t.Errorf("%d composers", w.started())
		}
	})
}

// TestOldAge: a composition that a server resumes near the end of its day ends when the day does.
func TestOldAge(t *testing.T) {
	r := fresh("d")
	// synctest's clock begins at midnight UTC 2000-01-01.
	r.Started = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-24*time.Hour + 5*time.Minute)
	r.State = Active
	r.Destinations[0].State, r.Destinations[0].Started = Active, r.Started
	inWorld(t, r, watched, func(w *world) {
		w.expect(299*second, Active, Active)
		r := w.expect(2*second, Stopped, Stopped)
		if !strings.Contains(r.Cause.Reason, "24 hours") {
			t.Errorf("%+v", r.Cause)
		}
		w.told("Destination Reconnecting d", "Destination End d", "Session End")
	})
}

// TestRetention: the record goes five minutes after the end, later when the store is away.
func TestRetention(t *testing.T) {
	for _, away := range []bool{false, true} {
		inWorld(t, fresh("d"), watched, func(w *world) {
			w.after(second)
			if err := w.Stop(w.t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			w.expect(299*second, Stopped, Stopped)
			if w.books.removed {
				t.Error("removed too early")
			}
			if err := w.Stop(w.t.Context(), "c"); err != nil {
				t.Errorf("stop again: %v", err)
			}
			var refusal *Refusal
			if err := w.SetScene(w.t.Context(), "c", nil); !errors.As(err, &refusal) || refusal.Kind != ErrConflict {
				t.Errorf("scene after the end: %v", err)
			}
			w.books.mu.Lock()
			w.books.away = away
			w.books.mu.Unlock()
			w.after(10 * second)
			if w.books.removed == away {
				t.Errorf("store away %v: removed %v", away, w.books.removed)
			}
			w.books.mu.Lock()
			w.books.away = false
			w.books.mu.Unlock()
			w.after(10 * second)
			if !w.books.removed || w.life("c") != nil {
				t.Error("not removed")
			}
		})
	}
}

// TestLost: composers that crash, hang, swell, or never begin are replaced; the output goes on.
func TestLost(t *testing.T) {
	for what, c := range map[string]struct {
		lose   func(*fakeComposer)
		within time.Duration
		says   string
	}{
		"crash":  {func(f *fakeComposer) { f.Close() }, 100 * time.Millisecond, "killed"},
		"hang":   {func(f *fakeComposer) { close(f.hang) }, 2600 * time.Millisecond, "no heartbeat within 2s"},
		"memory": {func(f *fakeComposer) { f.memory.Store(1<<30 + 1<<20) }, 300 * time.Millisecond, "1025 MiB"},
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, fresh("d"), watched, func(w *world) {
				w.expect(second, Active, Active)
				w.composer(1).memory.Store(1 << 30)
				w.expect(800*time.Millisecond, Active, Active)
				c.lose(w.composer(1))
				r := w.expect(c.within, Active, Active)
				if w.started() != 2 || r.Destinations[0].Started.After(w.composer(2).began) {
					t.Errorf("%d composers, %+v", w.started(), r.Destinations[0])
				}
				if v := w.vitals(); v.restarts != 1 || v.pid != 2 || !strings.Contains(v.lastExit, c.says) || v.lastExit == "" {
					t.Errorf("vitals %+v", v)
				}
				w.told("Session Start", "Destination Start d", "Destination Reconnecting d")
			})
		})
	}
}

// TestNeverReady: after a minute of composers none of which was any good, the composition fails.
func TestNeverReady(t *testing.T) {
	for what, script := range map[string]func(int, *fakeComposer){
		"silent": func(_ int, f *fakeComposer) { <-f.killed },
		"brief":  func(_ int, f *fakeComposer) { f.Close() },
		"shaky": func(_ int, f *fakeComposer) {
			f.say(wire.Message{Ready: &wire.Ready{}})
			f.Close()
		},
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, fresh("d"), script, func(w *world) {
				if r := w.after(50 * second); r.State.Ended() {
					t.Errorf("given up after 50 s: %+v", r.Cause)
				}
				r := w.expect(30*second, Failed, Stopped)
				if r.Cause != internalFailure {
					t.Errorf("%+v", r.Cause)
				}
				if n := w.started(); n < 5 || n > 25 {
					t.Errorf("%d attempts", n)
				}
				if n := len(w.books.events); w.books.events[n-1] != "Session Failure InternalServerException" {
					t.Errorf("told %q", w.books.events)
				}
			})
		})
	}
}

// TestProven: a composer that has worked for a while earns its successors another minute.
func TestProven(t *testing.T) {
	script := func(n int, f *fakeComposer) {
		if n%5 == 0 {
			watched(n, f)
			return
		}
		f.Close()
	}
	inWorld(t, fresh("d"), script, func(w *world) {
		for n := 5; n <= 30; n += 5 {
			r := w.expect(20*second, Active, Active)
			if w.started() != n {
				t.Fatalf("%d composers, want %d: %+v", w.started(), n, r)
			}
			w.composer(n).Close()
		}
	})
}

// TestStopIsIgnored: a composer that does not end is ended.
func TestStopIsIgnored(t *testing.T) {
	inWorld(t, fresh("d"), func(_ int, f *fakeComposer) {
		f.say(wire.Message{Ready: &wire.Ready{}})
		for {
			select {
			case <-time.After(500 * time.Millisecond):
				f.say(wire.Message{Heartbeat: &wire.Heartbeat{Publishing: 1}})
			case <-f.killed:
				return
			}
		}
	}, func(w *world) {
		w.after(second)
		if err := w.Stop(w.t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		w.expect(9*second, Stopping, Stopping)
		w.expect(2*second, Stopped, Stopped)
	})
}

// TestStopBetweenComposers: no composer is needed to stop.
func TestStopBetweenComposers(t *testing.T) {
	inWorld(t, fresh("d"), func(_ int, f *fakeComposer) { f.Close() }, func(w *world) {
		w.after(10 * second)
		if err := w.Stop(w.t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		w.expect(0, Stopped, Stopped)
	})
}

// TestStageDeletedLate: a composition that stops fails after all when its stage is deleted meanwhile.
func TestStageDeletedLate(t *testing.T) {
	inWorld(t, fresh("d"), func(_ int, f *fakeComposer) {
		f.say(wire.Message{Ready: &wire.Ready{}})
		<-f.killed
	}, func(w *world) {
		w.after(second)
		if err := w.Stop(w.t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		if err := w.ask(w.t.Context(), "c", request{stop: &stageDeleted}); err != nil {
			t.Fatal(err)
		}
		r := w.expect(11*second, Failed, Stopped)
		if r.Cause != stageDeleted {
			t.Errorf("%+v", r.Cause)
		}
		w.told("Session Start", "Destination End d", "Session Failure StageDeleted")
	})
}

// TestKilledWhileStopping: the server was killed between STOPPING and the end. What was recorded decides.
func TestKilledWhileStopping(t *testing.T) {
	for cause, want := range map[Cause]State{stageDeleted: Failed, {Reason: "StopComposition"}: Stopped} {
		r := fresh("d")
		r.State, r.Cause, r.Destinations[0].State = Stopping, cause, Stopping
		inWorld(t, r, obedient, func(w *world) {
			if r := w.expect(0, want, Stopped); r.Cause != cause {
				t.Errorf("%+v, want %+v", r.Cause, cause)
			}
			if w.started() != 0 {
				t.Error("a composer was started for the end")
			}
		})
	}
}

// TestStageGone: the stage was deleted while the server was down.
func TestStageGone(t *testing.T) {
	r := fresh("d")
	r.StageARN, r.State, r.Destinations[0].State = "", Active, Active
	inWorld(t, r, obedient, func(w *world) {
		if r := w.expect(0, Failed, Stopped); r.Cause != stageDeleted {
			t.Errorf("%+v", r.Cause)
		}
		w.told("Destination Reconnecting d", "Destination End d", "Session Failure StageDeleted")
	})
}

// TestTwoDestinations: one that fails leaves the other; the composition fails with the last.
func TestTwoDestinations(t *testing.T) {
	inWorld(t, fresh("a", "b"), watched, func(w *world) {
		w.expect(second, Active, Active, Active)
		f := w.composer(1)
		f.destination("a", wire.Reconnecting, "")
		w.expect(second, Active, Reconnecting, Active)
		f.destination("a", wire.Active, "")
		w.expect(second, Active, Active, Active)
		f.destination("a", wire.Reconnecting, "")
		f.destination("a", wire.Failed, "ConflictException")
		r := w.expect(second, Active, Failed, Active)
		if r.Destinations[0].Ended.IsZero() || r.Destinations[0].Cause.Code != "ConflictException" {
			t.Errorf("%+v", r.Destinations[0])
		}
		f.Close() // the next composer is not asked for what has ended
		w.expect(second, Active, Failed, Active)
		if jobs := w.composer(2).job.Outputs; len(jobs) != 1 || jobs[0].DestinationID != "b" {
			t.Errorf("outputs %+v", jobs)
		}
		w.composer(2).destination("b", wire.Failed, "")
		if r := w.expect(second, Failed, Failed, Failed); r.Cause != destinationFailed || r.Ended.IsZero() {
			t.Errorf("%+v", r)
		}
		w.told("Session Start", "Destination Start a", "Destination Start b",
			"Destination Reconnecting a", "Destination Reconnecting a", "Destination Failure a ConflictException",
			"Destination Reconnecting b", "Destination Failure b InternalServerException", "Session Failure DestinationFailure")
	})
}

// TestOrder: a session starts before its destinations, even if the composer says it the other way round.
func TestOrder(t *testing.T) {
	inWorld(t, fresh("d"), func(_ int, f *fakeComposer) {
		f.destination("d", wire.Active, "")
		watched(0, f)
	}, func(w *world) {
		w.after(second)
		w.told("Session Start", "Destination Start d")
	})
}

// TestScene: a scene reaches the composer that runs, the record, and the next composer.
func TestScene(t *testing.T) {
	document := json.RawMessage(`{"background":{"color":"#102030"}}`)
	var got atomic.Pointer[wire.Message]
	inWorld(t, fresh("d"), func(n int, f *fakeComposer) {
		f.publishing.Store(1)
		if n > 1 {
			f.beat()
			return
		}
		f.say(wire.Message{Ready: &wire.Ready{}})
		select {
		case m := <-f.heard:
			got.Store(&m)
		case <-f.killed:
		}
		f.Close()
	}, func(w *world) {
		w.after(second)
		if err := w.SetScene(w.t.Context(), "c", json.RawMessage(`{"nothing":1}`)); err == nil {
			t.Error("a scene with an unknown member was taken")
		}
		if err := w.SetScene(w.t.Context(), "c", document); err != nil {
			t.Fatal(err)
		}
		if r := w.record(); string(r.Scene) != string(document) {
			t.Errorf("stored %s", r.Scene)
		}
		w.after(second)
		if m := got.Load(); m == nil || m.Scene == nil || string(m.Scene.Document) != string(document) {
			t.Errorf("the composer got %+v", m)
		}
		if s := w.composer(2).job.Scene; string(s.Document) != string(document) {
			t.Errorf("the next composer got %+v", s)
		}
		if err := w.SetScene(w.t.Context(), "c", nil); err != nil {
			t.Fatal(err)
		}
		if r := w.record(); r.Scene != nil {
			t.Errorf("stored %s", r.Scene)
		}
	})
}

// TestStoreAway: while the store is away the composition goes on; what happened is written when it is back.
func TestStoreAway(t *testing.T) {
	inWorld(t, fresh("d"), watched, func(w *world) {
		w.expect(second, Active, Active)
		w.books.mu.Lock()
		w.books.away = true
		w.books.mu.Unlock()
		w.composer(1).destination("d", wire.Reconnecting, "")
		w.expect(10*second, Active, Active)
		w.books.mu.Lock()
		w.books.away = false
		w.books.mu.Unlock()
		if err := w.Stop(w.t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
		w.expect(second, Stopped, Stopped)
		w.told("Session Start", "Destination Start d", "Destination Reconnecting d", "Destination End d", "Session End")
	})
}
