package control

import (
	"context"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/stage"
)

// Streams is the live side of channels.
type Streams interface {
	Stream(channelARN string) (channel.Stream, bool)
	Streams() []channel.Stream
	// Stop cuts the publisher; channel.ErrNotLive when there is none.
	Stop(channelARN, reason string) error
	// PutMetadata and InsertAdBreak act at the live edge; channel.ErrNotLive when nothing is playable.
	PutMetadata(channelARN, text string) error
	InsertAdBreak(channelARN, id string, duration time.Duration) (channel.AdBreak, error)
}

// Stages is the live side of stages. Its methods do nothing for a stage where nobody is.
type Stages interface {
	// StartReplication refuses with one of the stage package's errors; StopReplication tells whether there was one.
	StartReplication(context.Context, stage.Replication) error
	ResumeReplication(stage.Replication) error
	StopReplication(sourceID, destinationID, participantID string) bool
	CloseStage(stageID, reason string)
	Disconnect(stageID, participantID, reason string)
	ActiveSession(stageID string) string // empty when there is none
	// Listen refuses with a *stage.Error of code stage.PublisherNotFound.
	Listen(ctx context.Context, stageID, participantID string) (*stage.Ear, error)
}

// Ingests is the live side of ingest configurations.
type Ingests interface {
	// Active tells whether an encoder publishes, or may still come back.
	Active(configurationID string) bool
	// Stop disconnects the encoder, if there is one.
	Stop(configurationID, reason string)
}

// Compositions is what the other resources need to know of compositions.
type Compositions interface {
	// InUse says whether a composition that has not ended uses the channel, stage or encoder configuration.
	InUse(ctx context.Context, kind arn.Type, resourceARN string) (bool, error)
	// Feeds says whether the composition may publish to the channel: neither it nor its destination there has ended.
	Feeds(ctx context.Context, compositionID, channelARN string) (bool, error)
	// StageDeleted ends the compositions of a stage that is gone.
	StageDeleted(ctx context.Context, stageARN string) error
}

// The methods below stand in for neighbours that are not there, as in a server that only keeps resources.

func (c *Control) liveStream(channelARN string) (channel.Stream, bool) {
	if c.Streams == nil {
		return channel.Stream{}, false
	}
	return c.Streams.Stream(channelARN)
}

func (c *Control) activeSession(stageID string) string {
	if c.Stages == nil {
		return ""
	}
	return c.Stages.ActiveSession(stageID)
}

func (c *Control) ingestActive(id string) bool { return c.Ingests != nil && c.Ingests.Active(id) }

func (c *Control) stopIngest(id, reason string) {
	if c.Ingests != nil {
		c.Ingests.Stop(id, reason)
	}
}

func (c *Control) feeds(ctx context.Context, compositionID, channelARN string) (bool, error) {
	if c.Compositions == nil {
		return false, nil
	}
	return c.Compositions.Feeds(ctx, compositionID, channelARN)
}

func (c *Control) inUse(ctx context.Context, kind arn.Type, resourceARN string) (bool, error) {
	if c.Compositions == nil {
		return false, nil
	}
	return c.Compositions.InUse(ctx, kind, resourceARN)
}
