package control

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/stage"
)

// TestStageRecording configures a stage's recording: defaults, all members, what refers to it, and turning it off.
func TestStageRecording(t *testing.T) {
	f := start(t)
	storage := text(t, f.must(t, "CreateStorageConfiguration", `{"s3":{"bucketName":"recordings"}}`), "storageConfiguration", "arn")
	config := func(out map[string]any) string {
		b, err := json.Marshal(at(t, out, "stage", "autoParticipantRecordingConfiguration"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want := func(storage, more string) string {
		return `{"hlsConfiguration":{"targetSegmentDurationSeconds":6},"mediaTypes":["AUDIO_VIDEO"],"recordParticipantReplicas":true,"recordingReconnectWindowSeconds":0,` +
			`"storageConfigurationArn":"` + storage + `","thumbnailConfiguration":{"recordingMode":"DISABLED","storage":["SEQUENTIAL"],"targetIntervalSeconds":60}}`
	}
	created := f.must(t, "CreateStage", fmt.Sprintf(`{"autoParticipantRecordingConfiguration":{"storageConfigurationArn":%q}}`, storage))
	if got := config(created); got != want(storage, "") {
		t.Errorf("defaults: %s", got)
	}
	name := text(t, created, "stage", "arn")
	f.refused(t, "DeleteStorageConfiguration", fmt.Sprintf(`{"arn":%q}`, storage), 409, "ConflictException", name)
	all := fmt.Sprintf(`{"hlsConfiguration":{"targetSegmentDurationSeconds":2},"mediaTypes":["NONE"],"recordParticipantReplicas":false,"recordingReconnectWindowSeconds":300,`+
		`"storageConfigurationArn":%q,"thumbnailConfiguration":{"recordingMode":"INTERVAL","storage":["LATEST","SEQUENTIAL"],"targetIntervalSeconds":1}}`, storage)
	update := func(config string) string {
		return fmt.Sprintf(`{"arn":%q,"autoParticipantRecordingConfiguration":%s}`, name, config)
	}
	f.must(t, "UpdateStage", update(all))
	f.must(t, "UpdateStage", fmt.Sprintf(`{"arn":%q,"name":"renamed"}`, name)) // leaves it
	f.restart(t)
	if got := config(f.must(t, "GetStage", fmt.Sprintf(`{"arn":%q}`, name))); got != all {
		t.Errorf("all members: %s", got)
	}
	for _, bad := range []string{
		`{"storageConfigurationArn":"` + storage + `","mediaTypes":["VIDEO"]}`, `{"storageConfigurationArn":"` + storage + `","recordingReconnectWindowSeconds":301}`,
		`{"storageConfigurationArn":"` + storage + `","hlsConfiguration":{"targetSegmentDurationSeconds":1}}`,
		`{"storageConfigurationArn":"` + storage + `","thumbnailConfiguration":{"targetIntervalSeconds":0}}`, `{}`,
	} {
		f.refused(t, "UpdateStage", update(bad), 400, "ValidationException", "autoParticipantRecordingConfiguration")
	}

	// A recording that is active keeps it.
	_, stageID, _ := strings.Cut(name, "/")
	id, p, run, _ := f.participantTapes.take(stageID+"/alice", "st-abcdefghijklm", stageRecording{Storage: storage, Window: 1}, time.Now())
	if run != 1 || p.recording != nil {
		t.Errorf("run %d", run)
	}
	f.refused(t, "UpdateStage", update(`{"storageConfigurationArn":""}`), 409, "ConflictException", "active")
	f.must(t, "UpdateStage", fmt.Sprintf(`{"arn":%q,"name":"again"}`, name))
	f.participantTapes.forget(id)
	if got := config(f.must(t, "UpdateStage", update(`{"storageConfigurationArn":"","mediaTypes":["NONE"]}`))); got != want("", "") {
		t.Errorf("turned off: %s", got)
	}
	f.must(t, "DeleteStorageConfiguration", fmt.Sprintf(`{"arn":%q}`, storage))
}

// TestParticipantPrefixes: two recordings of a participant that begin at once have different prefixes, and so have those that
// begin when the clock was set back, or forth and back.
func TestParticipantPrefixes(t *testing.T) {
	var tapes participantTapes
	now, last := time.Now(), time.Time{}
	for _, at := range []time.Time{now, now, now.Add(-time.Hour), now.Add(time.Hour), now} {
		_, _, run, started := tapes.take("stage/alice", "st-1", stageRecording{}, at)
		if run != 1 || !started.After(last) || started.Nanosecond() != 0 {
			t.Errorf("at %v: run %d at %v after %v", at, run, started, last)
		}
		last = started
	}
	if !tapes.active("stage") || tapes.active("stag") {
		t.Error("which stage is recorded is not known")
	}
}

// observed gives a Control a recorder that it hears of, with its spool in a folder. See run.
func observed(dir string) func(*Control) {
	return func(c *Control) {
		c.Recorder = &record.Recorder{Dir: filepath.Join(dir, "spool"), Objects: c.Objects, Observe: c.ObserveRecording, Noted: c.RecordingsNoted, Reserve: 1}
	}
}

// run starts the recorder of observed.
func (f *fixture) run(t *testing.T) {
	t.Helper()
	if err := f.Recorder.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Recorder.Close)
}

// recordingState waits until a participant's recording is in a state.
func (f *fixture) recordingState(t *testing.T, stageARN, session, participant, want string) (prefix string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		out := f.must(t, "GetParticipant", fmt.Sprintf(`{"stageArn":%q,"sessionId":%q,"participantId":%q}`, stageARN, session, participant))
		got := text(t, out, "participant", "recordingState")
		if got == want {
			return text(t, out, "participant", "recordingS3Prefix")
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %s, not %s", participant, got, want)
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}

// aliceJoins observes that a session of a stage begins and that alice joins it, and returns the latter.
func (f *fixture) aliceJoins(stageArn, session string) stage.Event {
	_, stageID, _ := strings.Cut(stageArn, "/")
	e := stage.Event{Kind: stage.SessionStarted, Time: time.Now(), StageID: stageID, SessionID: session}
	f.StageObserver().Observe(e)
	e.Kind, e.Grant = stage.Joined, stage.Grant{ParticipantID: "alice"}
	f.StageObserver().Observe(e)
	return e
}

// TestParticipantRecordingResumes: a recording that the server left goes on within its window, which the next start begins, and
// ends after it.
func TestParticipantRecordingResumes(t *testing.T) {
	const session = "st-abcdefghijklm"
	dir := t.TempDir()
	f := start(t, observed(dir))
	f.run(t)
	storage := text(t, f.must(t, "CreateStorageConfiguration", `{"s3":{"bucketName":"recordings"}}`), "storageConfiguration", "arn")
	name := text(t, f.must(t, "CreateStage", fmt.Sprintf(`{"autoParticipantRecordingConfiguration":{"storageConfigurationArn":%q,"recordingReconnectWindowSeconds":60}}`, storage)), "stage", "arn")
	e := f.aliceJoins(name, session)
	config := stageRecording{Storage: storage, Window: 60, MediaType: "AUDIO_VIDEO", Segment: 2}
	spec, err := f.participantSpec(t.Context(), "participant-1", e, config, time.Now().UTC())
	if err != nil {
		t.Fatal(err)
	}
	f.noteRecording(e.StageID, session, "alice", func(r *participantRecording) { *r = participantRecording{"STARTING", spec.Bucket, spec.Prefix} })
	if _, err := f.Recorder.Open(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	f.recordingState(t, name, session, "alice", "ACTIVE")
	f.Recorder.Close()
	f.down()
	f.up(t, observed(dir))
	f.run(t)
	if err := f.resumeParticipantTapes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, p, run, _ := f.participantTapes.take(e.StageID+"/alice", "st-0000000000000", config, time.Now()); run != 2 || len(p.sessions) != 2 {
		t.Errorf("alice comes back within the window: run %d of %v", run, p.sessions)
	} else {
		p.config.Window = 0
		f.endParticipantTape("participant-1", p, run)
	}
	f.recordingState(t, name, session, "alice", "STOPPED")
}

// TestParticipantRecordingOvertaken: a participant publishes again while the end of the time before is being noted. What is
// recorded is not STOPPING then.
func TestParticipantRecordingOvertaken(t *testing.T) {
	const session = "st-abcdefghijklm"
	f := start(t, observed(t.TempDir()))
	f.run(t)
	storage := text(t, f.must(t, "CreateStorageConfiguration", `{"s3":{"bucketName":"recordings"}}`), "storageConfiguration", "arn")
	name := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	e := f.aliceJoins(name, session)
	config := stageRecording{Storage: storage, Window: 60, MediaType: "AUDIO_VIDEO", Segment: 2}
	id, p, run, started := f.participantTapes.take(e.StageID+"/alice", session, config, time.Now())
	spec, err := f.participantSpec(t.Context(), id, e, config, started)
	if err != nil {
		t.Fatal(err)
	}
	f.noteRecording(e.StageID, session, "alice", func(r *participantRecording) { *r = participantRecording{"ACTIVE", spec.Bucket, spec.Prefix} })
	if p.recording, err = f.Recorder.Open(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	f.recordingState(t, name, session, "alice", "ACTIVE")

	again := make(chan struct{})
	f.stageJournal.observe(func(context.Context) error { <-again; return nil })
	f.endParticipantTape(id, p, run)
	if _, _, run, _ = f.participantTapes.take(e.StageID+"/alice", session, config, time.Now()); run != 2 {
		t.Fatalf("run %d", run)
	}
	close(again)
	f.stageJournal.flush(t.Context())
	if out := f.must(t, "GetParticipant", fmt.Sprintf(`{"stageArn":%q,"sessionId":%q,"participantId":"alice"}`, name, session)); text(t, out, "participant", "recordingState") != "ACTIVE" {
		t.Errorf("alice is recorded, and %v", at(t, out, "participant", "recordingState"))
	}
}

// TestParticipantRecording records people who publish: within the window they go on in one recording, and what cannot be
// written fails.
func TestParticipantRecording(t *testing.T) {
	live := &stage.Server{UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0"}
	faults := &faultyStore{}
	f := start(t, withFaults(t, faults), observed(t.TempDir()), func(c *Control) { live.Admission, c.Stages = c, live })
	f.run(t)
	live.Observer = f.StageObserver()
	if err := live.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { live.Close() })
	storage := text(t, f.must(t, "CreateStorageConfiguration", `{"s3":{"bucketName":"recordings"}}`), "storageConfiguration", "arn")
	name := text(t, f.must(t, "CreateStage", fmt.Sprintf(`{"autoParticipantRecordingConfiguration":{"storageConfigurationArn":%q,"recordingReconnectWindowSeconds":60}}`, storage)), "stage", "arn")
	_, stageID, _ := strings.Cut(name, "/")
	publish := func(g stage.Grant) *stage.Feed {
		t.Helper()
		g.StageID, g.StageARN, g.Publish = stageID, name, true
		feed, err := live.OpenFeed(t.Context(), g, stage.FeedOptions{Protocol: "RTMP"})
		if err != nil {
			t.Fatal(err)
		}
		feed.Start()
		return feed
	}
	reaches := func(id, want string) (prefix string) {
		t.Helper()
		return f.recordingState(t, name, live.ActiveSession(stageID), id, want)
	}

	publish(stage.Grant{ParticipantID: "hidden-one", Backstage: true})
	alice := publish(stage.Grant{ParticipantID: "alice"})
	prefix := reaches("alice", "ACTIVE")
	if !strings.HasPrefix(prefix, stageID+"/"+live.ActiveSession(stageID)+"/alice/20") {
		t.Errorf("prefix %s", prefix)
	}
	f.refused(t, "UpdateStage", fmt.Sprintf(`{"arn":%q,"autoParticipantRecordingConfiguration":{"storageConfigurationArn":""}}`, name), 409, "ConflictException", "active")
	alice.Close("by the test")
	reaches("alice", "STOPPING")
	alice = publish(stage.Grant{ParticipantID: "alice"})
	if again := reaches("alice", "ACTIVE"); again != prefix {
		t.Errorf("within the window: prefix %s, want %s", again, prefix)
	}
	f.participantTapes.mu.Lock()
	for _, p := range f.participantTapes.tapes {
		p.config.Window = 0
	}
	f.participantTapes.mu.Unlock()
	alice.Close("by the test")
	reaches("alice", "STOPPED")
	reaches("hidden-one", "DISABLED")

	faults.set(objectstore.ErrDenied)
	publish(stage.Grant{ParticipantID: "bob"})
	reaches("bob", "FAILED")
	faults.set(nil)
	if n := len(f.must(t, "ListParticipants", fmt.Sprintf(`{"stageArn":%q,"sessionId":%q,"filterByRecordingState":"STOPPED"}`, name, live.ActiveSession(stageID)))["participants"].([]any)); n != 1 {
		t.Errorf("%d participants are STOPPED", n)
	}
	if r, err := f.Recordings(context.Background()); err != nil || len(r) != 1 || r[0].State != record.Stored {
		t.Errorf("%v %+v", err, r)
	}
}
