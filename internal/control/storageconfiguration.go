package control

import (
	"context"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
)

// storageRecord is a storage configuration: a bucket that compositions and stages record to. It never changes but
// for its tags.
type storageRecord struct {
	ID      string            `json:"id"`
	Created time.Time         `json:"created"`
	Name    string            `json:"name"`
	Bucket  string            `json:"bucket"`
	Tags    map[string]string `json:"tags,omitempty"`
}

func (r storageRecord) order() string { return orderKey(r.Created, r.ID) }

func (c *Control) storageConfigurationARN(id string) string {
	return c.Account.Of(arn.StorageConfiguration, id).String()
}

func (c *Control) viewStorage(r storageRecord) *ivsrealtime.StorageConfiguration {
	return &ivsrealtime.StorageConfiguration{
		Arn:  new(c.storageConfigurationARN(r.ID)),
		Name: new(r.Name),
		S3:   &ivsrealtime.S3StorageConfiguration{BucketName: new(r.Bucket)},
		Tags: given(r.Tags),
	}
}

// CreateStorageConfiguration names a bucket to record to. One that cannot be written is refused.
func (c *Control) CreateStorageConfiguration(ctx context.Context, in *ivsrealtime.CreateStorageConfigurationRequest) (*ivsrealtime.CreateStorageConfigurationResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	r := storageRecord{ID: arn.NewID(12), Created: c.Now(), Name: value(in.Name, ""), Bucket: *in.S3.BucketName, Tags: in.Tags}
	waiting, cancel := context.WithTimeout(ctx, bucketPatience)
	defer cancel()
	if _, err := c.checkBucket(waiting, r.Bucket, api.ResourceNotFoundException); err != nil {
		return nil, err
	}
	if err := createWithin(ctx, c, c.Quotas.storageConfigurations(), c.storages, r.ID, r); err != nil {
		return nil, err
	}
	return &ivsrealtime.CreateStorageConfigurationResponse{StorageConfiguration: c.viewStorage(r)}, nil
}

// GetStorageConfiguration shows one storage configuration.
func (c *Control) GetStorageConfiguration(ctx context.Context, in *ivsrealtime.GetStorageConfigurationRequest) (*ivsrealtime.GetStorageConfigurationResponse, error) {
	r, err := named(ctx, c, c.storages, arn.StorageConfiguration, *in.Arn)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.GetStorageConfigurationResponse{StorageConfiguration: c.viewStorage(r)}, nil
}

// ListStorageConfigurations shows all storage configurations.
func (c *Control) ListStorageConfigurations(ctx context.Context, in *ivsrealtime.ListStorageConfigurationsRequest) (*ivsrealtime.ListStorageConfigurationsResponse, error) {
	page, next, err := pageOf(ctx, c, "ListStorageConfigurations", c.storages, in.MaxResults, in.NextToken, pageOf100)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.ListStorageConfigurationsResponse{
		StorageConfigurations: each(page, func(r storageRecord) ivsrealtime.StorageConfigurationSummary {
			return ivsrealtime.StorageConfigurationSummary(*c.viewStorage(r))
		}),
		NextToken: next,
	}, nil
}

// DeleteStorageConfiguration removes one, unless a composition that has not ended or a stage records to it. What
// was recorded stays.
func (c *Control) DeleteStorageConfiguration(ctx context.Context, in *ivsrealtime.DeleteStorageConfigurationRequest) error {
	c.references.Lock()
	defer c.references.Unlock()
	return deleteNamed(ctx, c, c.storages, arn.StorageConfiguration, *in.Arn, func(storageRecord) error {
		used, err := c.inUse(ctx, arn.StorageConfiguration, *in.Arn)
		if err != nil {
			return err
		}
		if used {
			return api.ConflictException("StorageConfiguration: %s is in use by a composition", *in.Arn)
		}
		stages, err := c.stages.List(ctx, "")
		if err != nil {
			return err
		}
		for _, s := range stages {
			view := c.viewStage(s)
			if *view.AutoParticipantRecordingConfiguration.StorageConfigurationArn == *in.Arn {
				return api.ConflictException("StorageConfiguration: %s is in use by %s", *in.Arn, *view.Arn)
			}
		}
		return nil
	})
}
