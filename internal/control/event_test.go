package control

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/event"
	"github.com/footlight-live/footlight/internal/stage"
)

// told collects events as JSON, without their ids.
type told struct {
	mu   sync.Mutex
	ids  map[string]bool
	list []string
}

func (e *told) Publish(_ context.Context, v event.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ids == nil {
		e.ids = map[string]bool{}
	}
	if v.ID == "" || e.ids[v.ID] {
		return nil
	}
	e.ids[v.ID] = true
	e.list = append(e.list, fmt.Sprintf("%s %s %s", v.DetailType, strings.Join(v.Resources, " "), v.Detail))
	return nil
}

func (e *told) expect(t *testing.T, want ...string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if got := strings.Join(e.list, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("told:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
	e.list = nil
}

func TestStageEvents(t *testing.T) {
	events := &told{}
	f := start(t, func(c *Control) { c.Events = events })
	stageARN := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	a, err := arn.Parse(stageARN)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 12, 0, 0, 25e6, time.UTC)
	observe := func(kind stage.EventKind, participant string, code stage.Code) {
		now = now.Add(time.Second)
		f.StageObserver().Observe(stage.Event{Kind: kind, Time: now, StageID: a.ID, SessionID: "st-1234567890abc", ErrorCode: code,
			Grant: stage.Grant{StageID: a.ID, StageARN: stageARN, ParticipantID: participant, UserID: "ann", Hidden: participant == "composer"}})
	}
	observe(stage.Joined, "xYz", "")
	observe(stage.PublishStarted, "xYz", "")
	observe(stage.Joined, "composer", "")
	observe(stage.SubscribeStarted, "composer", "")
	observe(stage.PublishStarted, "abc", "")
	if n := f.Publishers(stageARN); n != 2 {
		t.Errorf("%d publishers", n)
	}
	observe(stage.PublishError, "xYz", stage.QuotaExceeded)
	observe(stage.PublishStopped, "xYz", "")
	observe(stage.Left, "abc", "")
	if n := f.Publishers(stageARN) + f.Publishers("nonsense"); n != 0 {
		t.Errorf("%d publishers at the end", n)
	}
	f.stageJournal.flush(t.Context())
	update := func(second int, name, participant, more string) string {
		return fmt.Sprintf(`IVS Stage Update %s {"session_id":"st-1234567890abc","event_name":"Participant %s","event_time":"2026-01-01T12:00:0%dZ",%s"user_id":"ann","participant_id":%q%s}`,
			stageARN, name, second, map[bool]string{true: fmt.Sprintf(`"event_time_precise":"2026-01-01T12:00:0%d.025Z",`, second)}[more == ""], participant, more)
	}
	events.expect(t, update(2, "Published", "xYz", ""), update(5, "Published", "abc", ""),
		update(6, "Publish Error", "xYz", `,"error_code":"QUOTA_EXCEEDED"`), update(7, "Unpublished", "xYz", ""))
}

func TestStreamEvents(t *testing.T) {
	events := &told{}
	f := start(t, func(c *Control) { c.Events = events })
	name := text(t, f.must(t, "CreateChannel", `{"name":"show"}`), "channel", "arn")
	s := channel.Stream{ChannelARN: name, ID: streamID("a"), StartTime: time.Now()}
	for _, kind := range []channel.EventKind{channel.SessionCreated, channel.StreamStart} {
		f.StreamObserver().Observe(channel.Event{Kind: kind, Time: time.Now(), Stream: s})
	}
	f.streamJournal.flush(t.Context())
	change := func(what string) string {
		return fmt.Sprintf(`IVS Stream State Change %s {"event_name":%q,"channel_name":"show","stream_id":%q}`, name, what, s.ID)
	}
	events.expect(t, change("Session Created"), change("Stream Start"))
	// A server that was killed told nobody of the end; the next one does.
	f.down()
	f.up(t, func(c *Control) { c.Events = events })
	events.expect(t, change("Stream End"), change("Session Ended"))
}

// TestStreamEventEnvelopes has the exact detail of each kind of event (spec/lowlatency.md §9).
func TestStreamEventEnvelopes(t *testing.T) {
	events := &told{}
	f := start(t, func(c *Control) { c.Events = events })
	name := text(t, f.must(t, "CreateChannel", `{"name":"show"}`), "channel", "arn")
	s := channel.Stream{ChannelARN: name, ID: streamID("a"), StartTime: time.Now()}
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	stream := fmt.Sprintf(`"channel_name":"show","stream_id":%q`, s.ID)
	breach := func(kind channel.EventKind, value, by int64, unit string) channel.Event {
		return channel.Event{Kind: kind, Breach: &channel.Breach{Limit: kind, Value: value, ExceededBy: by, Unit: unit}}
	}
	var want []string
	for _, c := range []struct {
		event         channel.Event
		group, detail string
	}{
		{channel.Event{Kind: channel.SessionCreated}, "IVS Stream State Change", `{"event_name":"Session Created",` + stream + `}`},
		{channel.Event{Kind: channel.StreamStart}, "IVS Stream State Change", `{"event_name":"Stream Start",` + stream + `}`},
		{channel.Event{Kind: channel.StreamTakeover}, "IVS Stream State Change", `{"event_name":"Stream Takeover",` + stream + `}`},
		{channel.Event{Kind: channel.StreamTakeoverFailure, Code: "StreamTakeoverInvalidPriority"}, "IVS Stream State Change",
			`{"event_name":"Stream Takeover Failure",` + stream + `,"code":"StreamTakeoverInvalidPriority"}`},
		{channel.Event{Kind: channel.StarvationStart}, "IVS Stream Health Change", `{"event_name":"Starvation Start",` + stream + `}`},
		{channel.Event{Kind: channel.StarvationEnd}, "IVS Stream Health Change", `{"event_name":"Starvation End",` + stream + `}`},
		{breach(channel.IngestBitrate, 8500000, 1200000, "bits per second"), "IVS Limit Breach",
			`{"limit_name":"Ingest Bitrate","limit_value":8500000,"exceeded_by":1200000,"limit_unit":"bits per second",` + stream + `}`},
		{breach(channel.IngestResolution, 1920, 640, "pixels per edge"), "IVS Limit Breach",
			`{"limit_name":"Ingest Resolution","limit_value":1920,"exceeded_by":640,"limit_unit":"pixels per edge",` + stream + `}`},
		{breach(channel.ConcurrentViewers, 15000, 1, "viewers"), "IVS Limit Breach",
			`{"limit_name":"Concurrent Viewers","limit_value":15000,"exceeded_by":1,"limit_unit":"viewers",` + stream + `}`},
		{channel.Event{Kind: channel.StreamEnd}, "IVS Stream State Change", `{"event_name":"Stream End",` + stream + `}`},
		{channel.Event{Kind: channel.SessionEnded}, "IVS Stream State Change", `{"event_name":"Session Ended",` + stream + `}`},
	} {
		at = at.Add(time.Second)
		c.event.Time, c.event.Stream, c.event.ChannelName = at, s, "show"
		f.StreamObserver().Observe(c.event)
		want = append(want, c.group+" "+name+" "+c.detail)
	}
	// A publisher that was refused has no stream, and leaves no session.
	refused := breach(channel.ConcurrentBroadcasts, 100, 1, "active streams")
	refused.Time, refused.Stream, refused.ChannelName = at, channel.Stream{ChannelARN: name}, "show"
	f.StreamObserver().Observe(refused)
	want = append(want, "IVS Limit Breach "+name+` {"limit_name":"Concurrent Broadcasts","limit_value":100,"exceeded_by":1,"limit_unit":"active streams","channel_name":"show","stream_id":""}`)
	f.streamJournal.flush(t.Context())
	events.expect(t, want...)
	if n := len(f.must(t, "ListStreamSessions", fmt.Sprintf(`{"channelArn":%q}`, name))["streamSessions"].([]any)); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestCompositionEvents(t *testing.T) {
	events := &told{}
	f := start(t, func(c *Control) { c.Events = events })
	r := composition.Record{ID: "s2AdaGUbvQgp", StageARN: "arn:aws:ivs:us-east-1:123456789012:stage/MNALAcH9j2EJ"}
	err := f.PublishComposition(t.Context(), r, composition.Event{ID: "1", Time: time.Now(), Name: "Destination Failure", DestinationID: "2pBRKrNgX1ff",
		Cause: composition.Cause{Code: "AccessDeniedException", Reason: "Access denied to S3 bucket. Please verify your bucket policy."}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.PublishComposition(t.Context(), r, composition.Event{ID: "2", Time: time.Now(), Name: "Session Start"}); err != nil {
		t.Fatal(err)
	}
	const head = `IVS Composition State Change arn:aws:ivs:us-east-1:000000000000:composition/s2AdaGUbvQgp `
	events.expect(t,
		head+`{"event_name":"Destination Failure","stage_arn":"arn:aws:ivs:us-east-1:123456789012:stage/MNALAcH9j2EJ","id":"2pBRKrNgX1ff",`+
			`"error_code":"AccessDeniedException","reason":"Access denied to S3 bucket. Please verify your bucket policy."}`,
		head+`{"event_name":"Session Start","stage_arn":"arn:aws:ivs:us-east-1:123456789012:stage/MNALAcH9j2EJ"}`)
}

// TestStartCompositionAgain: the repetition of a request finds its composition, whatever has gone since.
func TestStartCompositionAgain(t *testing.T) {
	f := startComposing(t)
	body := f.body(f.channel, `"idempotencyToken":"once"`)
	first := text(t, f.must(t, "StartComposition", body), "composition", "arn")
	f.must(t, "DeleteStage", fmt.Sprintf(`{"arn":%q}`, f.stage))
	if again := text(t, f.must(t, "StartComposition", body), "composition", "arn"); again != first {
		t.Errorf("the same request gave %s and %s", first, again)
	}
	f.refused(t, "StartComposition", f.body(f.channel, ""), 404, "ResourceNotFoundException", f.stage)
}

// TestStartCompositionCapacity: what the machine cannot carry is a quota to the API.
func TestStartCompositionCapacity(t *testing.T) {
	f := startComposing(t)
	f.manager.MaxCores = 0.5
	f.must(t, "StartComposition", f.body(f.channel, ""))
	f.refused(t, "StartComposition", f.body(f.newChannel(t), ""), 402, "ServiceQuotaExceededException", "cores")
}

// TestStartCompositionScene: a tag names the scene to begin with.
func TestStartCompositionScene(t *testing.T) {
	f := startComposing(t)
	document := json.RawMessage(`{"background":{"color":"#102030"}}`)
	if _, err := f.PutScene(t.Context(), "evening", document); err != nil {
		t.Fatal(err)
	}
	name := text(t, f.must(t, "StartComposition", f.body(f.channel, `"tags":{"footlight:scene":"evening"}`)), "composition", "arn")
	r, err := f.manager.Get(t.Context(), filepath.Base(name))
	if err != nil || !strings.Contains(string(r.Scene), "#102030") {
		t.Errorf("%s, %v", r.Scene, err)
	}
	f.refused(t, "StartComposition", f.body(f.newChannel(t), `"tags":{"footlight:scene":"morning"}`), 400, "ValidationException", "morning")
}
