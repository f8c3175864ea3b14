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

// TestParticipantPrefixes: two recordings of a participant that begin at once have different prefixes.
func TestParticipantPrefixes(t *testing.T) {
	var tapes participantTapes
	now := time.Now()
	_, _, _, first := tapes.take("stage/alice", "st-1", stageRecording{}, now)
	_, _, run, second := tapes.take("stage/alice", "st-1", stageRecording{}, now)
	if run != 1 || !second.After(first) || second.Nanosecond() != 0 {
		t.Errorf("run %d at %v after %v", run, second, first)
	}
	if !tapes.active("stage") || tapes.active("stag") {
		t.Error("which stage is recorded is not known")
	}
}

// TestParticipantRecording records people who publish on a stage of its own: within the window they go on in one
// recording, who may not be written to fails, and after a restart a recording waits for its window and ends.
func TestParticipantRecording(t *testing.T) {
	live := &stage.Server{UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0"}
	faults := &faultyStore{}
	var told record.Recorder
	f := start(t, withFaults(t, faults), func(c *Control) {
		live.Admission = c
		c.Stages = live
		told = record.Recorder{Dir: filepath.Join(t.TempDir(), "spool"), Objects: c.Objects, Observe: c.ObserveRecording, Reserve: 1}
		c.Recorder = &told
		if err := told.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(told.Close)
	})
	live.Observer = f.StageObserver()
	if err := live.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { live.Close() })
	storage := text(t, f.must(t, "CreateStorageConfiguration", `{"s3":{"bucketName":"recordings"}}`), "storageConfiguration", "arn")
	name := text(t, f.must(t, "CreateStage", fmt.Sprintf(`{"autoParticipantRecordingConfiguration":{"storageConfigurationArn":%q,"recordingReconnectWindowSeconds":1}}`, storage)), "stage", "arn")
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
	state := func(id string) (state, prefix string) {
		out := f.must(t, "GetParticipant", fmt.Sprintf(`{"stageArn":%q,"sessionId":%q,"participantId":%q}`, name, live.ActiveSession(stageID), id))
		return text(t, out, "participant", "recordingState"), text(t, out, "participant", "recordingS3Prefix")
	}
	reaches := func(id, want string) (prefix string) {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for {
			got, prefix := state(id)
			if got == want {
				return prefix
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is %s, not %s", id, got, want)
			}
			time.Sleep(5 * time.Millisecond) // between two looks
		}
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
	alice.Close("by the test")
	reaches("alice", "STOPPED")
	if got, prefix := state("hidden-one"); got != "DISABLED" || prefix != "" {
		t.Errorf("a physical stream is %s in %q", got, prefix)
	}

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
