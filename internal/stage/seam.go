package stage

import (
	"context"
	"crypto/sha256"
	"time"
)

// Grant is what a verified participant token allows its holder on one stage.
type Grant struct {
	StageID       string
	StageARN      string
	ParticipantID string // the token's jti; also the name under which others subscribe
	UserID        string
	Attributes    map[string]string
	Publish       bool
	Subscribe     bool
	// Hidden participants (composers) see the stage and subscribe, but appear in no snapshot,
	// no session record and no limit. Only the server itself can mint such a token.
	Hidden bool
	// Backstage participants have a session record and events, but nobody else sees or hears them and they count for no
	// limit: each physical stream of redundant ingest is one.
	Backstage bool
	Expires   time.Time // checked at join only

	// Of the token, for its exchange: that the owner of an imported key signed it, and the addresses in it.
	SelfSigned         bool
	EventsURL, WHIPURL string

	fingerprint [sha256.Size]byte // of the token; zero for who has none

	// IngestConfigurationARN is set for participants of an ingest configuration.
	IngestConfigurationARN string
	RedundantIngest        bool
}

// Admission decides what the bearer of a token may do. The control plane implements it:
// signature, expiry, that the stage exists and that the participant has not been disconnected.
// It returns an *Error; the Grant then still names the stage and the participant if the token is genuine.
type Admission interface {
	Admit(ctx context.Context, bearer string) (Grant, error)
}

// Code says why the stage refused something. It decides the HTTP status and travels to events.
type Code string

// The reasons for a refusal. [M] marks those that Event.errorCode of the IVS model has.
const (
	TokenMissing            Code = "TOKEN_MISSING"             // 401
	TokenMalformed          Code = "TOKEN_MALFORMED"           // 401, also a bad signature
	TokenExpired            Code = "TOKEN_EXPIRED"             // 401
	InsufficientCapability  Code = "INSUFFICIENT_CAPABILITIES" // 403 [M]
	ParticipantDisconnected Code = "PARTICIPANT_DISCONNECTED"  // 403
	StageNotFound           Code = "STAGE_NOT_FOUND"           // 404
	PublisherNotFound       Code = "PUBLISHER_NOT_FOUND"       // 404 [M]
	SessionNotFound         Code = "SESSION_NOT_FOUND"         // 404
	InvalidInput            Code = "INVALID_INPUT"             // 400 [M], garbage SDP
	InvalidVideoCodec       Code = "INVALID_VIDEO_CODEC"       // 400 [M], offer without H.264
	InvalidAudioCodec       Code = "INVALID_AUDIO_CODEC"       // 400 [M]
	QuotaExceeded           Code = "QUOTA_EXCEEDED"            // 503 [M]
	BitrateExceeded         Code = "BITRATE_EXCEEDED"          // [M], in events only, as those below: ends a publisher
	ResolutionExceeded      Code = "RESOLUTION_EXCEEDED"       // [M]
	BFramePresent           Code = "B_FRAME_PRESENT"           // [M]
	StreamDurationExceeded  Code = "STREAM_DURATION_EXCEEDED"  // [M]
	InvalidProtocol         Code = "INVALID_PROTOCOL"          // [M] RTMP where RTMPS is asked for
	InvalidStreamKey        Code = "INVALID_STREAM_KEY"        // [M]
	ReuseOfStreamKey        Code = "REUSE_OF_STREAM_KEY"       // [M]
	Internal                Code = "INTERNAL_SERVER_EXCEPTION" // 500 [M]
)

// Error is a refusal with its reason. Message tells the caller what to do next.
type Error struct {
	Code    Code
	Message string
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// EventKind names a change on a stage.
type EventKind string

// The changes that an Observer hears of.
const (
	SessionStarted   EventKind = "SESSION_STARTED"
	SessionEnded     EventKind = "SESSION_ENDED"
	Joined           EventKind = "JOINED"
	Left             EventKind = "LEFT"
	PublishStarted   EventKind = "PUBLISH_STARTED"
	PublishStopped   EventKind = "PUBLISH_STOPPED"
	SubscribeStarted EventKind = "SUBSCRIBE_STARTED"
	SubscribeStopped EventKind = "SUBSCRIBE_STOPPED"
	PublishError     EventKind = "PUBLISH_ERROR"
	SubscribeError   EventKind = "SUBSCRIBE_ERROR"
	JoinError        EventKind = "JOIN_ERROR"
	TokenExchanged   EventKind = "TOKEN_EXCHANGED"

	ReplicationStarted EventKind = "REPLICATION_STARTED"
	ReplicationStopped EventKind = "REPLICATION_STOPPED"
	// ReplicationResumed tells that a replica is back, perhaps in other sessions. IVS has no such event.
	ReplicationResumed EventKind = "REPLICATION_RESUMED"
	// Changed tells that a replica has another user id or other attributes. IVS has no such event.
	Changed EventKind = "CHANGED"
)

// Event is one change on a stage. Hidden participants cause none.
type Event struct {
	Kind              EventKind
	Time              time.Time
	StageID           string
	SessionID         string // st- and 13 characters; one from the first join until 60 s after the last leave
	Grant             Grant  // of the participant; zero for session events
	RemoteParticipant string // the publisher, for subscribe events
	UserAgent         string // as the client sent it, for Joined
	Protocol          string // WHIP for publishers, RTMP or RTMPS for feeds, else UNKNOWN
	ErrorCode         Code   // for error events
	Reason            string // why it ended, for humans

	// Origin is set when the participant is a replica: for what it does, and for those who subscribe to it.
	Origin *Origin
	// Replication is set for events of replications. They are the source stage's, with the Grant of the original.
	Replication *Replication
	// Previous is what the participant was allowed before TokenExchanged; Grant is what it is now.
	Previous *Grant
}

// Observer hears every change in order, called from the goroutine that owns the stage, or the replication.
// Observe must not block: the control plane queues and writes to the store by itself.
type Observer interface {
	Observe(Event)
}
