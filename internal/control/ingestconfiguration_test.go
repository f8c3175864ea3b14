package control

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	rttypes "github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/ingest"
	"github.com/footlight-live/footlight/internal/stage"
)

// fakeIngests is the live side of ingest configurations. Guarded by mu.
type fakeIngests struct {
	mu      sync.Mutex
	active  map[string]bool
	stopped []string
}

func (f *fakeIngests) Active(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.active[id]
}

func (f *fakeIngests) Stop(id, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.active[id] {
		delete(f.active, id)
		f.stopped = append(f.stopped, id+": "+reason)
	}
}

func (f *fakeIngests) set(arn string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active[idOf(arn)] = true
}

func (f *fakeIngests) ends() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.stopped, "; ")
}

func idOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func startIngests(t *testing.T, configure ...func(*Control)) (*fixture, *fakeIngests) {
	fake := &fakeIngests{active: map[string]bool{}}
	return start(t, append(configure[:len(configure):len(configure)], func(c *Control) { c.Ingests = fake })...), fake
}

func (f *fixture) createIngest(t *testing.T, in rtsdk.CreateIngestConfigurationInput) *rttypes.IngestConfiguration {
	t.Helper()
	if in.IngestProtocol == "" {
		in.IngestProtocol = rttypes.IngestProtocolRtmps
	}
	out, err := f.rt.CreateIngestConfiguration(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	return out.IngestConfiguration
}

func (f *fixture) getIngest(t *testing.T, arn *string) *rttypes.IngestConfiguration {
	t.Helper()
	out, err := f.rt.GetIngestConfiguration(t.Context(), &rtsdk.GetIngestConfigurationInput{Arn: arn})
	if err != nil {
		t.Fatal(err)
	}
	return out.IngestConfiguration
}

func TestIngestConfigurationEchoes(t *testing.T) {
	f, _ := startIngests(t)
	got := f.must(t, "CreateIngestConfiguration", `{"ingestProtocol":"RTMPS"}`)
	arn, participant, key := text(t, got, "ingestConfiguration", "arn"), text(t, got, "ingestConfiguration", "participantId"), text(t, got, "ingestConfiguration", "streamKey")
	if prefix := "rt_000000000000_us-east-1_" + idOf(arn) + "_"; !strings.HasPrefix(key, prefix) || len(key) != len(prefix)+30 {
		t.Errorf("stream key %s", key)
	}
	want := fmt.Sprintf(`{"ingestConfiguration":{"arn":%q,"name":"","ingestProtocol":"RTMPS","streamKey":%q,"stageArn":"","participantId":%q,
		"state":"INACTIVE","userId":"","redundantIngest":false,"attributes":{},"tags":{}}}`, arn, key, participant)
	echo(t, got, want)
	echo(t, f.must(t, "GetIngestConfiguration", fmt.Sprintf(`{"arn":%q}`, arn)), want)
	f.restart(t)
	echo(t, f.must(t, "GetIngestConfiguration", fmt.Sprintf(`{"arn":%q}`, arn)), want)

	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	full := f.createIngest(t, rtsdk.CreateIngestConfigurationInput{
		Name: aws.String("studio-1"), StageArn: &stageARN, UserId: aws.String("u"), Attributes: map[string]string{"k": "v"},
		IngestProtocol: rttypes.IngestProtocolRtmp, InsecureIngest: true, Tags: map[string]string{"a": "b"},
	})
	if *full.Name != "studio-1" || *full.StageArn != stageARN || *full.UserId != "u" || full.Attributes["k"] != "v" || full.IngestProtocol != "RTMP" || full.Tags["a"] != "b" {
		t.Errorf("configuration %+v", full)
	}
	again := f.getIngest(t, full.Arn)
	if *again.StreamKey != *full.StreamKey || *again.ParticipantId != *full.ParticipantId {
		t.Error("key or participant changed")
	}
	if _, err := f.rt.TagResource(t.Context(), &rtsdk.TagResourceInput{ResourceArn: full.Arn, Tags: map[string]string{"c": "d"}}); err != nil {
		t.Fatal(err)
	}
	if again := f.getIngest(t, full.Arn); again.Tags["c"] != "d" {
		t.Errorf("tags %v", again.Tags)
	}
}

func TestIngestConfigurationRefusals(t *testing.T) {
	f, _ := startIngests(t, func(c *Control) { c.Quotas.IngestConfigurations = 1 })
	const v, missing = "ValidationException", "ResourceNotFoundException"
	const unknown = "arn:aws:ivs:us-east-1:000000000000:ingest-configuration/abcdefghijkl"
	const unknownStage = "arn:aws:ivs:us-east-1:000000000000:stage/abcdefghijkl"
	const foreign = "arn:aws:ivs:us-east-1:999999999999:stage/abcdefghijkl"
	for _, c := range []struct {
		operation, body string
		status          int
		code, words     string
	}{
		{"CreateIngestConfiguration", `{}`, 400, v, "ingestProtocol"},
		{"CreateIngestConfiguration", `{"ingestProtocol":"SRT"}`, 400, v, "ingestProtocol"},
		{"CreateIngestConfiguration", `{"ingestProtocol":"RTMP"}`, 400, v, "insecureIngest"},
		{"CreateIngestConfiguration", `{"ingestProtocol":"RTMPS","name":"a b"}`, 400, v, "name"},
		{"CreateIngestConfiguration", `{"ingestProtocol":"RTMPS","tags":{"aws:x":"y"}}`, 400, v, "reserved"},
		{"CreateIngestConfiguration", `{"ingestProtocol":"RTMPS","userId":"` + strings.Repeat("x", 129) + `"}`, 400, v, "userId"},
		{"CreateIngestConfiguration", `{"ingestProtocol":"RTMPS","attributes":{"k":"` + strings.Repeat("x", 1024) + `"}}`, 400, v, "at most 1024"},
		{"CreateIngestConfiguration", `{"ingestProtocol":"RTMPS","stageArn":"` + unknownStage + `"}`, 404, missing, unknownStage},
		{"CreateIngestConfiguration", `{"ingestProtocol":"RTMPS","stageArn":"` + foreign + `"}`, 400, v, "stageArn"},
		{"CreateIngestConfiguration", `{"ingestProtocol":"RTMPS","stageArn":"x"}`, 400, v, "stageArn"},
		{"GetIngestConfiguration", `{"arn":"` + unknown + `"}`, 404, missing, unknown},
		{"UpdateIngestConfiguration", `{"arn":"` + unknown + `"}`, 404, missing, unknown},
		{"DeleteIngestConfiguration", `{"arn":"` + unknown + `"}`, 404, missing, unknown},
		{"DeleteIngestConfiguration", `{"arn":"` + unknown + `","force":true}`, 404, missing, unknown},
		{"ListIngestConfigurations", `{"filterByState":"ACTIVE","filterByStageArn":"` + unknownStage + `"}`, 400, v, "filter"},
		{"ListIngestConfigurations", `{"filterByState":"GONE"}`, 400, v, "filterByState"},
		{"ListIngestConfigurations", `{"maxResults":101}`, 400, v, "maxResults"},
		{"ListIngestConfigurations", `{"nextToken":"nonsense"}`, 400, v, "nextToken"},
	} {
		f.refused(t, c.operation, c.body, c.status, c.code, c.words)
	}
	only := f.createIngest(t, rtsdk.CreateIngestConfigurationInput{})
	f.refused(t, "CreateIngestConfiguration", `{"ingestProtocol":"RTMPS"}`, 402, "ServiceQuotaExceededException", "quota of 1 ingest configurations")
	f.refused(t, "UpdateIngestConfiguration", fmt.Sprintf(`{"arn":%q,"stageArn":%q}`, *only.Arn, unknownStage), 404, missing, unknownStage)
}

func TestListIngestConfigurations(t *testing.T) {
	f, live := startIngests(t)
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	for i := range 5 {
		in := rtsdk.CreateIngestConfigurationInput{Name: aws.String(fmt.Sprint("c", i))}
		if i%2 == 0 {
			in.StageArn = &stageARN
		}
		if c := f.createIngest(t, in); i == 3 {
			live.set(*c.Arn)
		}
	}
	names := func(in rtsdk.ListIngestConfigurationsInput) string {
		t.Helper()
		var out []string
		in.MaxResults = aws.Int32(2)
		for {
			page, err := f.rt.ListIngestConfigurations(t.Context(), &in)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range page.IngestConfigurations {
				out = append(out, *c.Name+" "+string(c.State))
			}
			if in.NextToken = page.NextToken; in.NextToken == nil {
				return strings.Join(out, ", ")
			}
		}
	}
	if got, want := names(rtsdk.ListIngestConfigurationsInput{}), "c0 INACTIVE, c1 INACTIVE, c2 INACTIVE, c3 ACTIVE, c4 INACTIVE"; got != want {
		t.Errorf("all: %s", got)
	}
	if got, want := names(rtsdk.ListIngestConfigurationsInput{FilterByStageArn: &stageARN}), "c0 INACTIVE, c2 INACTIVE, c4 INACTIVE"; got != want {
		t.Errorf("of a stage: %s", got)
	}
	if got, want := names(rtsdk.ListIngestConfigurationsInput{FilterByState: rttypes.IngestConfigurationStateActive}), "c3 ACTIVE"; got != want {
		t.Errorf("active: %s", got)
	}
	raw := f.must(t, "ListIngestConfigurations", `{"maxResults":1}`)
	keys := slices.Sorted(maps.Keys(at(t, raw, "ingestConfigurations", 0).(map[string]any)))
	if got := strings.Join(keys, " "); got != "arn ingestProtocol name participantId redundantIngest stageArn state userId" {
		t.Errorf("a summary has %s", got)
	}
}

func TestChangeIngestConfiguration(t *testing.T) {
	f, live := startIngests(t)
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	c := f.createIngest(t, rtsdk.CreateIngestConfigurationInput{StageArn: &stageARN})
	update := func(in rtsdk.UpdateIngestConfigurationInput) (*rttypes.IngestConfiguration, error) {
		in.Arn = c.Arn
		out, err := f.rt.UpdateIngestConfiguration(t.Context(), &in)
		if err != nil {
			return nil, err
		}
		return out.IngestConfiguration, nil
	}
	live.set(*c.Arn)
	if _, err := update(rtsdk.UpdateIngestConfigurationInput{StageArn: aws.String("")}); sdkCode(err) != "ConflictException" {
		t.Errorf("update while active: %v", err)
	}
	if _, err := f.rt.DeleteIngestConfiguration(t.Context(), &rtsdk.DeleteIngestConfigurationInput{Arn: c.Arn}); sdkCode(err) != "ConflictException" {
		t.Errorf("delete while active: %v", err)
	}
	live.Stop(idOf(*c.Arn), "by the test")
	if got, err := update(rtsdk.UpdateIngestConfigurationInput{StageArn: aws.String("")}); err != nil || *got.StageArn != "" || *got.StreamKey != *c.StreamKey {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := update(rtsdk.UpdateIngestConfigurationInput{}); err != nil || *got.StageArn != "" {
		t.Errorf("what is left out changes: %+v, %v", got, err)
	}
	// The SDK in use does not know redundant ingest.
	red := f.must(t, "UpdateIngestConfiguration", fmt.Sprintf(`{"arn":%q,"stageArn":%q,"redundantIngest":true}`, *c.Arn, stageARN))
	if at(t, red, "ingestConfiguration", "redundantIngest") != true || text(t, red, "ingestConfiguration", "stageArn") != stageARN {
		t.Fatalf("%v", red)
	}
	ids := map[string]bool{*c.ParticipantId: true}
	for i := range 2 {
		ids[text(t, red, "ingestConfiguration", "redundantIngestCredentials", i, "participantId")] = true
		if key := text(t, red, "ingestConfiguration", "redundantIngestCredentials", i, "streamKey"); !strings.HasPrefix(key, "rt_000000000000_us-east-1_"+idOf(*c.Arn)+"_") {
			t.Errorf("stream key %s", key)
		}
	}
	if len(ids) != 3 || len(at(t, red, "ingestConfiguration", "redundantIngestCredentials").([]any)) != 2 {
		t.Errorf("participants %v", ids)
	}
	// Disconnecting one of them takes the configuration off the stage, and stops what is live.
	live.set(*c.Arn)
	if _, err := f.rt.DisconnectParticipant(t.Context(), &rtsdk.DisconnectParticipantInput{StageArn: &stageARN, ParticipantId: c.ParticipantId, Reason: aws.String("enough")}); err != nil {
		t.Fatal(err)
	}
	if got := f.getIngest(t, c.Arn); *got.StageArn != "" || got.State != "INACTIVE" {
		t.Errorf("after DisconnectParticipant: %+v", got)
	}
	if revoked, err := f.revoked(t.Context(), idOf(stageARN), *c.ParticipantId); revoked || err != nil {
		t.Errorf("the participant can never come back: %v", err)
	}
	// So does deleting the stage, and it holds when the server crashes in between.
	if _, err := update(rtsdk.UpdateIngestConfigurationInput{StageArn: &stageARN}); err != nil {
		t.Fatal(err)
	}
	live.set(*c.Arn)
	f.must(t, "DeleteStage", fmt.Sprintf(`{"arn":%q}`, stageARN))
	if got := f.getIngest(t, c.Arn); *got.StageArn != "" {
		t.Errorf("after DeleteStage: %+v", got)
	}
	live.set(*c.Arn)
	if _, err := f.rt.DeleteIngestConfiguration(t.Context(), &rtsdk.DeleteIngestConfigurationInput{Arn: c.Arn, Force: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.rt.GetIngestConfiguration(t.Context(), &rtsdk.GetIngestConfigurationInput{Arn: c.Arn}); sdkCode(err) != "ResourceNotFoundException" {
		t.Errorf("get after delete: %v", err)
	}
	id := idOf(*c.Arn)
	if got, want := live.ends(), id+": by the test; "+id+": enough; "+id+": the stage was deleted; "+id+": the ingest configuration was deleted"; got != want {
		t.Errorf("stopped %s", got)
	}
}

func TestResolveIngestKey(t *testing.T) {
	f, _ := startIngests(t)
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	c := f.createIngest(t, rtsdk.CreateIngestConfigurationInput{
		StageArn: &stageARN, UserId: aws.String("u"), Attributes: map[string]string{"k": "v"}, InsecureIngest: true, IngestProtocol: rttypes.IngestProtocolRtmp,
	})
	got, err := f.ResolveIngestKey(t.Context(), *c.StreamKey)
	if g := got.Grant; err != nil || !got.AllowPlain || got.Physical != nil || got.ConfigurationID != idOf(*c.Arn) || g.StageARN != stageARN || g.StageID != idOf(stageARN) ||
		g.ParticipantID != *c.ParticipantId || g.UserID != "u" || g.Attributes["k"] != "v" || !g.Publish || g.Subscribe || g.Backstage || g.IngestConfigurationARN != *c.Arn || g.RedundantIngest {
		t.Errorf("%+v, %v", got, err)
	}
	for _, key := range []string{"", "rt_", "rt____", *c.StreamKey + "x", strings.Replace(*c.StreamKey, "us-east-1", "us-west-2", 1), strings.Replace(*c.StreamKey, idOf(*c.Arn), "abcdefghijkl", 1), "sk" + (*c.StreamKey)[2:], *c.StreamKey + "_x"} {
		if got, err := f.ResolveIngestKey(t.Context(), key); !errors.Is(err, ingest.ErrUnknownKey) || got.Physical != nil {
			t.Errorf("%q: %+v, %v", key, got, err)
		}
	}
	red := f.must(t, "UpdateIngestConfiguration", fmt.Sprintf(`{"arn":%q,"redundantIngest":true}`, *c.Arn))
	if _, err := f.ResolveIngestKey(t.Context(), *c.StreamKey); !errors.Is(err, ingest.ErrUnknownKey) {
		t.Errorf("the configuration's own key with redundant ingest: %v", err)
	}
	for i := range 2 {
		credential := at(t, red, "ingestConfiguration", "redundantIngestCredentials", i)
		got, err := f.ResolveIngestKey(t.Context(), text(t, credential, "streamKey"))
		if err != nil || got.Stream != i || got.Physical == nil || got.Physical.ParticipantID != text(t, credential, "participantId") || !got.Physical.Backstage || got.Grant.Backstage || got.Grant.ParticipantID != *c.ParticipantId || !got.Grant.RedundantIngest {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// TestIngestParticipant is what the API shows of the participants of ingest configurations.
func TestIngestParticipant(t *testing.T) {
	f := start(t)
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	const configuration = "arn:aws:ivs:us-east-1:000000000000:ingest-configuration/abcdefghijkl"
	c := play(f, idOf(stageARN), session1)
	c.report(stage.Joined, "studio", func(e *stage.Event) {
		e.Protocol, e.Grant.IngestConfigurationARN, e.Grant.RedundantIngest = "RTMPS", configuration, true
	})
	for _, code := range []stage.Code{
		stage.BFramePresent, stage.ResolutionExceeded, stage.BitrateExceeded, stage.InvalidProtocol, stage.InvalidStreamKey,
		stage.ReuseOfStreamKey, stage.StreamDurationExceeded,
	} {
		c.report(stage.PublishError, "studio", func(e *stage.Event) { e.ErrorCode = code })
	}
	in := fmt.Sprintf(`"stageArn":%q,"sessionId":%q`, stageARN, session1)
	got := at(t, f.must(t, "GetParticipant", `{`+in+`,"participantId":"studio"}`), "participant")
	summary := at(t, f.must(t, "ListParticipants", `{`+in+`}`), "participants", 0)
	for _, v := range []any{got, summary} {
		if text(t, v, "ingestConfigurationArn") != configuration || at(t, v, "redundantIngest") != true {
			t.Errorf("participant %v", v)
		}
	}
	if text(t, got, "protocol") != "RTMPS" {
		t.Errorf("participant %v", got)
	}
	var codes []string
	for _, e := range at(t, f.must(t, "ListParticipantEvents", `{`+in+`,"participantId":"studio"}`), "events").([]any) {
		if code, ok := e.(map[string]any)["errorCode"].(string); ok {
			codes = append(codes, code)
		}
	}
	if want := "STREAM_DURATION_EXCEEDED REUSE_OF_STREAM_KEY INVALID_STREAM_KEY INVALID_PROTOCOL BITRATE_EXCEEDED RESOLUTION_EXCEEDED B_FRAME_PRESENT"; strings.Join(codes, " ") != want {
		t.Errorf("error codes %v", codes)
	}
}
