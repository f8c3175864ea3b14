package control

import (
	"cmp"
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

	IngestConfigurationARN string                 `json:"ingestConfigurationArn,omitempty"`
	RedundantIngest        bool                   `json:"redundantIngest,omitempty"`
	Replication            participantReplication `json:"replication,omitzero"`
	Recording              participantRecording   `json:"recording,omitzero"`
}

// participantRecording is a participant's newest recording; the zero value: there is none.
type participantRecording struct {
	State  string `json:"state,omitempty"`
	Bucket string `json:"bucket,omitempty"`
	Prefix string `json:"prefix,omitempty"`
}

func (r participantRecording) state() string {
	return cmp.Or(r.State, ivsrealtime.ParticipantRecordingStateDisabled)
}

// participantReplication is a participant's part in replications, the original's or the replica's.
type participantReplication struct {
	Type          string `json:"type"` // SOURCE or REPLICA
	Active        bool   `json:"active"`
	SourceStage   string `json:"sourceStage,omitempty"` // id, as SourceSession of replicas only
	SourceSession string `json:"sourceSession,omitempty"`
}

func (r participantReplication) kind() *string {
	return new(cmp.Or(r.Type, ivsrealtime.ReplicationTypeNone))
}

// state is absent for who has no part in any.
func (r participantReplication) state() *string {
	switch {
	case r.Type == "":
		return nil
	case r.Active:
		return new(ivsrealtime.ReplicationStateActive)
	}
	return new(ivsrealtime.ReplicationStateStopped)
}

func (c *Control) sourceStage(r participantReplication) *string {
	if r.SourceStage == "" {
		return nil
	}
	return new(c.stageARN(r.SourceStage))
}

func (r participantRecord) key() string   { return r.StageID + "/" + r.SessionID + "/" + r.ID }
func (r participantRecord) order() string { return orderKey(r.FirstJoin, r.ID) }

// leave ends the participant's connection, and the part that a replica has in its replication.
func (r *participantRecord) leave() {
	r.Connected = false
	if r.Replication.Type == ivsrealtime.ReplicationTypeReplica {
		r.Replication.Active = false
	}
}

func (r participantRecord) state() string {
	if r.Connected {
		return ivsrealtime.ParticipantStateConnected
	}
	return ivsrealtime.ParticipantStateDisconnected
}

func (c *Control) viewParticipant(r participantRecord) *ivsrealtime.Participant {
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
		RecordingS3BucketName: new(r.Recording.Bucket),
		RecordingS3Prefix:     new(r.Recording.Prefix),
		RecordingState:        new(r.Recording.state()),
		Protocol:              new(r.Protocol),
		SdkVersion:            optional(r.Agent.SDK),
		ReplicationType:       r.Replication.kind(),
		ReplicationState:      r.Replication.state(),
		SourceStageArn:        c.sourceStage(r.Replication),
		SourceSessionId:       optional(r.Replication.SourceSession),

		RedundantIngest:        new(r.RedundantIngest),
		IngestConfigurationArn: optional(r.IngestConfigurationARN),
	}
}

func (c *Control) summarizeParticipant(r participantRecord) ivsrealtime.ParticipantSummary {
	return ivsrealtime.ParticipantSummary{
		ParticipantId:    new(r.ID),
		UserId:           new(r.UserID),
		State:            new(r.state()),
		FirstJoinTime:    api.TimeOf(r.FirstJoin),
		Published:        new(r.Published),
		RecordingState:   new(r.Recording.state()),
		ReplicationType:  r.Replication.kind(),
		ReplicationState: r.Replication.state(),
		SourceStageArn:   c.sourceStage(r.Replication),
		SourceSessionId:  optional(r.Replication.SourceSession),

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

	Replica            bool   `json:"replica,omitempty"`          // the one who publishes is one
	DestinationStage   string `json:"destinationStage,omitempty"` // id; this and the next of replications
	DestinationSession string `json:"destinationSession,omitempty"`

	Previous *exchangedToken `json:"previous,omitzero"` // this and the next of TOKEN_EXCHANGED
	New      *exchangedToken `json:"new,omitzero"`
}

// exchangedToken is what a token that was exchanged, or came in its place, allows.
type exchangedToken struct {
	Capabilities []string          `json:"capabilities,omitempty"`
	Attributes   map[string]string `json:"attributes,omitempty"`
	UserID       string            `json:"userId,omitempty"`
	Expires      time.Time         `json:"expires,omitzero"`
}

func exchangedTokenOf(g stage.Grant) *exchangedToken {
	t := &exchangedToken{Attributes: g.Attributes, UserID: g.UserID, Expires: g.Expires.UTC()}
	if g.Publish {
		t.Capabilities = append(t.Capabilities, ivsrealtime.ParticipantTokenCapabilityPublish)
	}
	if g.Subscribe {
		t.Capabilities = append(t.Capabilities, ivsrealtime.ParticipantTokenCapabilitySubscribe)
	}
	return t
}

func viewExchangedToken(t *exchangedToken) *ivsrealtime.ExchangedParticipantToken {
	if t == nil {
		return nil
	}
	return &ivsrealtime.ExchangedParticipantToken{
		Capabilities: t.Capabilities, Attributes: t.Attributes, UserId: optional(t.UserID), ExpirationTime: optionalTime(t.Expires),
	}
}

func (r eventRecord) order() string { return r.Order }

func (c *Control) viewEvent(r eventRecord) ivsrealtime.Event {
	e := ivsrealtime.Event{
		Name:                new(r.Name),
		ParticipantId:       new(r.ParticipantID),
		EventTime:           api.TimeOf(r.Time),
		RemoteParticipantId: optional(r.Remote),
		ErrorCode:           optional(r.ErrorCode),

		DestinationSessionId: optional(r.DestinationSession),
		PreviousToken:        viewExchangedToken(r.Previous),
		NewToken:             viewExchangedToken(r.New),
	}
	if r.Replica {
		e.Replica = new(true)
	}
	if r.DestinationStage != "" {
		e.DestinationStageArn = new(c.stageARN(r.DestinationStage))
	}
	return e
}

// errorCode is the code as the API has it: of the stage's own codes, those that the model does not know are
// left out.
func errorCode(code stage.Code) string {
	switch code {
	case stage.InsufficientCapability, stage.PublisherNotFound, stage.InvalidInput, stage.InvalidVideoCodec,
		stage.InvalidAudioCodec, stage.QuotaExceeded, stage.BitrateExceeded, stage.ResolutionExceeded, stage.BFramePresent,
		stage.StreamDurationExceeded, stage.InvalidProtocol, stage.InvalidStreamKey, stage.ReuseOfStreamKey, stage.Internal:
		return string(code)
	}
	return ""
}
