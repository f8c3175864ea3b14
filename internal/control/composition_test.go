package control

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	rttypes "github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/composition"
)

// What StartComposition answers where the request leaves things out (spec/composition.md §2).
const (
	goldenGrid = `{"grid":{"featuredParticipantAttribute":"","gridGap":2,"omitStoppedVideo":false,"participantOrderAttribute":"","videoAspectRatio":"VIDEO","videoFillMode":""}}`
	goldenPip  = `{"pip":{"featuredParticipantAttribute":"","gridGap":0,"omitStoppedVideo":false,"participantOrderAttribute":"","pipBehavior":"STATIC","pipOffset":0,"pipParticipantAttribute":"","pipPosition":"BOTTOM_RIGHT","videoFillMode":"COVER"}}`
)

// composing is a fixture whose compositions are kept by the real manager. The composer program does nothing, so
// that compositions stay STARTING.
type composing struct {
	*fixture
	manager                *composition.Manager
	stage, channel, coding string // ARNs
}

func startComposing(t *testing.T) *composing {
	t.Helper()
	f := &composing{fixture: start(t)}
	program := filepath.Join(t.TempDir(), "composer")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.manager = &composition.Manager{Store: f.Control.Store, Composer: program, Job: f.CompositionJob, MaxCores: 1000}
	if err := f.manager.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.manager.Close)
	f.Control.Compositions = CompositionsOf(f.manager)
	f.stage = text(t, f.must(t, "CreateStage", `{"name":"my-first-stage"}`), "stage", "arn")
	f.channel = f.newChannel(t)
	f.coding = text(t, f.must(t, "CreateEncoderConfiguration", `{"video":{"width":640,"height":360,"framerate":25,"bitrate":900000}}`), "encoderConfiguration", "arn")
	return f
}

func (f *composing) newChannel(t *testing.T) string {
	t.Helper()
	return text(t, f.must(t, "CreateChannel", `{}`), "channel", "arn")
}

// body is a request to compose the stage to the channel; more goes in between, for example `"layout":{}`.
func (f *composing) body(channel, more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`{"stageArn":%q,"destinations":[{"channel":{"channelArn":%q}}]%s}`, f.stage, channel, more)
}

func TestCompositionEcho(t *testing.T) {
	f := startComposing(t)
	out := f.must(t, "StartComposition", fmt.Sprintf(`{"stageArn":%q,"destinations":[{"channel":{"channelArn":%q,"encoderConfigurationArn":%q}}]}`, f.stage, f.channel, f.coding))
	name, began := text(t, out, "composition", "arn"), text(t, out, "composition", "startTime")
	id := text(t, out, "composition", "destinations", 0, "id")
	if a, err := arn.Parse(name); err != nil || a.Type != arn.Composition || len(a.ID) != 12 || len(id) != 12 || began == "" {
		t.Errorf("composition %s with destination %s since %s", name, id, began)
	}
	config := fmt.Sprintf(`{"name":"","channel":{"channelArn":%q,"encoderConfigurationArn":%q}}`, f.channel, f.coding)
	golden := fmt.Sprintf(`{"composition":{"arn":%q,"stageArn":%q,"state":"STARTING","startTime":%q,"tags":{},"layout":%s,
		"destinations":[{"id":%q,"state":"STARTING","configuration":%s}]}}`, name, f.stage, began, goldenGrid, id, config)
	echo(t, out, golden)
	echo(t, f.must(t, "GetComposition", fmt.Sprintf(`{"arn":%q}`, name)), golden)
	echo(t, f.must(t, "ListCompositions", `{}`), fmt.Sprintf(`{"compositions":[{"arn":%q,"stageArn":%q,"state":"STARTING","startTime":%q,"tags":{},
		"destinations":[{"id":%q,"state":"STARTING"}]}]}`, name, f.stage, began, id))

	// What a composer gets for it.
	_, key, _ := strings.Cut(name, "/")
	r, err := f.manager.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	job, err := f.CompositionJob(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	_, stageID, _ := strings.Cut(f.stage, "/")
	if o := job.Outputs[0]; job.EventsURL != testURLs.Events+"/"+stageID || job.WHIPURL != testURLs.WHIP || o.URL != testURLs.RTMP ||
		o.DestinationID != id || o.Width != 640 || o.Height != 360 || o.FrameRate != 25 || o.BitRate != 900_000 {
		t.Errorf("job %+v", job)
	}
	if p, err := f.ResolveStreamKey(t.Context(), job.Outputs[0].StreamKey); err != nil || p.Channel.ARN != f.channel || !p.AllowPlain || p.Source != "composition/"+key {
		t.Errorf("the composer's stream key opens %+v, %v", p, err)
	}
	if g, err := f.Admit(t.Context(), job.Token); err != nil || !g.Hidden || g.StageARN != f.stage || !g.Publish {
		t.Errorf("the composer's token admits %+v, %v", g, err)
	}

	// What it uses stays; what it does not use goes.
	f.refused(t, "DeleteEncoderConfiguration", fmt.Sprintf(`{"arn":%q}`, f.coding), 409, "ConflictException", "composition")
	f.refused(t, "DeleteChannel", fmt.Sprintf(`{"arn":%q}`, f.channel), 409, "ConflictException", "composition")

	if out := f.must(t, "StopComposition", fmt.Sprintf(`{"arn":%q}`, name)); len(out) != 0 {
		t.Errorf("StopComposition answers %v", out)
	}
	f.must(t, "StopComposition", fmt.Sprintf(`{"arn":%q}`, name))
	if state := text(t, f.must(t, "GetComposition", fmt.Sprintf(`{"arn":%q}`, name)), "composition", "state"); state != "STOPPING" {
		t.Errorf("after StopComposition: %s", state)
	}
}

// TestCompositionWithoutStage: a stage that goes while nothing runs takes its compositions along at the next
// start, and their keys with them.
func TestCompositionWithoutStage(t *testing.T) {
	f := startComposing(t)
	_, id, _ := strings.Cut(text(t, f.must(t, "StartComposition", f.body(f.channel, "")), "composition", "arn"), "/")
	key, err := f.CompositionStreamKey(f.channel, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ResolveStreamKey(t.Context(), key); err != nil {
		t.Errorf("key of a composition that runs: %v", err)
	}
	f.manager.Close()
	_, stageID, _ := strings.Cut(f.stage, "/")
	if err := f.Control.stages.Delete(t.Context(), stageID); err != nil {
		t.Fatal(err)
	}
	record, err := f.manager.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.CompositionJob(t.Context(), record); !errors.Is(err, composition.ErrStageGone) {
		t.Errorf("job without a stage: %v", err)
	}
	f.manager = &composition.Manager{Store: f.Control.Store, Composer: f.manager.Composer, Job: f.CompositionJob, MaxCores: 1000}
	if err := f.manager.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.manager.Close)
	f.Control.Compositions = CompositionsOf(f.manager)
	deadline := time.Now().Add(time.Minute)
	for !record.State.Ended() && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond) // another goroutine's work, which nothing here can wait for
		if record, err = f.manager.Get(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if record.State != composition.Failed || record.Cause.Code != "StageDeleted" {
		t.Errorf("composition without a stage: %+v", record)
	}
	if p, err := f.ResolveStreamKey(t.Context(), key); !errors.Is(err, channel.ErrUnknownStreamKey) {
		t.Errorf("key of a composition that has ended: %+v, %v", p, err)
	}
}

// TestCompositionJobIsLocal: a composer reaches the server on the machine, whatever the public addresses are.
func TestCompositionJobIsLocal(t *testing.T) {
	f := startComposing(t)
	f.Local = func() URLs {
		return URLs{Events: "ws://127.0.0.1:1/events", WHIP: "http://127.0.0.1:1/whip", RTMP: "rtmp://127.0.0.1:2/app/"}
	}
	job, err := f.CompositionJob(t.Context(), composition.Record{ID: "job1", StageARN: f.stage, Destinations: []composition.Destination{{ID: "d", ChannelARN: f.channel}}})
	if err != nil {
		t.Fatal(err)
	}
	_, stageID, _ := strings.Cut(f.stage, "/")
	if job.EventsURL != "ws://127.0.0.1:1/events/"+stageID || job.WHIPURL != "http://127.0.0.1:1/whip" || job.Outputs[0].URL != "rtmp://127.0.0.1:2/app/" {
		t.Errorf("job %+v", job)
	}
}

func TestCompositionLayouts(t *testing.T) {
	f := startComposing(t)
	for in, want := range map[string]string{
		`{}`:          goldenGrid,
		`{"grid":{}}`: goldenGrid,
		`{"pip":{}}`:  goldenPip,
		`{"grid":{"gridGap":0,"videoFillMode":"CONTAIN","omitStoppedVideo":true,"videoAspectRatio":"SQUARE","featuredParticipantAttribute":"host","participantOrderAttribute":"n"}}`: `{"grid":{"gridGap":0,"videoFillMode":"CONTAIN","omitStoppedVideo":true,"videoAspectRatio":"SQUARE","featuredParticipantAttribute":"host","participantOrderAttribute":"n"}}`,
		`{"pip":{"pipWidth":320,"pipPosition":"TOP_LEFT"}}`: strings.NewReplacer(`"BOTTOM_RIGHT"`, `"TOP_LEFT","pipWidth":320`).Replace(goldenPip),
	} {
		out := f.must(t, "StartComposition", f.body(f.newChannel(t), `"layout":`+in+`,"tags":{"a":"b"}`))
		lay := at(t, out, "composition", "layout").(map[string]any)
		echo(t, lay, want)
		if tag := text(t, out, "composition", "tags", "a"); tag != "b" {
			t.Errorf("tag %q", tag)
		}
	}
}

func TestCompositionRefusals(t *testing.T) {
	f := startComposing(t)
	foreign := func(s string) string { return strings.Replace(s, "us-east-1", "eu-west-1", 1) }
	missing := func(s string) string { i := strings.IndexByte(s, '/'); return s[:i+1] + "AAAAAAAAAAAA" }
	dest := func(s string) string { return fmt.Sprintf(`{"stageArn":%q,"destinations":[%s]}`, f.stage, s) }
	ch := fmt.Sprintf(`{"channel":{"channelArn":%q}}`, f.channel)
	s3 := `{"s3":{"storageConfigurationArn":"arn:aws:ivs:us-east-1:000000000000:storage-configuration/AAAAAAAAAAAA","encoderConfigurationArns":["` + f.coding + `"]}}`
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
		words  string
	}{
		"no destination":     {dest(``), 400, "ValidationException", "destinations"},
		"three destinations": {dest(ch + "," + ch + "," + ch), 400, "ValidationException", "destinations"},
		"two channels":       {dest(ch + "," + ch), 400, "ValidationException", "at most one"},
		"neither":            {dest(`{"name":"x"}`), 400, "ValidationException", "neither"},
		"both":               {dest(strings.TrimSuffix(ch, "}") + "," + strings.TrimPrefix(s3, "{")), 400, "ValidationException", "both"},
		"no such storage":    {dest(s3), 404, "ResourceNotFoundException", "storage-configuration"},
		"two recordings":     {dest(s3 + "," + s3), 400, "ValidationException", "at most one"},
		"unknown stage":      {strings.Replace(f.body(f.channel, ""), f.stage, missing(f.stage), 1), 404, "ResourceNotFoundException", "stage"},
		"foreign stage":      {strings.Replace(f.body(f.channel, ""), f.stage, foreign(f.stage), 1), 400, "ValidationException", "stageArn"},
		"unknown channel":    {f.body(missing(f.channel), ""), 404, "ResourceNotFoundException", "channel"},
		"foreign channel":    {f.body(foreign(f.channel), ""), 400, "ValidationException", "channelArn"},
		"a stage as channel": {f.body(f.stage, ""), 400, "ValidationException", ""},
		"unknown encoder":    {dest(fmt.Sprintf(`{"channel":{"channelArn":%q,"encoderConfigurationArn":%q}}`, f.channel, missing(f.coding))), 404, "ResourceNotFoundException", "encoder-configuration"},
		"both layouts":       {f.body(f.channel, `"layout":{"grid":{},"pip":{}}`), 400, "ValidationException", "layout"},
		"negative gap":       {f.body(f.channel, `"layout":{"grid":{"gridGap":-1}}`), 400, "ValidationException", "gridGap"},
		"unknown fill mode":  {f.body(f.channel, `"layout":{"grid":{"videoFillMode":"STRETCH"}}`), 400, "ValidationException", "videoFillMode"},
		"reserved tag":       {f.body(f.channel, `"tags":{"aws:x":"y"}`), 400, "ValidationException", "reserved"},
	} {
		t.Run(name, func(t *testing.T) { f.refused(t, "StartComposition", c.body, c.status, c.code, c.words) })
	}
	if list := at(t, f.must(t, "ListCompositions", `{}`), "compositions").([]any); len(list) != 0 {
		t.Errorf("refused requests left %v", list)
	}
	nobody := `{"arn":"arn:aws:ivs:us-east-1:000000000000:composition/AAAAAAAAAAAA"}`
	f.refused(t, "GetComposition", nobody, 404, "ResourceNotFoundException", "composition")
	f.refused(t, "StopComposition", nobody, 404, "ResourceNotFoundException", "composition")

	f.manager.Composer = filepath.Join(t.TempDir(), "nothing")
	f.refused(t, "StartComposition", f.body(f.channel, ""), 500, "InternalServerException", "make build")
}

func TestCompositionIdempotencyAndQuota(t *testing.T) {
	f := startComposing(t)
	first := text(t, f.must(t, "StartComposition", f.body(f.channel, `"idempotencyToken":"once"`)), "composition", "arn")
	if again := text(t, f.must(t, "StartComposition", f.body(f.channel, `"idempotencyToken":"once"`)), "composition", "arn"); again != first {
		t.Errorf("the same request gave %s and %s", first, again)
	}
	f.refused(t, "StartComposition", f.body(f.newChannel(t), `"idempotencyToken":"once"`), 409, "ConflictException", "once")
	f.refused(t, "StartComposition", f.body(f.channel, ""), 409, "ConflictException", "another composition")
	for range 4 {
		f.must(t, "StartComposition", f.body(f.newChannel(t), ""))
	}
	f.refused(t, "StartComposition", f.body(f.newChannel(t), ""), 402, "ServiceQuotaExceededException", "per stage")
}

// TestListCompositions: filters go together, pages do not overlap. The official client sends an idempotencyToken by itself.
func TestListCompositions(t *testing.T) {
	f := startComposing(t)
	other := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	for i, stage := range []string{f.stage, f.stage, other} {
		d := rttypes.DestinationConfiguration{Channel: &rttypes.ChannelDestinationConfiguration{ChannelArn: aws.String(f.newChannel(t))}}
		if i > 0 {
			d.Channel.EncoderConfigurationArn = &f.coding
		}
		if _, err := f.rt.StartComposition(t.Context(), &rtsdk.StartCompositionInput{StageArn: &stage, Destinations: []rttypes.DestinationConfiguration{d}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		stage, encoder *string
		want           int
	}{{nil, nil, 3}, {&f.stage, nil, 2}, {nil, &f.coding, 2}, {&f.stage, &f.coding, 1}} {
		out, err := f.rt.ListCompositions(t.Context(), &rtsdk.ListCompositionsInput{FilterByStageArn: c.stage, FilterByEncoderConfigurationArn: c.encoder})
		if err != nil || len(out.Compositions) != c.want {
			t.Errorf("filter %v: %d compositions, %v", c, len(out.Compositions), err)
		}
	}
	seen := map[string]bool{}
	pages := rtsdk.NewListCompositionsPaginator(f.rt, &rtsdk.ListCompositionsInput{MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range out.Compositions {
			seen[*s.Arn] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("pages hold %d compositions", len(seen))
	}
	f.refused(t, "ListCompositions", `{"filterByStageArn":"arn:aws:ivs:us-east-1:000000000000:channel/AAAAAAAAAAAA"}`, 400, "ValidationException", "stage")
}
