package control

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/event"
	"github.com/footlight-live/footlight/internal/stage"
)

// Events is where what happens to resources is told; event.Log is one.
type Events interface {
	// Publish returns when the event is on disk. An event of an id that has just been published changes nothing.
	Publish(context.Context, event.Event) error
}

// publish tells of an event about one resource.
func (c *Control) publish(ctx context.Context, id, detailType, resource string, at time.Time, detail any) error {
	if c.Events == nil {
		return nil
	}
	b, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	return c.Events.Publish(ctx, event.Event{ID: id, DetailType: detailType, Resources: []string{resource}, Time: at, Detail: b})
}

// compositionDetail is the detail of "IVS Composition State Change" (spec/composition.md §3).
type compositionDetail struct {
	EventName     string `json:"event_name"`
	StageARN      string `json:"stage_arn"`
	DestinationID string `json:"id,omitzero"`
	ErrorCode     string `json:"error_code,omitzero"`
	Reason        string `json:"reason,omitzero"`
}

// PublishComposition tells of a composition's event.
func (c *Control) PublishComposition(ctx context.Context, r composition.Record, e composition.Event) error {
	return c.publish(ctx, e.ID, "IVS Composition State Change", c.compositionARN(r.ID), e.Time, compositionDetail{
		EventName: e.Name, StageARN: r.StageARN, DestinationID: e.DestinationID, ErrorCode: e.Cause.Code, Reason: e.Cause.Reason,
	})
}

// stageDetail is the detail of "IVS Stage Update" (spec/realtime.md §9).
type stageDetail struct {
	SessionID     string    `json:"session_id"`
	EventName     string    `json:"event_name"`
	EventTime     time.Time `json:"event_time"`                  // whole seconds
	Precise       string    `json:"event_time_precise,omitzero"` // with milliseconds
	UserID        string    `json:"user_id"`
	ParticipantID string    `json:"participant_id"`
	ErrorCode     string    `json:"error_code,omitzero"`

	// Of a replica.
	Replica       bool   `json:"replica,omitzero"`
	SourceStage   string `json:"source_stage_arn,omitzero"`
	SourceSession string `json:"source_session_id,omitzero"`

	// Of a replication.
	DestinationStage   string `json:"destination_stage_arn,omitzero"`
	DestinationSession string `json:"destination_session_id,omitzero"`

	// Of an exchange.
	PreviousToken *tokenDetail `json:"previous_token,omitzero"`
	NewToken      *tokenDetail `json:"new_token,omitzero"`
}

// tokenDetail is a token in the detail of "Token Exchanged".
type tokenDetail struct {
	Capabilities []string          `json:"capabilities,omitempty"`
	Attributes   map[string]string `json:"attributes,omitempty"`
	UserID       string            `json:"user_id,omitzero"`
	Expires      string            `json:"expiration_time"`
}

func tokenDetailOf(g stage.Grant) *tokenDetail {
	t := exchangedTokenOf(g)
	return &tokenDetail{t.Capabilities, t.Attributes, t.UserID, t.Expires.Format(time.RFC3339)}
}

// stageEventNames are the changes on a stage that EventBridge tells of: neither joins nor subscriptions.
var stageEventNames = map[stage.EventKind]string{
	stage.PublishStarted: "Participant Published",
	stage.PublishStopped: "Participant Unpublished",
	stage.PublishError:   "Participant Publish Error",

	stage.ReplicationStarted: "Participant Replication Start",
	stage.ReplicationStopped: "Participant Replication End",
	stage.TokenExchanged:     "Token Exchanged",
}

// publishStage tells of a change on a stage.
func (c *Control) publishStage(ctx context.Context, e stage.Event) error {
	name, ok := stageEventNames[e.Kind]
	if !ok {
		return nil
	}
	at := e.Time.UTC()
	d := stageDetail{SessionID: e.SessionID, EventName: name, EventTime: at.Truncate(time.Second),
		UserID: e.Grant.UserID, ParticipantID: e.Grant.ParticipantID, ErrorCode: errorCode(e.ErrorCode)}
	if e.Kind == stage.PublishStarted || e.Kind == stage.PublishStopped {
		d.Precise = at.Format("2006-01-02T15:04:05.000Z")
	}
	if e.Origin != nil {
		d.Replica, d.SourceStage, d.SourceSession = true, c.stageARN(e.Origin.StageID), e.Origin.SessionID
	}
	if r := e.Replication; r != nil {
		d.DestinationStage, d.DestinationSession = c.stageARN(r.DestinationID), r.DestinationSession
	}
	if e.Previous != nil {
		d.PreviousToken, d.NewToken = tokenDetailOf(*e.Previous), tokenDetailOf(e.Grant)
	}
	id := event.IDOf(e.StageID, e.SessionID, string(e.Kind), e.Grant.ParticipantID, strconv.FormatInt(e.Time.UnixNano(), 10))
	return c.publish(ctx, id, "IVS Stage Update", c.Account.Of(arn.Stage, e.StageID).String(), at, d)
}

// streamDetail is the detail of events of live streams (spec/lowlatency.md §9). Each kind has its own members.
type streamDetail struct {
	EventName string `json:"event_name,omitzero"`

	// Of "IVS Limit Breach", in place of a name.
	LimitName  string `json:"limit_name,omitzero"`
	LimitValue int64  `json:"limit_value,omitzero"`
	ExceededBy int64  `json:"exceeded_by,omitzero"`
	LimitUnit  string `json:"limit_unit,omitzero"`

	ChannelName string `json:"channel_name"`
	StreamID    string `json:"stream_id"`
	Code        string `json:"code,omitzero"`
	Reason      string `json:"reason,omitzero"` // of "Stream Failure"

	// Of "IVS Ad Break State Change".
	AdBreakID       string  `json:"ad_break_id,omitzero"`
	DurationSeconds float64 `json:"duration_seconds,omitzero"`
	TargetStartTime string  `json:"target_start_time,omitzero"`
}

// publishStream tells of a change of a channel's live stream, which may have no id.
func (c *Control) publishStream(ctx context.Context, channelID, channelName, streamID string, e channel.Event) error {
	id := event.IDOf(channelID, streamID, string(e.Kind), strconv.FormatInt(e.Time.UnixNano(), 10))
	detail := streamDetail{EventName: string(e.Kind), ChannelName: channelName, StreamID: streamID, Code: e.Code}
	if e.Kind == channel.StreamFailure {
		detail.Reason = e.Reason
	}
	if b := e.AdBreak; b != nil {
		detail.AdBreakID, detail.DurationSeconds, detail.TargetStartTime = b.ID, b.Duration.Seconds(), b.Start.UTC().Format(time.RFC3339)
	}
	if b := e.Breach; b != nil {
		detail.EventName, detail.LimitName = "", string(b.Limit)
		detail.LimitValue, detail.ExceededBy, detail.LimitUnit = b.Value, b.ExceededBy, b.Unit
	}
	return c.publish(ctx, id, eventGroup(e.Kind), c.Account.Of(arn.Channel, channelID).String(), e.Time, detail)
}
