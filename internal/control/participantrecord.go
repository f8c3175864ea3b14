package control

import (
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/stage"
)

// stageSessionRecord is one session of a stage. Its key is stage/session.
type stageSessionRecord struct {
	StageID string    `json:"stageId"`
	ID      string    `json:"id"`
	Start   time.Time `json:"start"`
	End     time.Time `json:"end,omitzero"` // zero while active
}

func (r stageSessionRecord) key() string   { return r.StageID + "/" + r.ID }
func (r stageSessionRecord) order() string { return orderKey(r.Start, r.ID) }

// participantRecord is one participant of one session. Its key is stage/session/participant.
type participantRecord struct {
	StageID    string            `json:"stageId"`
	SessionID  string            `json:"sessionId"`
	ID         string            `json:"id"`
	UserID     string            `json:"userId,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	FirstJoin  time.Time         `json:"firstJoin"`
	Connected  bool              `json:"connected"`
	Published  bool              `json:"published"` // ever, in this session
	Protocol   string            `json:"protocol"`
	Agent      agent             `json:"agent,omitzero"`

	IngestConfigurationARN string `json:"ingestConfigurationArn,omitempty"`
	RedundantIngest        bool   `json:"redundantIngest,omitempty"`
}

func (r participantRecord) key() string   { return r.StageID + "/" + r.SessionID + "/" + r.ID }
func (r participantRecord) order() string { return orderKey(r.FirstJoin, r.ID) }

func (r participantRecord) state() string {
	if r.Connected {
		return ivsrealtime.ParticipantStateConnected
	}
	return ivsrealtime.ParticipantStateDisconnected
}

func viewParticipant(r participantRecord) *ivsrealtime.Participant {
	return &ivsrealtime.Participant{
		ParticipantId:         new(r.ID),
		UserId:                new(r.UserID),
		State:                 new(r.state()),
		FirstJoinTime:         api.TimeOf(r.FirstJoin),
		Attributes:            given(r.Attributes),
		Published:             new(r.Published),
		OsName:                optional(r.Agent.OS),
		OsVersion:             optional(r.Agent.OSVersion),
		BrowserName:           optional(r.Agent.Browser),
		BrowserVersion:        optional(r.Agent.BrowserVersion),
		RecordingS3BucketName: new(""),
		RecordingS3Prefix:     new(""),
		RecordingState:        new(ivsrealtime.ParticipantRecordingStateDisabled),
		Protocol:              new(r.Protocol),
		ReplicationType:       new(ivsrealtime.ReplicationTypeNone),

		RedundantIngest:        new(r.RedundantIngest),
		IngestConfigurationArn: optional(r.IngestConfigurationARN),
	}
}

func summarizeParticipant(r participantRecord) ivsrealtime.ParticipantSummary {
	return ivsrealtime.ParticipantSummary{
		ParticipantId:   new(r.ID),
		UserId:          new(r.UserID),
		State:           new(r.state()),
		FirstJoinTime:   api.TimeOf(r.FirstJoin),
		Published:       new(r.Published),
		RecordingState:  new(ivsrealtime.ParticipantRecordingStateDisabled),
		ReplicationType: new(ivsrealtime.ReplicationTypeNone),

		RedundantIngest:        new(r.RedundantIngest),
		IngestConfigurationArn: optional(r.IngestConfigurationARN),
	}
}

// eventRecord is one thing that a participant did. Its key is stage/session/participant/order.
type eventRecord struct {
	Name          string    `json:"name"`
	ParticipantID string    `json:"participantId"`
	Time          time.Time `json:"time"`
	Remote        string    `json:"remote,omitempty"`
	ErrorCode     string    `json:"errorCode,omitempty"`
	Order         string    `json:"order"` // sorts the events of a participant as they happened
}

func (r eventRecord) order() string { return r.Order }

func viewEvent(r eventRecord) ivsrealtime.Event {
	return ivsrealtime.Event{
		Name:                new(r.Name),
		ParticipantId:       new(r.ParticipantID),
		EventTime:           api.TimeOf(r.Time),
		RemoteParticipantId: optional(r.Remote),
		ErrorCode:           optional(r.ErrorCode),
	}
}

// errorCode is the code as the API has it: of the stage's own codes, those that the model does not know are
// left out.
func errorCode(code stage.Code) string {
	switch code {
	case stage.InsufficientCapability, stage.PublisherNotFound, stage.InvalidInput, stage.InvalidVideoCodec,
		stage.InvalidAudioCodec, stage.QuotaExceeded, stage.Internal, stage.BitrateExceeded, stage.ResolutionExceeded,
		stage.BFramePresent, stage.StreamDurationExceeded, stage.InvalidProtocol, stage.InvalidStreamKey, stage.ReuseOfStreamKey:
		return string(code)
	}
	return ""
}
