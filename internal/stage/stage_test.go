package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeSocket collects what a stage delivers.
type fakeSocket struct {
	messages chan []byte
	code     closeCode
}

func newFakeSocket() *fakeSocket { return &fakeSocket{messages: make(chan []byte, 1000)} }

func (k *fakeSocket) deliver(m []byte)              { k.messages <- m }
func (k *fakeSocket) shut(code closeCode, _ string) { k.code = code }

// people reads all snapshots that came.
func (k *fakeSocket) people(t *testing.T) []string {
	t.Helper()
	synctest.Wait()
	var out []string
	for len(k.messages) > 0 {
		var s stageState
		if err := json.Unmarshal(<-k.messages, &s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s.people())
	}
	return out
}

// newQuietServer is a server without a network.
func newQuietServer(t *testing.T) (*Server, *testObserver) {
	o := newTestObserver()
	s := &Server{Observer: o, Log: testLog(), stages: map[string]*stage{}, resources: map[string]resource{}, replications: map[replicationKey]*replication{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	t.Cleanup(func() { s.cancel(); s.work.Wait() })
	return s, o
}

func enter(t *testing.T, s *Server, token string) *fakeSocket {
	t.Helper()
	g, err := testAdmission{}.Admit(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	k := newFakeSocket()
	if err := s.join(g, func(st *stage) error {
		return ask(t.Context(), st, func(reply chan<- error) request { return joinSocket{g, "test", k, reply} })
	}); err != nil {
		t.Fatal(err)
	}
	return k
}

func leave(t *testing.T, s *Server, stageID, participant string, k *fakeSocket) {
	t.Helper()
	if err := s.lookup(stageID).post(t.Context(), socketEnded{participant, k, "gone"}); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// TestSessionLinger checks that a session lives until 60 s after the last leave.
func TestSessionLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := newQuietServer(t)
		a := enter(t, s, "stage1.a.s")
		first := s.ActiveSession("stage1")
		leave(t, s, "stage1", "a", a)
		time.Sleep(sessionLinger - time.Second)
		a = enter(t, s, "stage1.a.s")
		time.Sleep(time.Hour)
		if got := s.ActiveSession("stage1"); got != first || got == "" {
			t.Errorf("session %q after a reconnect, was %q", got, first)
		}
		leave(t, s, "stage1", "a", a)
		time.Sleep(sessionLinger - time.Second)
		if s.ActiveSession("stage1") != first {
			t.Error("the session ended early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s.ActiveSession("stage1") != "" || s.lookup("stage1") != nil || s.Stats().Stages != 0 {
			t.Error("the session did not end")
		}
		enter(t, s, "stage1.a.s")
		if next := s.ActiveSession("stage1"); next == first || next == "" {
			t.Errorf("new session %q, old %q", next, first)
		}
		want := "[SESSION_STARTED JOINED a LEFT a JOINED a LEFT a SESSION_ENDED SESSION_STARTED JOINED a]"
		if got := fmt.Sprint(o.kinds()); got != want {
			t.Errorf("events %v\nwant   %v", got, want)
		}
		if e := o.events[0]; e.SessionID != first || e.StageID != "stage1" || e.Time.IsZero() {
			t.Errorf("event %+v", e)
		}
		if e := o.events[1]; e.UserAgent != "test" || e.Protocol != protocolUnknown || e.Grant.UserID != "user-a" {
			t.Errorf("event %+v", e)
		}
	})
}

// TestHidden checks that a composer leaves no trace.
func TestHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := newQuietServer(t)
		composer := enter(t, s, "stage1.composer.sh")
		if s.ActiveSession("stage1") != "" || len(o.kinds()) != 0 {
			t.Error("a hidden participant began a session")
		}
		a := enter(t, s, "stage1.a.s")
		time.Sleep(time.Second)
		leave(t, s, "stage1", "a", a)
		time.Sleep(time.Hour)
		if got := strings.Join(composer.people(t), "|"); got != "|a|" {
			t.Errorf("the composer saw %q", got)
		}
		if s.ActiveSession("stage1") != "" || s.lookup("stage1") == nil {
			t.Error("the session ends without the composer, the stage does not")
		}
		leave(t, s, "stage1", "composer", composer)
		if s.lookup("stage1") != nil {
			t.Error("the stage outlives everybody")
		}
	})
}

// TestCoalescing checks that changes within 50 ms make one snapshot, in order of arrival.
func TestCoalescing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newQuietServer(t)
		a := enter(t, s, "stage1.a.s")
		time.Sleep(time.Second)
		a.people(t)
		sockets := map[string]*fakeSocket{}
		for _, id := range []string{"z", "m", "b"} {
			sockets[id] = enter(t, s, "stage1."+id+".s")
			time.Sleep(10 * time.Millisecond)
		}
		if got := a.people(t); got != nil {
			t.Errorf("snapshots %q within 50 ms", got)
		}
		time.Sleep(50 * time.Millisecond)
		if got := a.people(t); len(got) != 1 || got[0] != "a z m b" {
			t.Errorf("snapshots %q, want one with all", got)
		}
		leave(t, s, "stage1", "m", sockets["m"])
		enter(t, s, "stage1.m.s")
		time.Sleep(time.Second)
		if got := a.people(t); len(got) != 1 || got[0] != "a z b m" {
			t.Errorf("snapshots %q", got)
		}
	})
}

// TestStageEndsUnderJoin joins and leaves from many goroutines: nobody is lost between two lives of a stage.
func TestStageEndsUnderJoin(t *testing.T) {
	s, _ := newQuietServer(t)
	done := make(chan error)
	for i := range 8 {
		go func() {
			for range 200 {
				g := Grant{StageID: "s", ParticipantID: fmt.Sprint("p", i), Hidden: true}
				k := newFakeSocket()
				var live *stage
				if err := s.join(g, func(st *stage) error {
					live = st
					return ask(s.ctx, st, func(reply chan<- error) request { return joinSocket{g, "", k, reply} })
				}); err != nil {
					done <- err
					return
				}
				if err := live.post(s.ctx, socketEnded{g.ParticipantID, k, "done"}); err != nil {
					done <- fmt.Errorf("stage ended with somebody on it: %w", err)
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the stage ends", func() bool { return s.lookup("s") == nil })
}
