package control

import (
	"context"
	"time"

	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
)

// stageRecord is a stage. Who is on it is the live side's to know.
type stageRecord struct {
	ID      string            `json:"id"`
	Created time.Time         `json:"created"`
	Name    string            `json:"name"`
	Tags    map[string]string `json:"tags,omitempty"`

	Recording stageRecording `json:"recording,omitzero"`
}

func (r stageRecord) order() string { return orderKey(r.Created, r.ID) }

// findStage reads a stage; arn is for the answer when there is none.
func (c *Control) findStage(ctx context.Context, id, arn string) (stageRecord, error) {
	r, _, err := c.stages.Get(ctx, id)
	return r, orNotFound(err, arn)
}

// stageOf reads the stage that an ARN names.
func (c *Control) stageOf(ctx context.Context, s string) (stageRecord, error) {
	a, err := c.ours(s, arn.Stage)
	if err != nil {
		return stageRecord{}, err
	}
	return c.findStage(ctx, a.ID, s)
}

// viewStage is the stage as the API shows it (spec/realtime.md §1).
func (c *Control) viewStage(r stageRecord) *ivsrealtime.Stage {
	urls := c.urls()
	return &ivsrealtime.Stage{
		Arn:                                   new(c.stageARN(r.ID)),
		Name:                                  new(r.Name),
		ActiveSessionId:                       optional(c.activeSession(r.ID)),
		Tags:                                  given(r.Tags),
		AutoParticipantRecordingConfiguration: viewParticipantRecording(r.Recording),
		Endpoints: &ivsrealtime.StageEndpoints{
			Events: new(urls.Events), Whip: new(urls.WHIP), Rtmp: new(urls.RTMP), Rtmps: new(urls.RTMPS),
		},
	}
}

func (c *Control) summarizeStage(r stageRecord) ivsrealtime.StageSummary {
	return ivsrealtime.StageSummary{
		Arn:             new(c.stageARN(r.ID)),
		Name:            new(r.Name),
		ActiveSessionId: optional(c.activeSession(r.ID)),
		Tags:            given(r.Tags),
	}
}

// optional leaves an empty string out of the response.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return new(s)
}

// sweepStages ends the sessions that an earlier process left open and deletes what belongs to no stage.
func (c *Control) sweepStages(ctx context.Context) error {
	stages, err := c.stages.List(ctx, "")
	if err != nil {
		return err
	}
	sessions, err := c.stageSessions.List(ctx, "")
	if err != nil {
		return err
	}
	exists := map[string]bool{}
	for _, r := range stages {
		exists[r.ID] = true
	}
	now := c.Now()
	for _, s := range sessions {
		if !exists[s.StageID] {
			if err := c.forgetStage(ctx, s.StageID); err != nil {
				return err
			}
			continue
		}
		if s.End.IsZero() {
			if err := c.endStageSession(ctx, s, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetStage deletes the history of a stage and the tokens revoked on it. The sessions go last: they are
// what a start after a crash finds the rest by.
func (c *Control) forgetStage(ctx context.Context, id string) error {
	if err := c.forgetReplications(ctx, id); err != nil {
		return err
	}
	for _, forget := range []func(context.Context, string) error{
		c.revocations.DeletePrefix, c.events.DeletePrefix, c.participants.DeletePrefix, c.stageSessions.DeletePrefix,
	} {
		if err := forget(ctx, id+"/"); err != nil {
			return err
		}
	}
	return nil
}
