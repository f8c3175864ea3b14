package control

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/store"
)

// defaultSettling is how long a recording configuration may be CREATING, as on IVS (spec/lowlatency.md §7).
const defaultSettling = 20 * time.Second

// CreateRecordingConfiguration says where and how channels are recorded. A bucket that cannot be written is
// refused. While the object store does not answer, the configuration is CREATING; see settleRecording.
func (c *Control) CreateRecordingConfiguration(ctx context.Context, in *ivs.CreateRecordingConfigurationRequest) (*ivs.CreateRecordingConfigurationResponse, error) {
	r, err := configureRecording(in)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, bucketPatience)
	defer cancel()
	// The operation has no ResourceNotFoundException.
	decided, err := c.checkBucket(waiting, r.Bucket, api.ValidationException)
	if decided && err != nil {
		return nil, err
	}
	r.ID, r.Created, r.State = arn.NewID(12), c.Now(), ivs.RecordingConfigurationStateActive
	if !decided {
		r.State = ivs.RecordingConfigurationStateCreating
	}
	if err := createWithin(ctx, c, c.Quotas.recordingConfigurations(), c.recordings, r.ID, r); err != nil {
		return nil, err
	}
	if !decided {
		c.background.start(func(ctx context.Context) { c.settleRecording(ctx, r) })
	}
	return &ivs.CreateRecordingConfigurationResponse{RecordingConfiguration: c.viewRecording(r)}, nil
}

// resumeRecordings goes on with what an earlier process left CREATING.
func (c *Control) resumeRecordings(ctx context.Context) error {
	all, err := c.recordings.List(ctx, "")
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.State == ivs.RecordingConfigurationStateCreating {
			c.background.start(func(ctx context.Context) { c.settleRecording(ctx, r) })
		}
	}
	return nil
}

// settleRecording asks the object store until it answers, or for 20 s, and then makes the configuration ACTIVE or
// CREATE_FAILED. It runs in the background; the end of Control ends it, and the next start begins it again.
func (c *Control) settleRecording(ctx context.Context, r recordingRecord) {
	trying, cancel := context.WithTimeout(ctx, cmp.Or(c.settling, defaultSettling))
	defer cancel()
	var err error
	for decided := false; !decided && trying.Err() == nil; {
		if decided, err = c.checkBucket(trying, r.Bucket, api.ValidationException); !decided {
			wait(trying, time.Second)
		}
	}
	if ctx.Err() != nil {
		return
	}
	state := ivs.RecordingConfigurationStateActive
	if err != nil {
		state = ivs.RecordingConfigurationStateCreateFailed
	}
	_, failed := c.recordings.Update(ctx, r.ID, func(r *recordingRecord) error {
		r.State = state
		return nil
	})
	if failed != nil && !errors.Is(failed, store.ErrNotFound) {
		c.Log.Error("settle a recording configuration", "recordingConfiguration", r.ID, "state", state, "error", failed)
		return
	}
	c.Log.Info("recording configuration settled", "recordingConfiguration", r.ID, "bucket", r.Bucket, "state", state, "error", err)
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// GetRecordingConfiguration shows one recording configuration.
func (c *Control) GetRecordingConfiguration(ctx context.Context, in *ivs.GetRecordingConfigurationRequest) (*ivs.GetRecordingConfigurationResponse, error) {
	r, err := named(ctx, c, c.recordings, arn.RecordingConfiguration, *in.Arn)
	if err != nil {
		return nil, err
	}
	return &ivs.GetRecordingConfigurationResponse{RecordingConfiguration: c.viewRecording(r)}, nil
}

// ListRecordingConfigurations shows all recording configurations.
func (c *Control) ListRecordingConfigurations(ctx context.Context, in *ivs.ListRecordingConfigurationsRequest) (*ivs.ListRecordingConfigurationsResponse, error) {
	page, next, err := pageOf(ctx, c, "ListRecordingConfigurations", c.recordings, in.MaxResults, in.NextToken, pageOf100)
	if err != nil {
		return nil, err
	}
	return &ivs.ListRecordingConfigurationsResponse{RecordingConfigurations: each(page, c.summarizeRecording), NextToken: next}, nil
}

// DeleteRecordingConfiguration removes one, unless a channel has it. What was recorded stays.
func (c *Control) DeleteRecordingConfiguration(ctx context.Context, in *ivs.DeleteRecordingConfigurationRequest) error {
	c.references.Lock()
	defer c.references.Unlock()
	return deleteNamed(ctx, c, c.recordings, arn.RecordingConfiguration, *in.Arn, func(recordingRecord) error {
		channels, err := c.channels.List(ctx, "")
		if err != nil {
			return err
		}
		for _, r := range channels {
			if view := c.viewChannel(r); *view.RecordingConfigurationArn == *in.Arn {
				return api.ConflictException("RecordingConfiguration: %s is attached to %s", *in.Arn, *view.Arn)
			}
		}
		return nil
	})
}
