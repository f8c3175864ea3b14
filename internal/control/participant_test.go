package control

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	rttypes "github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/stage"
)

// clock of the reported events: it begins at the whole second and moves on 1 ms per event.
type eventClock struct {
	f       *fixture
	stageID string
	session string
	now     time.Time
}

func (c *eventClock) report(kind stage.EventKind, participant string, more ...func(*stage.Event)) {
	c.now = c.now.Add(time.Millisecond)
	e := stage.Event{Kind: kind, Time: c.now, StageID: c.stageID, SessionID: c.session, Protocol: "UNKNOWN"}
	if participant != "" {
		e.Grant = stage.Grant{
			StageID: c.stageID, ParticipantID: participant, UserID: "user-" + participant,
			Attributes: map[string]string{"username": participant},
		}
	}
	for _, change := range more {
		change(&e)
	}
	c.f.StageObserver().Observe(e)
}

// play reports a session in which everyone named joins.
func play(f *fixture, stageID, session string, participants ...string) *eventClock {
	c := &eventClock{f: f, stageID: stageID, session: session, now: time.Now().Truncate(time.Second)}
	c.report(stage.SessionStarted, "")
	for _, p := range participants {
		c.report(stage.Joined, p)
	}
	return c
}

const session1, session2 = "st-aaaaaaaaaaaaa", "st-bbbbbbbbbbbbb"

func TestParticipants(t *testing.T) {
	f := start(t)
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	_, stageID, _ := strings.Cut(stageARN, "/")
	c := play(f, stageID, session1)
	began := c.now
	c.report(stage.Joined, "zoe", func(e *stage.Event) {
		e.UserAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.1.2 Safari/537.36"
	})
	joined := c.now
	c.report(stage.Joined, "adam")
	c.report(stage.PublishStarted, "zoe", func(e *stage.Event) { e.Protocol = "WHIP" })
	c.report(stage.SubscribeStarted, "adam", func(e *stage.Event) { e.RemoteParticipant = "zoe" })
	c.report(stage.SubscribeError, "adam", func(e *stage.Event) {
		e.RemoteParticipant, e.ErrorCode = "nobody", stage.PublisherNotFound
	})
	c.report(stage.PublishError, "mute", func(e *stage.Event) { e.ErrorCode = stage.InvalidVideoCodec })
	c.report(stage.PublishError, "adam", func(e *stage.Event) { e.ErrorCode = stage.TokenExpired }) // no such code in the API
	c.report(stage.Joined, "hidden", func(e *stage.Event) { e.Grant.Hidden = true })
	c.report(stage.PublishStopped, "zoe", func(e *stage.Event) { e.Protocol = "WHIP" })
	c.report(stage.Left, "zoe")

	in := fmt.Sprintf(`"stageArn":%q,"sessionId":%q`, stageARN, session1)
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }
	echo(t, f.must(t, "ListParticipants", `{`+in+`}`), fmt.Sprintf(`{"participants":[
		{"participantId":"zoe","userId":"user-zoe","state":"DISCONNECTED","published":true,"firstJoinTime":%q,"recordingState":"DISABLED","replicationType":"NONE","redundantIngest":false},
		{"participantId":"adam","userId":"user-adam","state":"CONNECTED","published":false,"firstJoinTime":%q,"recordingState":"DISABLED","replicationType":"NONE","redundantIngest":false}]}`,
		stamp(joined), stamp(joined.Add(time.Millisecond))))
	echo(t, f.must(t, "GetParticipant", `{`+in+`,"participantId":"zoe"}`), fmt.Sprintf(`{"participant":{
		"participantId":"zoe","userId":"user-zoe","state":"DISCONNECTED","published":true,"firstJoinTime":%q,
		"attributes":{"username":"zoe"},"osName":"Linux","browserName":"Chrome","browserVersion":"130.0.1.2",
		"recordingS3BucketName":"","recordingS3Prefix":"","recordingState":"DISABLED","protocol":"WHIP","replicationType":"NONE","redundantIngest":false}}`, stamp(joined)))

	filter := func(more string, want ...string) {
		t.Helper()
		out := f.must(t, "ListParticipants", `{`+in+`,`+more+`}`)
		var got []string
		for i := range at(t, out, "participants").([]any) {
			got = append(got, text(t, out, "participants", i, "participantId"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", more, got, want)
		}
	}
	filter(`"filterByUserId":"user-adam"`, "adam")
	filter(`"filterByState":"DISCONNECTED"`, "zoe")
	filter(`"filterByPublished":true`, "zoe")
	filter(`"filterByPublished":false`, "zoe", "adam")
	filter(`"filterByRecordingState":"ACTIVE"`)

	events := func(participant string) (names []string) {
		t.Helper()
		var next *string
		for {
			page, err := f.rt.ListParticipantEvents(t.Context(), &rtsdk.ListParticipantEventsInput{
				StageArn: &stageARN, SessionId: aws.String(session1), ParticipantId: &participant, MaxResults: aws.Int32(2), NextToken: next,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				names = append(names, strings.TrimSuffix(string(e.Name)+" "+aws.ToString(e.RemoteParticipantId)+" "+string(e.ErrorCode), "  "))
				if *e.ParticipantId != participant {
					t.Errorf("event of %s among those of %s", *e.ParticipantId, participant)
				}
			}
			if next = page.NextToken; next == nil {
				return names
			}
		}
	}
	for participant, want := range map[string][]string{
		"zoe":  {"LEFT", "PUBLISH_STOPPED", "PUBLISH_STARTED", "JOINED"},
		"adam": {"PUBLISH_ERROR", "SUBSCRIBE_ERROR nobody PUBLISHER_NOT_FOUND", "SUBSCRIBE_STARTED zoe ", "JOINED"},
		"mute": {"PUBLISH_ERROR  INVALID_VIDEO_CODEC"}, // refused before joining
	} {
		if got := events(participant); !slices.Equal(got, want) {
			t.Errorf("events of %s: %q, want %q", participant, got, want)
		}
	}
	f.refused(t, "GetParticipant", `{`+in+`,"participantId":"mute"}`, 404, "ResourceNotFoundException", "mute")
	f.refused(t, "GetParticipant", `{`+in+`,"participantId":"hidden"}`, 404, "ResourceNotFoundException", "hidden")
	f.refused(t, "ListParticipantEvents", `{`+in+`,"participantId":"nobody"}`, 404, "ResourceNotFoundException", "nobody")

	echo(t, f.must(t, "GetStageSession", `{`+in+`}`), fmt.Sprintf(`{"stageSession":{"sessionId":%q,"startTime":%q}}`, session1, stamp(began)))
	c.report(stage.SessionEnded, "")
	ended := c.now
	later := &eventClock{f: f, stageID: stageID, session: session2, now: c.now}
	later.report(stage.SessionStarted, "")
	echo(t, f.must(t, "ListStageSessions", fmt.Sprintf(`{"stageArn":%q}`, stageARN)), fmt.Sprintf(`{"stageSessions":[
		{"sessionId":%q,"startTime":%q},{"sessionId":%q,"startTime":%q,"endTime":%q}]}`,
		session2, stamp(later.now), session1, stamp(began), stamp(ended)))
	// Adam never said goodbye, but the session is over.
	filter(`"filterByState":"CONNECTED"`)
	if got := events("adam")[0]; got != "LEFT" {
		t.Errorf("newest event of adam is %q", got)
	}
}

// TestRejoin: one participant who comes twice in a session is one participant.
func TestRejoin(t *testing.T) {
	f := start(t)
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	_, stageID, _ := strings.Cut(stageARN, "/")
	c := play(f, stageID, session1, "ann")
	first := c.now
	c.report(stage.PublishStarted, "ann")
	c.report(stage.Left, "ann")
	c.report(stage.Joined, "ann")
	out, err := f.rt.ListParticipants(t.Context(), &rtsdk.ListParticipantsInput{StageArn: &stageARN, SessionId: aws.String(session1)})
	if err != nil || len(out.Participants) != 1 {
		t.Fatalf("participants %+v, %v", out, err)
	}
	p := out.Participants[0]
	if p.State != rttypes.ParticipantStateConnected || !p.Published || !p.FirstJoinTime.Equal(first) {
		t.Errorf("participant %+v, first joined %s", p, first)
	}
}

// TestParticipantPages goes through more participants than a page has, some of whom join at the same instant.
func TestParticipantPages(t *testing.T) {
	f := start(t)
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	_, stageID, _ := strings.Cut(stageARN, "/")
	c := play(f, stageID, session1)
	const n = 23
	for i := range n {
		c.report(stage.Joined, fmt.Sprintf("p%02d", i), func(e *stage.Event) { e.Time = c.now.Truncate(10 * time.Millisecond) })
	}
	seen := map[string]bool{}
	pages := 0
	var next *string
	for {
		page, err := f.rt.ListParticipants(t.Context(), &rtsdk.ListParticipantsInput{StageArn: &stageARN, SessionId: aws.String(session1), MaxResults: aws.Int32(5), NextToken: next})
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, p := range page.Participants {
			seen[*p.ParticipantId] = true
		}
		if next = page.NextToken; next == nil {
			break
		}
	}
	if len(seen) != n || pages != 5 {
		t.Errorf("%d participants on %d pages, want %d on 5", len(seen), pages, n)
	}
}

func TestRestartEndsSessions(t *testing.T) {
	f := start(t)
	stageARN := text(t, f.must(t, "CreateStage", `{"participantTokenConfigurations":[{}]}`), "stage", "arn")
	_, stageID, _ := strings.Cut(stageARN, "/")
	orphan := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	_, orphanID, _ := strings.Cut(orphan, "/")
	play(f, stageID, session1, "ann", "bob")
	play(f, orphanID, session2, "eve")
	f.stageJournal.flush(t.Context())
	// As a crash in the middle of DeleteStage leaves it.
	if err := f.Control.stages.Delete(t.Context(), orphanID); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	f.restart(t)

	out, err := f.rt.GetStageSession(t.Context(), &rtsdk.GetStageSessionInput{StageArn: &stageARN, SessionId: aws.String(session1)})
	if err != nil || out.StageSession.EndTime == nil || out.StageSession.EndTime.Before(before.Truncate(time.Millisecond)) {
		t.Fatalf("session after the restart %+v, %v", out, err)
	}
	people, err := f.rt.ListParticipants(t.Context(), &rtsdk.ListParticipantsInput{StageArn: &stageARN, SessionId: aws.String(session1), FilterByState: rttypes.ParticipantStateDisconnected})
	if err != nil || len(people.Participants) != 2 {
		t.Errorf("disconnected after the restart: %+v, %v", people, err)
	}
	f.must(t, "DeleteStage", fmt.Sprintf(`{"arn":%q}`, stageARN))
	f.noOrphans(t)
}
