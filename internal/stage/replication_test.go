package stage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestReplica: a subscriber of another stage gets what the publisher sends, packet by packet, with its losses healed and
// its sender reports, and under attributes of the replica's own.
func TestReplica(t *testing.T) {
	r := newRig(t, nil)
	cam := r.publish(t, "src.ann.p", clientOptions{})
	bob := r.mustOpen(t, "dst.bob.s")
	awaitPeople(t, bob, "bob")
	if err := r.StartReplication(t.Context(), Replication{
		SourceID: "src", DestinationID: "dst", ParticipantID: "ann", Attributes: map[string]string{"name": "Ann", "slot": "1"},
	}); err != nil {
		t.Fatal(err)
	}
	s := awaitPeople(t, bob, "bob ann*")
	if p := s.Payload.Participants[1]; p.UserID != "user-ann" || !maps.Equal(p.Attributes, map[string]string{"name": "Ann", "slot": "1"}) {
		t.Errorf("the replica is %+v", p)
	}
	started := r.observer.wait(t, ReplicationStarted, "ann", 1)
	if of := started.Replication; started.StageID != "src" || started.SessionID != r.ActiveSession("src") || of.DestinationID != "dst" || of.DestinationSession != r.ActiveSession("dst") {
		t.Errorf("event %+v of %+v", started, of)
	}
	published := r.observer.wait(t, PublishStarted, "ann", 2)
	if published.StageID != "dst" || published.Origin == nil || *published.Origin != (Origin{"src", r.ActiveSession("src")}) || published.Protocol != protocolWHIP {
		t.Errorf("event %+v", published)
	}

	stop := cam.roll(65500) // over the wrap of the sequence number
	defer stop()
	here := r.subscribe(t, "src.zoe.s", "ann", clientOptions{})
	there := r.subscribe(t, "dst.bob.s", "ann", clientOptions{drop: loseOnce(false, 7)})
	if e := r.observer.wait(t, SubscribeStarted, "bob", 1); e.StageID != "dst" || e.Origin == nil {
		t.Errorf("event %+v", e)
	}
	checkVideo(t, cam, here, 100)
	checkVideo(t, cam, there, 100)
	next(t, there.audio)

	if !r.StopReplication("src", "dst", "ann") || r.StopReplication("src", "dst", "ann") {
		t.Error("a replication that runs can be stopped once")
	}
	awaitPeople(t, bob, "bob")
	closed(t, "the replica's subscriber ends", there.ended)
	for len(here.video) > 0 {
		<-here.video
	}
	next(t, here.video) // the original goes on
	want := []string{"PUBLISH_STOPPED ann", "LEFT ann", "REPLICATION_STOPPED ann"}
	var last []string
	for _, k := range r.observer.kinds() {
		if slices.Contains(want, k) {
			last = append(last, k)
		}
	}
	if !slices.Equal(last, want) {
		t.Errorf("events at the end: %v", last)
	}
}

// TestReplicaKeyFrames: however many subscribe on however many stages, the publisher makes a key frame every 500 ms at most.
func TestReplicaKeyFrames(t *testing.T) {
	r := newRig(t, nil)
	cam := r.publish(t, "src.ann.p", clientOptions{})
	for _, to := range []string{"d1", "d2"} {
		if err := r.StartReplication(t.Context(), Replication{SourceID: "src", DestinationID: to, ParticipantID: "ann"}); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	stop := cam.roll(1)
	defer stop()
	for i := range 6 {
		s := r.subscribe(t, fmt.Sprintf("%s.s%d.s", []string{"src", "d1", "d2"}[i%3], i), "ann", clientOptions{})
		if p := next(t, s.video); !keyStart(p.Payload) {
			t.Errorf("subscriber %d begins with % x", i, p.Payload[:4])
		}
	}
	stop()
	cam.checkRequests(began)
}

func keyStart(payload []byte) bool {
	sps, idr := startsKeyFrame(payload)
	return sps != nil || idr
}

// onAir is a publisher without a network.
func onAir(t *testing.T, s *Server, token string) *Feed {
	t.Helper()
	g, err := testAdmission{}.Admit(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.OpenFeed(t.Context(), g, FeedOptions{Protocol: "RTMPS"})
	if err != nil {
		t.Fatal(err)
	}
	f.Start()
	synctest.Wait()
	return f
}

// settle lets snapshots pass.
func settle() {
	time.Sleep(2 * snapshotDelay)
	synctest.Wait()
}

func newest(t *testing.T, k *fakeSocket) string {
	t.Helper()
	all := k.people(t)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

var toDst = Replication{SourceID: "src", DestinationID: "dst", ParticipantID: "ann", Window: 30 * time.Second}

// TestReplicationWindow: who comes back in time is on both stages again, in whatever session; who does not, is not.
func TestReplicationWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := newQuietServer(t)
		bob := enter(t, s, "dst.bob.s")
		f := onAir(t, s, "src.ann.p")
		first := s.ActiveSession("src")
		if err := s.StartReplication(t.Context(), toDst); err != nil {
			t.Fatal(err)
		}
		settle()
		if got := newest(t, bob); got != "bob ann*" {
			t.Errorf("on the destination: %q", got)
		}
		f.Close("gone")
		settle()
		if got := newest(t, bob); got != "bob" {
			t.Errorf("with the source away: %q", got)
		}
		time.Sleep(29 * time.Second)
		f = onAir(t, s, "src.ann.p=Anna")
		settle()
		if got := newest(t, bob); got != "bob ann*" {
			t.Errorf("after the return: %q", got)
		}
		if e := o.wait(t, ReplicationResumed, "ann", 1); e.Replication.SourceSession != first {
			t.Errorf("resumed %+v", e.Replication)
		}
		f.Close("gone")
		settle()
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if e := o.wait(t, ReplicationStopped, "ann", 1); e.SessionID != first || e.Grant.UserID != "user-ann" || e.Replication.DestinationSession != s.ActiveSession("dst") {
			t.Errorf("stopped %+v", e)
		}
		onAir(t, s, "src.ann.p")
		settle()
		if got := newest(t, bob); got != "bob" {
			t.Errorf("too late: %q", got)
		}
	})
}

// TestReplicationOverSessions: the window is longer than a session lives without anybody.
func TestReplicationOverSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := newQuietServer(t)
		f := onAir(t, s, "src.ann.p")
		of := toDst
		of.Window = 5 * time.Minute
		if err := s.StartReplication(t.Context(), of); err != nil {
			t.Fatal(err)
		}
		first := s.ActiveSession("src")
		f.Close("gone")
		time.Sleep(4 * time.Minute)
		if s.ActiveSession("src") != "" || s.ActiveSession("dst") != "" {
			t.Error("sessions live on with nobody there")
		}
		f = onAir(t, s, "src.ann.p")
		settle()
		e := o.wait(t, ReplicationResumed, "ann", 1)
		if e.Replication.SourceSession == first || e.Replication.SourceSession != s.ActiveSession("src") || e.Replication.DestinationSession != s.ActiveSession("dst") {
			t.Errorf("resumed %+v", e.Replication)
		}
		f.Close("gone")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(s.stages) != 0 || len(s.replications) != 0 {
			t.Errorf("%d stages and %d replications are left", len(s.stages), len(s.replications))
		}
	})
}

// TestReplicationResumes: what an earlier process left waits for its participant, and no longer than the window.
func TestReplicationResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := newQuietServer(t)
		of := toDst
		of.SourceSession, of.DestinationSession, of.UserID = "st-aaaaaaaaaaaaa", "st-bbbbbbbbbbbbb", "user-ann"
		late := of
		late.DestinationID = "other"
		for _, r := range []Replication{of, late} {
			if err := s.ResumeReplication(r); err != nil {
				t.Fatal(err)
			}
		}
		s.StopReplication("src", "other", "ann")
		if e := o.wait(t, ReplicationStopped, "ann", 1); e.SessionID != of.SourceSession || e.Grant.UserID != "user-ann" || e.Grant.ParticipantID != "ann" {
			t.Errorf("stopped %+v", e)
		}
		onAir(t, s, "src.ann.p")
		settle()
		if e := o.wait(t, PublishStarted, "ann", 2); e.StageID != "dst" {
			t.Errorf("event %+v", e)
		}
	})
}

// TestReplicationRefusals: what cannot be replicated is not, and nothing is left of the attempt.
func TestReplicationRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := newQuietServer(t)
		s.MaxPublishers = 1
		start := func(destination, participant string) error {
			return s.StartReplication(t.Context(), Replication{SourceID: "src", DestinationID: destination, ParticipantID: participant})
		}
		if err := start("dst", "ann"); !errors.Is(err, ErrNotPublishing) {
			t.Errorf("of a stage where nobody is: %v", err)
		}
		enter(t, s, "src.bob.s")
		if err := start("dst", "bob"); !errors.Is(err, ErrNotPublishing) {
			t.Errorf("of a subscriber: %v", err)
		}
		onAir(t, s, "src.ann.p")
		enter(t, s, "here.ann.s")
		if err := start("here", "ann"); !errors.Is(err, ErrOnDestination) {
			t.Errorf("with the same id there: %v", err)
		}
		onAir(t, s, "full.zoe.p")
		if err, _ := errors.AsType[*Error](start("full", "ann")); err == nil || err.Code != QuotaExceeded {
			t.Errorf("to a full stage: %v", err)
		}
		for i := range defaultReplications {
			if err := start(fmt.Sprint("dst", i), "ann"); err != nil {
				t.Error(err)
			}
		}
		if err := start("dst0", "ann"); !errors.Is(err, ErrReplicated) {
			t.Errorf("twice: %v", err)
		}
		if err := start("dst6", "ann"); !errors.Is(err, ErrReplications) {
			t.Errorf("the sixth: %v", err)
		}
		if err := s.StartReplication(t.Context(), Replication{SourceID: "dst0", DestinationID: "dst9", ParticipantID: "ann"}); !errors.Is(err, ErrNotPublishing) {
			t.Errorf("of a replica: %v", err)
		}
		s.StopReplication("src", "dst0", "ann")
		if err := start("dst6", "ann"); err != nil {
			t.Errorf("after one has ended: %v", err)
		}
		// The replica's id is taken on its stage.
		g, _ := testAdmission{}.Admit(t.Context(), "dst6.ann.ps")
		err := s.join(g, func(st *stage) error {
			return ask(t.Context(), st, func(reply chan<- error) request { return joinSocket{g, "test", newFakeSocket(), reply} })
		})
		if e, _ := errors.AsType[*Error](err); e == nil || e.Code != InvalidInput {
			t.Errorf("a client with the replica's id: %v", err)
		}
		if _, err := s.OpenFeed(t.Context(), g, FeedOptions{}); err == nil {
			t.Error("a publisher with the replica's id is let in")
		}
		if n := slices.Index(o.kinds(), "JOIN_ERROR ann"); n < 0 {
			t.Error("nobody heard of the refusal")
		}
	})
}

// TestReplicationEnds: whatever ends a stage or a participant ends the replication, also while the source is away.
func TestReplicationEnds(t *testing.T) {
	for name, end := range map[string]func(*Server){
		"the source stage is deleted":      func(s *Server) { s.CloseStage("src", "deleted") },
		"the destination is deleted":       func(s *Server) { s.CloseStage("dst", "deleted") },
		"the original is disconnected":     func(s *Server) { s.Disconnect("src", "ann", "out") },
		"the replica is disconnected":      func(s *Server) { s.Disconnect("dst", "ann", "out") },
		"the replication is stopped":       func(s *Server) { s.StopReplication("src", "dst", "ann") },
		"the original may publish no more": nil,
	} {
		for _, away := range []bool{false, true} {
			if end == nil && away {
				continue
			}
			t.Run(fmt.Sprintf("%s, away %v", name, away), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, o := newQuietServer(t)
					bob, zoe := enter(t, s, "dst.bob.s"), enter(t, s, "src.zoe.s")
					f := onAir(t, s, "src.ann.p")
					of := toDst
					if end == nil {
						of.Window = 0
					}
					if err := s.StartReplication(t.Context(), of); err != nil {
						t.Fatal(err)
					}
					if away {
						f.Close("gone")
						settle()
					}
					if end == nil {
						f.Fail(refuse(ResolutionExceeded, "too large"))
						settle()
					} else {
						end(s)
					}
					if got := slices.Index(o.kinds(), "REPLICATION_STOPPED ann"); got < 0 {
						t.Errorf("it goes on: %v", o.kinds())
					}
					settle()
					if got := newest(t, bob); bob.code == 0 && got != "bob" && got != "" {
						t.Errorf("on the destination: %q", got)
					}
					if len(s.replications) != 0 {
						t.Error("it is still there")
					}
					if name == "the destination is deleted" && !away {
						if got := newest(t, zoe); got != "zoe ann*" {
							t.Errorf("on the source: %q", got)
						}
					}
				})
			})
		}
	}
}

// TestReplicaFollows: mutes and exchanged tokens of the original show on the replica, with its own attributes on top.
func TestReplicaFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := newQuietServer(t)
		bob := enter(t, s, "dst.bob.s")
		s.lookup("dst").tell(t.Context(), hello{"bob", bob})
		ann := enter(t, s, "src.ann.pk")
		s.lookup("src").tell(t.Context(), hello{"ann", ann})
		onAir(t, s, "src.ann.pk")
		of := toDst
		of.Attributes = map[string]string{"slot": "1"}
		if err := s.StartReplication(t.Context(), of); err != nil {
			t.Fatal(err)
		}
		s.lookup("src").tell(t.Context(), setMuted{"ann", ann, muted{video: true}})
		settle()
		check := func(when, name string, mute bool) {
			t.Helper()
			settle()
			p := lastState(t, bob).Payload.Participants[1]
			if p.ID != "ann" || p.Attributes["name"] != name || p.Attributes["slot"] != "1" || p.VideoStopped == nil || *p.VideoStopped != mute {
				t.Errorf("%s: %+v", when, p)
			}
		}
		check("muted", "ann", true)
		g, _ := testAdmission{}.Admit(t.Context(), "src.ann.pk=Anna")
		if err := ask(t.Context(), s.lookup("src"), func(reply chan<- error) request {
			return exchange{g, func(*participant) bool { return true }, reply}
		}); err != nil {
			t.Fatal(err)
		}
		check("exchanged", "Anna", true)
		if e := o.wait(t, Changed, "ann", 1); e.StageID != "dst" || e.Grant.Attributes["name"] != "Anna" {
			t.Errorf("event %+v", e)
		}
	})
}

// lastState is the newest snapshot that a socket got.
func lastState(t *testing.T, k *fakeSocket) stageState {
	t.Helper()
	var last []byte
	for len(k.messages) > 0 {
		last = <-k.messages
	}
	return parseState(t, last)
}

// TestReplicationRaces: sources leave and come, stages are deleted, replications start and stop, all at once. In the end
// everything has ended, and who was promised a replication hears of its end.
func TestReplicationRaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := newQuietServer(t)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for n := range 30 {
					switch i % 4 {
					case 0:
						g, _ := testAdmission{}.Admit(t.Context(), "src.ann.p")
						if f, err := s.OpenFeed(t.Context(), g, FeedOptions{}); err == nil {
							f.Start()
							time.Sleep(time.Duration(n) * 10 * time.Millisecond)
							f.Close("gone")
						}
					case 1:
						of := toDst
						of.Window = time.Duration(n) * 20 * time.Millisecond
						_ = s.StartReplication(t.Context(), of)
						time.Sleep(30 * time.Millisecond)
					case 2:
						time.Sleep(time.Duration(n*7) * time.Millisecond)
						s.StopReplication("src", "dst", "ann")
					case 3:
						time.Sleep(time.Duration(n*11) * time.Millisecond)
						s.CloseStage([]string{"src", "dst"}[n%2], "deleted")
					}
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		s.CloseStage("src", "deleted")
		s.CloseStage("dst", "deleted")
		time.Sleep(time.Second)
		synctest.Wait()
		count := map[string]int{}
		for _, k := range o.kinds() {
			count[k]++
		}
		if len(s.stages) != 0 || len(s.replications) != 0 {
			t.Errorf("%d stages and %d replications are left", len(s.stages), len(s.replications))
		}
		if count["REPLICATION_STARTED ann"] == 0 || count["REPLICATION_STARTED ann"] != count["REPLICATION_STOPPED ann"] {
			t.Errorf("events %v", count)
		}
		if count["PUBLISH_STARTED ann"] != count["PUBLISH_STOPPED ann"] || count["JOINED ann"] != count["LEFT ann"] {
			t.Errorf("events %v", count)
		}
	})
}
