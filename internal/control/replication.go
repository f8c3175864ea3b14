package control

import (
	"context"
	"errors"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/store"
	"github.com/footlight-live/footlight/internal/token"
)

// replicationRecord is the newest replication of a participant to one stage. The live side reports it; the record is
// what is listed, and what a new process goes on with.
type replicationRecord struct {
	SourceID           string            `json:"sourceId"`
	DestinationID      string            `json:"destinationId"`
	ParticipantID      string            `json:"participantId"`
	UserID             string            `json:"userId,omitempty"`
	SourceSession      string            `json:"sourceSession"`
	DestinationSession string            `json:"destinationSession"`
	Attributes         map[string]string `json:"attributes,omitempty"`
	Window             time.Duration     `json:"window,omitempty"`
	Started            time.Time         `json:"started"`
	Ended              time.Time         `json:"ended,omitzero"` // zero while active
}

func (r replicationRecord) key() string {
	return r.SourceID + "/" + r.ParticipantID + "/" + r.DestinationID
}
func (r replicationRecord) order() string { return orderKey(r.Started, r.DestinationID) }
func (r replicationRecord) active() bool  { return r.Ended.IsZero() }

func (r replicationRecord) live() stage.Replication {
	return stage.Replication{
		SourceID: r.SourceID, DestinationID: r.DestinationID, ParticipantID: r.ParticipantID,
		Attributes: r.Attributes, Window: r.Window,
		UserID: r.UserID, SourceSession: r.SourceSession, DestinationSession: r.DestinationSession,
	}
}

func (c *Control) viewReplica(r replicationRecord) ivsrealtime.ParticipantReplica {
	state := ivsrealtime.ReplicationStateStopped
	if r.active() {
		state = ivsrealtime.ReplicationStateActive
	}
	return ivsrealtime.ParticipantReplica{
		SourceStageArn:       new(c.stageARN(r.SourceID)),
		ParticipantId:        new(r.ParticipantID),
		SourceSessionId:      new(r.SourceSession),
		DestinationStageArn:  new(c.stageARN(r.DestinationID)),
		DestinationSessionId: new(r.DestinationSession),
		ReplicationState:     new(state),
	}
}

// StartParticipantReplication shows a publisher on another stage as well. When it answers, the replica is there.
func (c *Control) StartParticipantReplication(ctx context.Context, in *ivsrealtime.StartParticipantReplicationRequest) error {
	if size := token.AttributeBytes(in.Attributes); size > token.MaxAttributeBytes {
		return api.ValidationException("attributes have %d bytes in all; at most %d are allowed", size, token.MaxAttributeBytes)
	}
	from, to, err := c.replicationStages(ctx, *in.SourceStageArn, *in.DestinationStageArn, *in.ParticipantId)
	if err != nil {
		return err
	}
	err = stage.ErrNotPublishing
	if c.Stages != nil {
		err = c.Stages.StartReplication(ctx, stage.Replication{
			SourceID: from, DestinationID: to, ParticipantID: *in.ParticipantId,
			Attributes: in.Attributes, Window: time.Duration(value(in.ReconnectWindowSeconds, 0)) * time.Second,
		})
	}
	refusal, refused := errors.AsType[*stage.Error](err)
	switch {
	case err == nil:
	case errors.Is(err, stage.ErrNotPublishing):
		return api.ResourceNotFoundException("Participant: %s does not publish on stage %s", *in.ParticipantId, *in.SourceStageArn)
	case errors.Is(err, stage.ErrReplicated):
		return api.ConflictException("Participant %s is replicated to stage %s already", *in.ParticipantId, *in.DestinationStageArn)
	case errors.Is(err, stage.ErrOnDestination):
		return api.ConflictException("Stage %s has a participant %s of its own", *in.DestinationStageArn, *in.ParticipantId)
	case errors.Is(err, stage.ErrReplications):
		return api.ServiceQuotaExceededException("The quota of %d replications per participant is used up", c.Quotas.replicationsPerParticipant().max)
	case refused && refusal.Code == stage.QuotaExceeded:
		return api.ServiceQuotaExceededException("Stage %s: %s", *in.DestinationStageArn, refusal.Message)
	default:
		return err
	}
	return c.stageJournal.do(context.WithoutCancel(ctx), func(context.Context) error { return nil })
}

// StopParticipantReplication takes a replica off its stage.
func (c *Control) StopParticipantReplication(ctx context.Context, in *ivsrealtime.StopParticipantReplicationRequest) error {
	from, to, err := c.replicationStages(ctx, *in.SourceStageArn, *in.DestinationStageArn, *in.ParticipantId)
	if err != nil {
		return err
	}
	if c.Stages == nil || !c.Stages.StopReplication(from, to, *in.ParticipantId) {
		return api.ResourceNotFoundException("Participant %s is not replicated to stage %s", *in.ParticipantId, *in.DestinationStageArn)
	}
	return c.stageJournal.do(context.WithoutCancel(ctx), func(context.Context) error { return nil })
}

// replicationStages checks what both operations need, and returns the ids of the stages.
func (c *Control) replicationStages(ctx context.Context, sourceARN, destinationARN, participantID string) (source, destination string, err error) {
	if participantID == "" {
		return "", "", api.ValidationException("participantId must not be empty")
	}
	from, err := c.ours(sourceARN, arn.Stage)
	if err != nil {
		return "", "", err
	}
	to, err := c.ours(destinationARN, arn.Stage)
	if err != nil {
		return "", "", err
	}
	if from.ID == to.ID {
		return "", "", api.ValidationException("sourceStageArn and destinationStageArn must be two stages")
	}
	if _, err := c.findStage(ctx, from.ID, sourceARN); err != nil {
		return "", "", err
	}
	_, err = c.findStage(ctx, to.ID, destinationARN)
	return from.ID, to.ID, err
}

// ListParticipantReplicas shows the newest replication of a participant to each stage, in the order of their start. Those
// that have ended are among them.
func (c *Control) ListParticipantReplicas(ctx context.Context, in *ivsrealtime.ListParticipantReplicasRequest) (*ivsrealtime.ListParticipantReplicasResponse, error) {
	if *in.ParticipantId == "" {
		return nil, api.ValidationException("participantId must not be empty")
	}
	r, err := c.stageOf(ctx, *in.SourceStageArn)
	if err != nil {
		return nil, err
	}
	c.stageJournal.flush(ctx)
	prefix := r.ID + "/" + *in.ParticipantId + "/"
	list, err := c.replications.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	page, next, err := oldestFirst(c, "ListParticipantReplicas "+prefix, list, replicationRecord.order, in.MaxResults, in.NextToken, pageOfReplicas)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.ListParticipantReplicasResponse{Replicas: each(page, c.viewReplica), NextToken: next}, nil
}

// recordReplication applies an event of a replication to its record. What concerns a deleted stage is forgotten. It runs on
// the journal's goroutine.
func (c *Control) recordReplication(ctx context.Context, e stage.Event) error {
	of := e.Replication
	r := replicationRecord{SourceID: of.SourceID, DestinationID: of.DestinationID, ParticipantID: of.ParticipantID, Started: e.Time}
	before, _, err := c.replications.Get(ctx, r.key())
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for _, id := range []string{of.SourceID, of.DestinationID} {
		if _, _, err := c.stages.Get(ctx, id); errors.Is(err, store.ErrNotFound) {
			return ignoreNotFound(c.replications.Delete(ctx, r.key()))
		} else if err != nil {
			return err
		}
	}
	if known && e.Kind != stage.ReplicationStarted {
		r = before
	}
	r.UserID, r.SourceSession, r.DestinationSession = of.UserID, of.SourceSession, of.DestinationSession
	r.Attributes, r.Window = of.Attributes, of.Window
	if e.Kind == stage.ReplicationStopped {
		r.Ended = e.Time
	}
	return c.replications.Put(ctx, r.key(), r)
}

// replicated tells whether a participant has replications that go on.
func (c *Control) replicated(ctx context.Context, sourceID, participantID string) (bool, error) {
	list, err := c.replications.List(ctx, sourceID+"/"+participantID+"/")
	for _, r := range list {
		if r.active() {
			return true, err
		}
	}
	return false, err
}

// forgetReplications deletes the records from and to a stage.
func (c *Control) forgetReplications(ctx context.Context, stageID string) error {
	all, err := c.replications.List(ctx, "")
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.SourceID != stageID && r.DestinationID != stageID {
			continue
		}
		if err := ignoreNotFound(c.replications.Delete(ctx, r.key())); err != nil {
			return err
		}
	}
	return nil
}

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// sweepReplications ends the replications that an earlier process left and whose participant had no time to come back,
// and deletes those of stages that are gone. The others wait for ResumeReplications.
func (c *Control) sweepReplications(ctx context.Context) error {
	all, err := c.replications.List(ctx, "")
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.active() && r.Window > 0 {
			continue
		}
		of := r.live()
		e := stage.Event{
			Kind: stage.ReplicationStopped, Time: c.Now(), StageID: r.SourceID, SessionID: r.SourceSession, Replication: &of,
			Grant: stage.Grant{StageID: r.SourceID, ParticipantID: r.ParticipantID, UserID: r.UserID},
		}
		if r.active() {
			err = c.recordStage(ctx, e)
		} else {
			e.Time = r.Ended
			err = c.recordReplication(ctx, e) // for the stages
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ResumeReplications goes on with the replications that an earlier process left: their participants have the window to
// come back. It is called once, with Stages set.
func (c *Control) ResumeReplications(ctx context.Context) error {
	all, err := c.replications.List(ctx, "")
	if err != nil {
		return err
	}
	for _, r := range all {
		if !r.active() {
			continue
		}
		if err := c.Stages.ResumeReplication(r.live()); err != nil {
			c.Log.Error("resume a replication", "source", r.SourceID, "destination", r.DestinationID, "participant", r.ParticipantID, "error", err)
		}
	}
	return nil
}
