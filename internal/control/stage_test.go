package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	rttypes "github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/stage"
)

// goldenStage is a stage as CreateStage answers without any parameter (spec/realtime.md §1, composition.md §6).
const goldenStage = `{
	"arn": "<arn>", "name": "<name>", "tags": {},
	"autoParticipantRecordingConfiguration": {
		"storageConfigurationArn": "", "mediaTypes": ["AUDIO_VIDEO"],
		"thumbnailConfiguration": {"recordingMode": "DISABLED", "targetIntervalSeconds": 60, "storage": ["SEQUENTIAL"]},
		"recordingReconnectWindowSeconds": 0, "hlsConfiguration": {"targetSegmentDurationSeconds": 6},
		"recordParticipantReplicas": true
	},
	"endpoints": {
		"events": "ws://127.0.0.1:4080/events", "whip": "http://127.0.0.1:4080/whip",
		"rtmp": "rtmp://127.0.0.1:1935/app/", "rtmps": "rtmps://127.0.0.1:1936/app/"
	}
}`

func TestStageEcho(t *testing.T) {
	f := start(t)
	out := f.must(t, "CreateStage", `{"name":"my-first-stage"}`)
	name := text(t, out, "stage", "arn")
	golden := fill(goldenStage, name, "my-first-stage")
	echo(t, out, `{"stage":`+golden+`,"participantTokens":[]}`)
	echo(t, f.must(t, "GetStage", fmt.Sprintf(`{"arn":%q}`, name)), `{"stage":`+golden+`}`)
	echo(t, f.must(t, "ListStages", `{}`), fmt.Sprintf(`{"stages":[{"arn":%q,"name":"my-first-stage","tags":{}}]}`, name))
	echo(t, f.must(t, "UpdateStage", fmt.Sprintf(`{"arn":%q,"name":"renamed"}`, name)), `{"stage":`+fill(goldenStage, name, "renamed")+`}`)
	echo(t, f.must(t, "UpdateStage", fmt.Sprintf(`{"arn":%q,"autoParticipantRecordingConfiguration":{"storageConfigurationArn":""}}`, name)), `{"stage":`+fill(goldenStage, name, "renamed")+`}`)

	_, id, _ := strings.Cut(name, "/")
	f.stages.sessions[id] = "st-abcdefghijklm"
	if got := text(t, f.must(t, "GetStage", fmt.Sprintf(`{"arn":%q}`, name)), "stage", "activeSessionId"); got != "st-abcdefghijklm" {
		t.Errorf("active session %q", got)
	}
	if got := text(t, f.must(t, "ListStages", `{}`), "stages", 0, "activeSessionId"); got != "st-abcdefghijklm" {
		t.Errorf("active session %q in the list", got)
	}
}

func TestCreateStageWithTokens(t *testing.T) {
	f := start(t)
	out, err := f.rt.CreateStage(t.Context(), &rtsdk.CreateStageInput{
		Tags: map[string]string{"a": "b"},
		ParticipantTokenConfigurations: []rttypes.ParticipantTokenConfiguration{
			{UserId: aws.String("first"), Duration: aws.Int32(1)},
			{UserId: aws.String("second"), Capabilities: []rttypes.ParticipantTokenCapability{"SUBSCRIBE"}, Attributes: map[string]string{"k": "v"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if out.Stage.Tags["a"] != "b" || len(out.ParticipantTokens) != 2 || *out.ParticipantTokens[0].UserId != "first" || *out.ParticipantTokens[1].UserId != "second" {
		t.Fatalf("stage %+v tokens %+v", out.Stage, out.ParticipantTokens)
	}
	g, err := f.Admit(t.Context(), *out.ParticipantTokens[1].Token)
	if err != nil || g.StageARN != *out.Stage.Arn || g.UserID != "second" || g.Attributes["k"] != "v" || g.Publish || !g.Subscribe || g.Hidden {
		t.Errorf("grant %+v, %v", g, err)
	}
	if g, err := f.Admit(t.Context(), *out.ParticipantTokens[0].Token); err != nil || !g.Publish || !g.Subscribe {
		t.Errorf("grant %+v, %v", g, err)
	}
}

func TestStageRefusals(t *testing.T) {
	f := start(t)
	const v, missing = "ValidationException", "ResourceNotFoundException"
	const unknown = "arn:aws:ivs:us-east-1:000000000000:stage/abcdefghijkl"
	const foreign = "arn:aws:ivs:us-east-1:999999999999:stage/abcdefghijkl"
	const storage = `{"storageConfigurationArn":"arn:aws:ivs:us-east-1:000000000000:storage-configuration/abc"}`
	existing := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	long, err := json.Marshal(map[string]string{"k": strings.Repeat("é", 512)})
	if err != nil {
		t.Fatal(err)
	}
	session := fmt.Sprintf(`"stageArn":%q,"sessionId":"st-abcdefghijklm"`, existing)
	for _, c := range []struct {
		operation, body string
		status          int
		code, words     string
	}{
		{"CreateStage", `{"name":"no spaces"}`, 400, v, "name"},
		{"CreateStage", `{"tags":{"aws:x":"y"}}`, 400, v, "reserved"},
		{"CreateStage", `{"autoParticipantRecordingConfiguration":` + storage + `}`, 400, v, "storage-configuration/abc not found"},
		{"CreateStage", `{"autoParticipantRecordingConfiguration":{"storageConfigurationArn":"x"}}`, 400, v, "storageConfigurationArn"},
		{"CreateStage", `{"autoParticipantRecordingConfiguration":{"storageConfigurationArn":"arn:aws:ivs:eu-west-1:000000000000:storage-configuration/abc"}}`, 400, v, "region"},
		{"CreateStage", `{"participantTokenConfigurations":[{"attributes":` + string(long) + `}]}`, 400, v, "1025 bytes"},
		{"UpdateStage", fmt.Sprintf(`{"arn":%q,"autoParticipantRecordingConfiguration":%s}`, existing, storage), 404, missing, "storage-configuration/abc not found"},
		{"UpdateStage", fmt.Sprintf(`{"arn":%q,"name":"x"}`, unknown), 404, missing, "Resource: " + unknown + " not found"},
		{"GetStage", fmt.Sprintf(`{"arn":%q}`, unknown), 404, missing, "Resource: " + unknown + " not found"},
		{"GetStage", fmt.Sprintf(`{"arn":%q}`, foreign), 404, missing, foreign},
		{"GetStage", `{"arn":"arn:aws:ivs:us-east-1:000000000000:channel/abc"}`, 400, v, "arn"},
		{"DeleteStage", fmt.Sprintf(`{"arn":%q}`, unknown), 404, missing, unknown},
		{"CreateParticipantToken", fmt.Sprintf(`{"stageArn":%q}`, unknown), 404, missing, unknown},
		{"CreateParticipantToken", fmt.Sprintf(`{"stageArn":%q,"duration":20161}`, existing), 400, v, "duration"},
		{"CreateParticipantToken", fmt.Sprintf(`{"stageArn":%q,"duration":0}`, existing), 400, v, "duration"},
		{"CreateParticipantToken", fmt.Sprintf(`{"stageArn":%q,"attributes":%s}`, existing, long), 400, v, "at most 1024"},
		{"CreateParticipantToken", fmt.Sprintf(`{"stageArn":%q,"capabilities":["DANCE"]}`, existing), 400, v, "DANCE"},
		{"CreateParticipantToken", fmt.Sprintf(`{"stageArn":%q,"userId":%q}`, existing, strings.Repeat("x", 129)), 400, v, "userId"},
		{"DisconnectParticipant", fmt.Sprintf(`{"stageArn":%q,"participantId":"x"}`, unknown), 404, missing, unknown},
		{"DisconnectParticipant", fmt.Sprintf(`{"stageArn":%q,"participantId":""}`, existing), 400, v, "participantId"},
		{"ListStageSessions", fmt.Sprintf(`{"stageArn":%q}`, unknown), 404, missing, unknown},
		{"GetStageSession", `{` + session + `}`, 404, missing, "st-abcdefghijklm"},
		{"ListParticipants", `{` + session + `}`, 404, missing, "st-abcdefghijklm"},
		{"ListParticipants", `{` + session + `,"filterByState":"CONNECTED","filterByPublished":true}`, 400, v, "filter"},
		{"GetParticipant", `{` + session + `,"participantId":"x"}`, 404, missing, "st-abcdefghijklm"},
		{"ListParticipantEvents", `{` + session + `,"participantId":"x"}`, 404, missing, "st-abcdefghijklm"},
		{"ListStages", `{"maxResults":0}`, 400, v, "maxResults"},
	} {
		f.refused(t, c.operation, c.body, c.status, c.code, c.words)
	}
}

func TestStageQuotaAndPages(t *testing.T) {
	f := start(t, func(c *Control) { c.Quotas.Stages = 5 })
	for i := range 5 {
		f.must(t, "CreateStage", fmt.Sprintf(`{"name":"s%d"}`, i))
	}
	f.refused(t, "CreateStage", `{}`, 402, "ServiceQuotaExceededException", "quota of 5 stages")
	var names []string
	var next *string
	for {
		page, err := f.rt.ListStages(t.Context(), &rtsdk.ListStagesInput{MaxResults: aws.Int32(2), NextToken: next})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Stages {
			names = append(names, *s.Name)
		}
		if next = page.NextToken; next == nil {
			break
		}
	}
	if got := strings.Join(names, " "); got != "s0 s1 s2 s3 s4" {
		t.Errorf("pages %s", got)
	}
}

func TestParticipantToken(t *testing.T) {
	f := start(t)
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	_, stageID, _ := strings.Cut(stageARN, "/")
	before := time.Now()
	out := f.must(t, "CreateParticipantToken", fmt.Sprintf(`{"stageArn":%q,"attributes":{"username":"todd","isFeatured":"false"}}`, stageARN))
	id, signed, expires := text(t, out, "participantToken", "participantId"), text(t, out, "participantToken", "token"), text(t, out, "participantToken", "expirationTime")
	// What the request did not give is not in the response.
	echo(t, out, fmt.Sprintf(`{"participantToken":{"participantId":%q,"token":%q,"expirationTime":%q,"attributes":{"username":"todd","isFeatured":"false"}}}`, id, signed, expires))

	claims, err := f.Keyring.Verify(signed)
	if err != nil {
		t.Fatal(err)
	}
	if claims.ParticipantID != id || claims.StageARN != stageARN || claims.StageID != stageID || claims.EventsURL != testURLs.Events ||
		claims.WHIPURL != testURLs.WHIP || !claims.Capabilities.AllowPublish || !claims.Capabilities.AllowSubscribe || claims.Version != "1.0" || claims.Hidden {
		t.Errorf("claims %+v", claims)
	}
	if life := claims.ExpiresAt().Sub(before); life < 12*time.Hour-2*time.Second || life > 12*time.Hour+time.Minute {
		t.Errorf("default life %s", life)
	}
	if claims.ExpiresAt().UTC().Format(time.RFC3339) != expires {
		t.Errorf("expirationTime %s, claim %s", expires, claims.ExpiresAt())
	}

	full, err := f.rt.CreateParticipantToken(t.Context(), &rtsdk.CreateParticipantTokenInput{
		StageArn: &stageARN, Duration: aws.Int32(20160), UserId: aws.String("Jürgen"), Capabilities: []rttypes.ParticipantTokenCapability{"PUBLISH"},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := full.ParticipantToken
	if *p.Duration != 20160 || *p.UserId != "Jürgen" || len(p.Capabilities) != 1 || p.Attributes != nil {
		t.Errorf("echo %+v", p)
	}
	g, err := f.Admit(t.Context(), *p.Token)
	if err != nil || g.StageID != stageID || g.ParticipantID != *p.ParticipantId || g.UserID != "Jürgen" || !g.Publish || g.Subscribe || !g.Expires.Equal(*p.ExpirationTime) {
		t.Errorf("grant %+v, %v", g, err)
	}
	empty := f.must(t, "CreateParticipantToken", fmt.Sprintf(`{"stageArn":%q,"capabilities":[]}`, stageARN))
	if g, err := f.Admit(t.Context(), text(t, empty, "participantToken", "token")); err != nil || !g.Publish || !g.Subscribe {
		t.Errorf("an empty list of capabilities means both; grant %+v, %v", g, err)
	}
}

// admitCode is the code of Admit's refusal.
func (f *fixture) admitCode(t *testing.T, bearer string) stage.Code {
	t.Helper()
	_, err := f.Admit(t.Context(), bearer)
	e, ok := errors.AsType[*stage.Error](err)
	if !ok {
		t.Errorf("admit: %v is no refusal", err)
		return ""
	}
	if e.Message == "" {
		t.Errorf("refusal %s says nothing", e.Code)
	}
	return e.Code
}

func TestAdmissionRefusals(t *testing.T) {
	var offset time.Duration
	f := start(t, func(c *Control) { c.Now = func() time.Time { return time.Now().Add(offset) } })
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	_, stageID, _ := strings.Cut(stageARN, "/")
	out := f.must(t, "CreateParticipantToken", fmt.Sprintf(`{"stageArn":%q,"duration":1}`, stageARN))
	signed := text(t, out, "participantToken", "token")
	want := func(what, bearer string, code stage.Code) {
		t.Helper()
		if got := f.admitCode(t, bearer); got != code {
			t.Errorf("%s: %s, want %s", what, got, code)
		}
	}
	want("no token", "", stage.TokenMissing)
	want("garbage", "garbage", stage.TokenMalformed)
	want("tampered", signed[:len(signed)-4]+"AAAA", stage.TokenMalformed)
	other := start(t)
	want("another server's", text(t, other.must(t, "CreateStage", `{"participantTokenConfigurations":[{}]}`), "participantTokens", 0, "token"), stage.TokenMalformed)

	claims := f.claims(stageID, "abc", time.Hour)
	mint := func() string {
		s, err := f.Keyring.Mint(claims)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	claims.StageARN = strings.Replace(stageARN, "000000000000", "111111111111", 1)
	want("another account's stage", mint(), stage.StageNotFound)
	claims.StageARN = f.stageARN("another")
	want("resource and topic differ", mint(), stage.TokenMalformed)
	claims.StageARN = f.channelARN(stageID)
	want("a channel's", mint(), stage.TokenMalformed)
	claims = f.claims("abcdefghijkl", "abc", time.Hour)
	want("no such stage", mint(), stage.StageNotFound)

	if _, err := f.Admit(t.Context(), signed); err != nil {
		t.Errorf("good token: %v", err)
	}
	offset = 61 * time.Second
	want("expired", signed, stage.TokenExpired)
	offset = 0
	f.must(t, "DeleteStage", fmt.Sprintf(`{"arn":%q}`, stageARN))
	want("deleted stage", signed, stage.StageNotFound)
}

func TestDisconnectParticipant(t *testing.T) {
	f := start(t)
	out := f.must(t, "CreateStage", `{"participantTokenConfigurations":[{},{}]}`)
	stageARN := text(t, out, "stage", "arn")
	_, stageID, _ := strings.Cut(stageARN, "/")
	gone, stays := text(t, out, "participantTokens", 0, "participantId"), text(t, out, "participantTokens", 1, "token")
	for range 2 { // again is fine
		if _, err := f.rt.DisconnectParticipant(t.Context(), &rtsdk.DisconnectParticipantInput{StageArn: &stageARN, ParticipantId: &gone, Reason: aws.String("rude")}); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.stages.called(); len(got) != 2 || got[0] != "disconnect "+stageID+" "+gone+": rude" {
		t.Errorf("stage was told %q", got)
	}
	if code := f.admitCode(t, text(t, out, "participantTokens", 0, "token")); code != stage.ParticipantDisconnected {
		t.Errorf("revoked token: %s", code)
	}
	if _, err := f.Admit(t.Context(), stays); err != nil {
		t.Errorf("the other participant: %v", err)
	}
	f.restart(t)
	if code := f.admitCode(t, text(t, out, "participantTokens", 0, "token")); code != stage.ParticipantDisconnected {
		t.Errorf("revoked token after a restart: %s", code)
	}
	if _, err := f.Admit(t.Context(), stays); err != nil {
		t.Errorf("the other participant after a restart: %v", err)
	}
	// Someone admitted just before the revocation is disconnected when they turn up.
	f.StageObserver().Observe(stage.Event{
		Kind: stage.Joined, Time: time.Now(), StageID: stageID, SessionID: "st-abcdefghijklm",
		Grant: stage.Grant{StageID: stageID, ParticipantID: gone},
	})
	f.stageJournal.flush(t.Context())
	if got := f.stages.called(); len(got) != 1 || !strings.HasPrefix(got[0], "disconnect "+stageID+" "+gone) {
		t.Errorf("late joiner: stage was told %q", got)
	}
	f.must(t, "DeleteStage", fmt.Sprintf(`{"arn":%q}`, stageARN))
	f.noOrphans(t)
}

func TestComposerToken(t *testing.T) {
	f := start(t)
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	signed, err := f.ComposerToken(stageARN, "Comp12345678")
	if err != nil {
		t.Fatal(err)
	}
	g, err := f.Admit(t.Context(), signed)
	if err != nil || !g.Hidden || !g.Publish || !g.Subscribe || g.StageARN != stageARN || time.Until(g.Expires) < 24*time.Hour {
		t.Errorf("grant %+v, %v", g, err)
	}
	if _, err := f.ComposerToken("arn:aws:ivs:us-east-1:999999999999:stage/x", "c"); err == nil {
		t.Error("a token for another account's stage was minted")
	}
	f.must(t, "DeleteStage", fmt.Sprintf(`{"arn":%q}`, stageARN))
	if code := f.admitCode(t, signed); code != stage.StageNotFound {
		t.Errorf("deleted stage: %s", code)
	}
}

func TestDeleteStage(t *testing.T) {
	f := start(t)
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	_, stageID, _ := strings.Cut(stageARN, "/")
	play(f, stageID, "st-abcdefghijklm", "alice")
	f.stageJournal.flush(t.Context())
	if _, err := f.rt.DeleteStage(t.Context(), &rtsdk.DeleteStageInput{Arn: &stageARN}); err != nil {
		t.Fatal(err)
	}
	if got := f.stages.called(); len(got) != 1 || got[0] != "close "+stageID {
		t.Errorf("stage was told %q", got)
	}
	if got := f.compositions.deleted; len(got) != 1 || got[0] != stageARN {
		t.Errorf("compositions were told %q", got)
	}
	// What the stage reports while it closes leaves nothing behind.
	f.StageObserver().Observe(stage.Event{Kind: stage.Left, Time: time.Now(), StageID: stageID, SessionID: "st-abcdefghijklm", Grant: stage.Grant{ParticipantID: "alice"}})
	f.noOrphans(t)
	_, err := f.rt.DeleteStage(t.Context(), &rtsdk.DeleteStageInput{Arn: &stageARN})
	if _, ok := errors.AsType[*rttypes.ResourceNotFoundException](err); !ok {
		t.Errorf("second delete: %v", err)
	}
	// Someone admitted just before the deletion is disconnected when they turn up.
	f.StageObserver().Observe(stage.Event{Kind: stage.Joined, Time: time.Now(), StageID: stageID, SessionID: "st-abcdefghijklm", Grant: stage.Grant{ParticipantID: "bob"}})
	f.noOrphans(t)
	if got := f.stages.called(); len(got) != 2 || got[1] != "close "+stageID {
		t.Errorf("late joiner: stage was told %q", got)
	}
}
