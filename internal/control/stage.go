package control

import (
	"context"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
)

// CreateStage makes a stage and the participant tokens that the request asks for.
func (c *Control) CreateStage(ctx context.Context, in *ivsrealtime.CreateStageRequest) (*ivsrealtime.CreateStageResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	c.references.RLock()
	defer c.references.RUnlock()
	// The operation has no ResourceNotFoundException.
	recording, err := c.configureParticipants(ctx, in.AutoParticipantRecordingConfiguration, api.ValidationException)
	if err != nil {
		return nil, err
	}
	r := stageRecord{ID: arn.NewID(12), Created: c.Now(), Name: value(in.Name, ""), Tags: in.Tags, Recording: recording}
	tokens := []ivsrealtime.ParticipantToken{}
	for _, cfg := range in.ParticipantTokenConfigurations {
		t, err := c.mint(r.ID, tokenRequest{cfg.Duration, cfg.UserId, cfg.Attributes, cfg.Capabilities})
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, *t)
	}
	if err := createWithin(ctx, c, c.Quotas.stages(), c.stages, r.ID, r); err != nil {
		return nil, err
	}
	return &ivsrealtime.CreateStageResponse{Stage: c.viewStage(r), ParticipantTokens: tokens}, nil
}

// GetStage shows one stage.
func (c *Control) GetStage(ctx context.Context, in *ivsrealtime.GetStageRequest) (*ivsrealtime.GetStageResponse, error) {
	r, err := c.stageOf(ctx, *in.Arn)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.GetStageResponse{Stage: c.viewStage(r)}, nil
}

// ListStages shows all stages.
func (c *Control) ListStages(ctx context.Context, in *ivsrealtime.ListStagesRequest) (*ivsrealtime.ListStagesResponse, error) {
	all, err := c.stages.Sorted(ctx)
	if err != nil {
		return nil, err
	}
	page, next, err := api.Page(c.Pager, "ListStages", all, (*stageRecord).order, in.MaxResults, in.NextToken, pageOf50.def, pageOf50.max)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.ListStagesResponse{Stages: each(page, func(r *stageRecord) ivsrealtime.StageSummary { return c.summarizeStage(*r) }), NextToken: next}, nil
}

// UpdateStage renames a stage, or changes how its participants are recorded, which it refuses while one is.
func (c *Control) UpdateStage(ctx context.Context, in *ivsrealtime.UpdateStageRequest) (*ivsrealtime.UpdateStageResponse, error) {
	a, err := c.ours(*in.Arn, arn.Stage)
	if err != nil {
		return nil, err
	}
	c.references.RLock()
	defer c.references.RUnlock()
	if _, err := c.findStage(ctx, a.ID, *in.Arn); err != nil {
		return nil, err
	}
	recording, err := c.configureParticipants(ctx, in.AutoParticipantRecordingConfiguration, api.ResourceNotFoundException)
	if err != nil {
		return nil, err
	}
	r, err := c.stages.Update(ctx, a.ID, func(r *stageRecord) error {
		r.Name = value(in.Name, r.Name)
		if in.AutoParticipantRecordingConfiguration == nil {
			return nil
		}
		r.Recording = recording
		if c.participantTapes.active(a.ID) {
			return api.ConflictException("Stage: %s has a recording that is active; autoParticipantRecordingConfiguration can be changed when it has ended", *in.Arn)
		}
		return nil
	})
	if err != nil {
		return nil, orNotFound(err, *in.Arn)
	}
	return &ivsrealtime.UpdateStageResponse{Stage: c.viewStage(r)}, nil
}

// DeleteStage removes a stage, disconnects everyone on it, ends its compositions and deletes its history.
func (c *Control) DeleteStage(ctx context.Context, in *ivsrealtime.DeleteStageRequest) error {
	a, err := c.ours(*in.Arn, arn.Stage)
	if err != nil {
		return err
	}
	c.references.Lock()
	err = c.stages.Delete(ctx, a.ID)
	c.references.Unlock()
	if err != nil {
		return orNotFound(err, *in.Arn)
	}
	// The stage is gone, whatever happens to the caller or to what hangs on it.
	ctx = context.WithoutCancel(ctx)
	if err := c.detachIngests(ctx); err != nil { // they open nothing already
		c.Log.Warn("ingest configurations of a deleted stage keep its ARN until the next start", "stage", *in.Arn, "error", err)
	}
	if c.Stages != nil {
		c.Stages.CloseStage(a.ID, stageDeleted)
	}
	if c.Compositions != nil {
		if err := c.Compositions.StageDeleted(ctx, *in.Arn); err != nil {
			c.Log.Error("end the compositions of a deleted stage", "stage", *in.Arn, "error", err)
		}
	}
	// In the journal's order: what was reported before is deleted, what comes after finds no stage.
	if err := c.stageJournal.do(ctx, func(ctx context.Context) error { return c.forgetStage(ctx, a.ID) }); err != nil {
		c.Log.Warn("history of a deleted stage stays until the next start", "stage", *in.Arn, "error", err)
	}
	return nil
}

// stageDeleted is the reason that disconnected participants are told.
const stageDeleted = "the stage was deleted"
