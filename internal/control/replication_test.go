package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	rttypes "github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/stage"
)

// liveFixture is a fixture with real stages.
type liveFixture struct {
	*fixture
	live *stage.Server
}

// startLive runs a Control with real stages, on whose media ports nobody is.
func startLive(t *testing.T, configure ...func(*Control)) *liveFixture {
	f := &liveFixture{fixture: &fixture{dir: t.TempDir()}}
	f.begin(t, configure...)
	t.Cleanup(f.end)
	return f
}

func (f *liveFixture) begin(t *testing.T, configure ...func(*Control)) {
	t.Helper()
	f.up(t, configure...)
	f.live = &stage.Server{
		UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0", Admission: f.Control, Observer: f.StageObserver(), Log: slog.New(slog.DiscardHandler),
		MaxReplications: f.Quotas.ReplicationsPerParticipant, MaxPublishers: f.Quotas.PublishersPerStage,
	}
	if err := f.live.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.Control.Stages = f.live
	if err := f.ResumeReplications(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (f *liveFixture) end() {
	f.live.Close()
	f.down()
}

func (f *liveFixture) newStage(t *testing.T) string {
	t.Helper()
	return text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
}

// publish has a participant publish on a stage.
func (f *liveFixture) publish(t *testing.T, stageARN, participant string) *stage.Feed {
	t.Helper()
	feed, err := f.live.OpenFeed(t.Context(), stage.Grant{
		StageID: stageID(stageARN), ParticipantID: participant, UserID: "user-" + participant, Publish: true,
		Attributes: map[string]string{"name": participant, "role": "host"},
	}, stage.FeedOptions{Protocol: "WHIP"})
	if err != nil {
		t.Fatal(err)
	}
	feed.Start()
	return feed
}

func stageID(stageARN string) string { return stageARN[strings.LastIndexByte(stageARN, '/')+1:] }

func (f *liveFixture) start(t *testing.T, source, destination string, change ...func(*rtsdk.StartParticipantReplicationInput)) error {
	in := &rtsdk.StartParticipantReplicationInput{SourceStageArn: &source, DestinationStageArn: &destination, ParticipantId: aws.String("ann")}
	for _, c := range change {
		c(in)
	}
	_, err := f.rt.StartParticipantReplication(t.Context(), in)
	return err
}

func (f *liveFixture) stop(t *testing.T, source, destination string) error {
	_, err := f.rt.StopParticipantReplication(t.Context(), &rtsdk.StopParticipantReplicationInput{
		SourceStageArn: &source, DestinationStageArn: &destination, ParticipantId: aws.String("ann"),
	})
	return err
}

// replicas lists ann's.
func (f *liveFixture) replicas(t *testing.T, source string) []rttypes.ParticipantReplica {
	t.Helper()
	out, err := f.rt.ListParticipantReplicas(t.Context(), &rtsdk.ListParticipantReplicasInput{SourceStageArn: &source, ParticipantId: aws.String("ann")})
	if err != nil {
		t.Fatal(err)
	}
	return out.Replicas
}

func (f *liveFixture) participant(t *testing.T, stageARN string, session *string) *rttypes.Participant {
	t.Helper()
	out, err := f.rt.GetParticipant(t.Context(), &rtsdk.GetParticipantInput{StageArn: &stageARN, SessionId: session, ParticipantId: aws.String("ann")})
	if err != nil {
		t.Fatal(err)
	}
	return out.Participant
}

// events are ann's on a stage, newest first.
func (f *liveFixture) annsEvents(t *testing.T, stageARN string, session *string) []rttypes.Event {
	t.Helper()
	out, err := f.rt.ListParticipantEvents(t.Context(), &rtsdk.ListParticipantEventsInput{StageArn: &stageARN, SessionId: session, ParticipantId: aws.String("ann")})
	if err != nil {
		t.Fatal(err)
	}
	return out.Events
}

func names(events []rttypes.Event) (out []string) {
	for _, e := range events {
		name := string(e.Name)
		if e.Replica {
			name += " replica"
		}
		out = append(out, name)
	}
	return out
}

func TestReplication(t *testing.T) {
	events := &told{}
	f := startLive(t, func(c *Control) { c.Events = events })
	source, destination := f.newStage(t), f.newStage(t)
	f.publish(t, source, "ann")
	if err := f.start(t, source, destination, func(in *rtsdk.StartParticipantReplicationInput) {
		in.Attributes = map[string]string{"name": "Ann", "slot": "1"}
	}); err != nil {
		t.Fatal(err)
	}
	list := f.replicas(t, source)
	if len(list) != 1 || *list[0].SourceStageArn != source || *list[0].DestinationStageArn != destination || *list[0].ParticipantId != "ann" ||
		*list[0].SourceSessionId != f.live.ActiveSession(stageID(source)) || *list[0].DestinationSessionId != f.live.ActiveSession(stageID(destination)) ||
		list[0].ReplicationState != rttypes.ReplicationStateActive {
		t.Fatalf("replicas %+v", list)
	}
	here, there := list[0].SourceSessionId, list[0].DestinationSessionId
	if p := f.participant(t, source, here); p.ReplicationType != rttypes.ReplicationTypeSource || p.ReplicationState != rttypes.ReplicationStateActive || p.SourceStageArn != nil {
		t.Errorf("the original is %+v", p)
	}
	p := f.participant(t, destination, there)
	if p.ReplicationType != rttypes.ReplicationTypeReplica || p.ReplicationState != rttypes.ReplicationStateActive || !p.Published ||
		aws.ToString(p.SourceStageArn) != source || aws.ToString(p.SourceSessionId) != *here || *p.UserId != "user-ann" || p.Protocol != rttypes.ParticipantProtocolWhip ||
		!maps.Equal(p.Attributes, map[string]string{"name": "Ann", "slot": "1", "role": "host"}) {
		t.Errorf("the replica is %+v", p)
	}
	if f.Publishers(destination) != 1 {
		t.Error("nobody publishes on the destination")
	}
	people, err := f.rt.ListParticipants(t.Context(), &rtsdk.ListParticipantsInput{StageArn: &destination, SessionId: there})
	if err != nil || len(people.Participants) != 1 || people.Participants[0].ReplicationType != rttypes.ReplicationTypeReplica || aws.ToString(people.Participants[0].SourceStageArn) != source {
		t.Errorf("participants %+v, %v", people, err)
	}

	if err := f.stop(t, source, destination); err != nil {
		t.Fatal(err)
	}
	if list := f.replicas(t, source); len(list) != 1 || list[0].ReplicationState != rttypes.ReplicationStateStopped {
		t.Errorf("replicas after the stop %+v", list)
	}
	if p := f.participant(t, source, here); p.ReplicationType != rttypes.ReplicationTypeSource || p.ReplicationState != rttypes.ReplicationStateStopped {
		t.Errorf("the original is %+v", p)
	}
	if p := f.participant(t, destination, there); p.State != rttypes.ParticipantStateDisconnected || p.ReplicationState != rttypes.ReplicationStateStopped {
		t.Errorf("the replica is %+v", p)
	}
	if got, want := fmt.Sprint(names(f.annsEvents(t, source, here))), "[REPLICATION_STOPPED REPLICATION_STARTED PUBLISH_STARTED JOINED]"; got != want {
		t.Errorf("events of the original: %s, want %s", got, want)
	}
	if e := f.annsEvents(t, source, here)[0]; aws.ToString(e.DestinationStageArn) != destination || aws.ToString(e.DestinationSessionId) != *there || e.Replica || e.ErrorCode != "" || e.RemoteParticipantId != nil {
		t.Errorf("event %+v", e)
	}
	if got, want := fmt.Sprint(names(f.annsEvents(t, destination, there))), "[LEFT PUBLISH_STOPPED replica PUBLISH_STARTED replica JOINED]"; got != want {
		t.Errorf("events of the replica: %s, want %s", got, want)
	}

	var got []string
	for _, line := range events.list {
		got = append(got, timeless(line))
	}
	detail := func(session *string, name, more string) string {
		return fmt.Sprintf(`{"session_id":%q,"event_name":"Participant %s","event_time":"T","event_time_precise":"T","user_id":"user-ann","participant_id":"ann"%s}`, *session, name, more)
	}
	origin := fmt.Sprintf(`,"replica":true,"source_stage_arn":%q,"source_session_id":%q`, source, *here)
	to := fmt.Sprintf(`,"destination_stage_arn":%q,"destination_session_id":%q`, destination, *there)
	want := []string{
		"IVS Stage Update " + source + " " + detail(here, "Published", ""),
		"IVS Stage Update " + destination + " " + detail(there, "Published", origin),
		"IVS Stage Update " + source + " " + strings.Replace(detail(here, "Replication Start", to), `"event_time_precise":"T",`, "", 1),
		"IVS Stage Update " + destination + " " + detail(there, "Unpublished", origin),
		"IVS Stage Update " + source + " " + strings.Replace(detail(here, "Replication End", to), `"event_time_precise":"T",`, "", 1),
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("told:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// It can be started again.
	if err := f.start(t, source, destination); err != nil {
		t.Fatal(err)
	}
	if list := f.replicas(t, source); len(list) != 1 || list[0].ReplicationState != rttypes.ReplicationStateActive {
		t.Errorf("replicas %+v", list)
	}
}

// timeless is an event's line without its times.
func timeless(line string) string {
	for _, member := range []string{`"event_time":"`, `"event_time_precise":"`, `"expiration_time":"`} {
		for from := 0; ; {
			i := strings.Index(line[from:], member)
			if i < 0 {
				break
			}
			from += i + len(member)
			end := from + strings.IndexByte(line[from:], '"')
			line = line[:from] + "T" + line[end:]
		}
	}
	return line
}

func TestReplicationErrors(t *testing.T) {
	f := startLive(t, func(c *Control) { c.Quotas.PublishersPerStage = 1 })
	source, destination, full := f.newStage(t), f.newStage(t), f.newStage(t)
	f.publish(t, source, "ann")
	f.publish(t, full, "zoe")
	missing := source[:len(source)-12] + "aaaaaaaaaaaa"
	elsewhere := strings.Replace(source, "us-east-1", "us-west-2", 1)
	for name, c := range map[string]struct {
		source, destination string
		change              func(*rtsdk.StartParticipantReplicationInput)
		want                string
	}{
		"one stage":              {source, source, nil, "ValidationException"},
		"no ARN":                 {"stage", destination, nil, "ValidationException"},
		"an ARN of another kind": {source, strings.Replace(destination, "stage/", "composition/", 1), nil, "ValidationException"},
		"too long a window":      {source, destination, func(in *rtsdk.StartParticipantReplicationInput) { in.ReconnectWindowSeconds = aws.Int32(301) }, "ValidationException"},
		"a negative window":      {source, destination, func(in *rtsdk.StartParticipantReplicationInput) { in.ReconnectWindowSeconds = aws.Int32(-1) }, "ValidationException"},
		"too many attributes": {source, destination, func(in *rtsdk.StartParticipantReplicationInput) {
			in.Attributes = map[string]string{"a": strings.Repeat("x", 1024)}
		}, "ValidationException"},
		"a bad participant":        {source, destination, func(in *rtsdk.StartParticipantReplicationInput) { in.ParticipantId = aws.String("a/b") }, "ValidationException"},
		"no participant":           {source, destination, func(in *rtsdk.StartParticipantReplicationInput) { in.ParticipantId = aws.String("") }, "ValidationException"},
		"a source that is not":     {missing, destination, nil, "ResourceNotFoundException"},
		"a destination that isn't": {source, missing, nil, "ResourceNotFoundException"},
		"another region":           {source, elsewhere, nil, "ResourceNotFoundException"},
		"somebody who is not here": {source, destination, func(in *rtsdk.StartParticipantReplicationInput) { in.ParticipantId = aws.String("bob") }, "ResourceNotFoundException"},
		"a stage without anybody":  {destination, source, nil, "ResourceNotFoundException"},
		"a full stage":             {source, full, nil, "ServiceQuotaExceededException"},
	} {
		var change []func(*rtsdk.StartParticipantReplicationInput)
		if c.change != nil {
			change = append(change, c.change)
		}
		if got := sdkCode(f.start(t, c.source, c.destination, change...)); got != c.want {
			t.Errorf("%s: %q, want %s", name, got, c.want)
		}
	}
	if err := f.start(t, source, destination); err != nil {
		t.Fatal(err)
	}
	var conflict *rttypes.ConflictException
	if err := f.start(t, source, destination); !errors.As(err, &conflict) {
		t.Errorf("twice: %v", err)
	}
	other := f.newStage(t)
	f.publish(t, other, "ann")
	if err := f.start(t, source, other); !errors.As(err, &conflict) {
		t.Errorf("to a stage with the id: %v", err)
	}
	for range 4 {
		if err := f.start(t, source, f.newStage(t)); err != nil {
			t.Fatal(err)
		}
	}
	var quota *rttypes.ServiceQuotaExceededException
	if err := f.start(t, source, f.newStage(t)); !errors.As(err, &quota) || !strings.Contains(aws.ToString(quota.ExceptionMessage), "5 replications") {
		t.Errorf("the sixth: %v", err)
	}
	for name, c := range map[string]struct{ source, destination, want string }{
		"one stage":          {source, source, "ValidationException"},
		"no such stage":      {source, missing, "ResourceNotFoundException"},
		"no such source":     {missing, source, "ResourceNotFoundException"},
		"no replica there":   {source, full, "ResourceNotFoundException"},
		"the other way":      {destination, source, "ResourceNotFoundException"},
		"what there is":      {source, destination, ""},
		"what there was":     {source, destination, "ResourceNotFoundException"},
		"in another account": {strings.Replace(source, "000000000000", "111111111111", 1), destination, "ResourceNotFoundException"},
	} {
		if name == "what there was" || name == "what there is" {
			continue
		}
		if got := sdkCode(f.stop(t, c.source, c.destination)); got != c.want {
			t.Errorf("stop, %s: %q, want %s", name, got, c.want)
		}
	}
	if got := outcomes(4, func(int) error { return f.stop(t, source, destination) }); got[""] != 1 || got["ResourceNotFoundException"] != 3 {
		t.Errorf("stops that race: %v", got)
	}
	f.refused(t, "ListParticipantReplicas", fmt.Sprintf(`{"sourceStageArn":%q,"participantId":"ann","maxResults":51}`, source), 400, "ValidationException", "maxResults")
	f.refused(t, "ListParticipantReplicas", fmt.Sprintf(`{"sourceStageArn":%q,"participantId":"ann","nextToken":"aaaa"}`, source), 400, "ValidationException", "")
	f.refused(t, "ListParticipantReplicas", fmt.Sprintf(`{"sourceStageArn":%q,"participantId":""}`, source), 400, "ValidationException", "")
	f.refused(t, "ListParticipantReplicas", fmt.Sprintf(`{"sourceStageArn":%q,"participantId":"ann"}`, missing), 404, "ResourceNotFoundException", missing)
	if out := f.must(t, "ListParticipantReplicas", fmt.Sprintf(`{"sourceStageArn":%q,"participantId":"nobody"}`, source)); len(at(t, out, "replicas").([]any)) != 0 {
		t.Errorf("replicas of nobody: %v", out)
	}
}

func TestReplicaPages(t *testing.T) {
	const n = 7
	f := startLive(t, func(c *Control) { c.Quotas.ReplicationsPerParticipant = n })
	source := f.newStage(t)
	f.publish(t, source, "ann")
	var want []string
	for range n {
		want = append(want, f.newStage(t))
		if err := f.start(t, source, want[len(want)-1]); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	pages := rtsdk.NewListParticipantReplicasPaginator(f.rt, &rtsdk.ListParticipantReplicasInput{SourceStageArn: &source, ParticipantId: aws.String("ann"), MaxResults: aws.Int32(3)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Replicas) > 3 {
			t.Errorf("a page of %d", len(page.Replicas))
		}
		for _, r := range page.Replicas {
			got = append(got, *r.DestinationStageArn)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("replicas on %v, want %v", got, want)
	}
}

// TestReplicationOverRestart: a replication with a window goes on when its participant comes back to the next process; one
// without has ended.
func TestReplicationOverRestart(t *testing.T) {
	events := &told{}
	tell := func(c *Control) { c.Events = events }
	f := startLive(t, tell)
	source, patient, strict := f.newStage(t), f.newStage(t), f.newStage(t)
	f.publish(t, source, "ann")
	if err := f.start(t, source, patient, func(in *rtsdk.StartParticipantReplicationInput) {
		in.ReconnectWindowSeconds = aws.Int32(300)
		in.Attributes = map[string]string{"slot": "7"}
	}); err != nil {
		t.Fatal(err)
	}
	if err := f.start(t, source, strict); err != nil {
		t.Fatal(err)
	}
	old := f.replicas(t, source)[0].SourceSessionId
	f.end()
	f.begin(t, tell)
	list := f.replicas(t, source)
	if len(list) != 2 || list[0].ReplicationState != rttypes.ReplicationStateActive || list[1].ReplicationState != rttypes.ReplicationStateStopped {
		t.Fatalf("after the restart: %+v", list)
	}
	if e := f.annsEvents(t, source, old)[0]; e.Name != rttypes.EventNameReplicationStopped || *e.DestinationStageArn != strict {
		t.Errorf("the newest event is %+v", e)
	}
	if last := events.list[len(events.list)-1]; !strings.Contains(last, "Participant Replication End") || !strings.Contains(last, strict) {
		t.Errorf("last told: %s", last)
	}
	f.publish(t, source, "ann")
	var now rttypes.ParticipantReplica
	for deadline := time.Now().Add(time.Minute); ; {
		now = f.replicas(t, source)[0]
		if *now.SourceSessionId != *old {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not go on: %+v", now)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if p := f.participant(t, patient, now.DestinationSessionId); p.State != rttypes.ParticipantStateConnected || p.Attributes["slot"] != "7" || *p.SourceSessionId != *now.SourceSessionId {
		t.Errorf("the replica is %+v", p)
	}
	if p := f.participant(t, source, now.SourceSessionId); p.ReplicationType != rttypes.ReplicationTypeSource {
		t.Errorf("the original is %+v", p)
	}
}

// TestDeleteReplicatedStages: deleting either stage ends the replication, and nothing of it is left.
func TestDeleteReplicatedStages(t *testing.T) {
	for _, which := range []string{"source", "destination"} {
		f := startLive(t)
		source, destination := f.newStage(t), f.newStage(t)
		f.publish(t, source, "ann")
		if err := f.start(t, source, destination, func(in *rtsdk.StartParticipantReplicationInput) { in.ReconnectWindowSeconds = aws.Int32(60) }); err != nil {
			t.Fatal(err)
		}
		first, second := destination, source
		if which == "source" {
			first, second = source, destination
		}
		here := f.replicas(t, source)[0].SourceSessionId
		f.must(t, "DeleteStage", fmt.Sprintf(`{"arn":%q}`, first))
		if which == "destination" {
			if list := f.replicas(t, source); len(list) != 0 {
				t.Errorf("replicas %+v", list)
			}
			if p := f.participant(t, source, here); p.State != rttypes.ParticipantStateConnected || p.ReplicationState != rttypes.ReplicationStateStopped {
				t.Errorf("the original is %+v", p)
			}
		} else if f.Publishers(destination) != 0 {
			t.Error("the replica is still there")
		}
		f.must(t, "DeleteStage", fmt.Sprintf(`{"arn":%q}`, second))
		f.noOrphans(t)
	}
}

// TestReplicationRaces: starts, stops and deletions at once end in one state.
func TestReplicationRaces(t *testing.T) {
	f := startLive(t)
	for range 5 {
		source, destination := f.newStage(t), f.newStage(t)
		f.publish(t, source, "ann")
		got := outcomes(9, func(i int) error {
			switch i % 3 {
			case 0:
				return f.start(t, source, destination)
			case 1:
				return f.stop(t, source, destination)
			}
			if i < 8 {
				return nil
			}
			_, err := f.rt.DeleteStage(t.Context(), &rtsdk.DeleteStageInput{Arn: &destination})
			return err
		})
		if got[""]+got["ConflictException"]+got["ResourceNotFoundException"] != 9 {
			t.Errorf("outcomes %v", got)
		}
		f.must(t, "DeleteStage", fmt.Sprintf(`{"arn":%q}`, source))
		for deadline := time.Now().Add(time.Minute); f.live.Stats().Stages > 0 && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		f.noOrphans(t)
	}
}

// TestDisconnectReplica: either end of a replication can be disconnected.
func TestDisconnectReplica(t *testing.T) {
	f := startLive(t)
	source, destination := f.newStage(t), f.newStage(t)
	f.publish(t, source, "ann")
	window := func(in *rtsdk.StartParticipantReplicationInput) { in.ReconnectWindowSeconds = aws.Int32(300) }
	if err := f.start(t, source, destination, window); err != nil {
		t.Fatal(err)
	}
	f.must(t, "DisconnectParticipant", fmt.Sprintf(`{"stageArn":%q,"participantId":"ann"}`, destination))
	if list := f.replicas(t, source); list[0].ReplicationState != rttypes.ReplicationStateStopped {
		t.Errorf("replicas %+v", list)
	}
	if f.Publishers(source) != 1 || f.Publishers(destination) != 0 {
		t.Error("the wrong one was disconnected")
	}
	if err := f.start(t, source, destination, window); err != nil { // it is no token that comes back
		t.Fatal(err)
	}
	f.must(t, "DisconnectParticipant", fmt.Sprintf(`{"stageArn":%q,"participantId":"ann"}`, source))
	if list := f.replicas(t, source); list[0].ReplicationState != rttypes.ReplicationStateStopped || f.Publishers(destination) != 0 {
		t.Errorf("replicas %+v", list)
	}
}
