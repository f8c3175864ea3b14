package control

import (
	"context"
	"errors"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/store"
)

// stageRecording says how the participants of a stage are recorded. The zero value: not at all.
type stageRecording struct {
	Storage    string        `json:"storage"` // ARN of the storage configuration
	MediaType  string        `json:"mediaType"`
	Thumbnails thumbnailMode `json:"thumbnails"`
	Window     int32         `json:"window"`  // seconds
	Segment    int32         `json:"segment"` // seconds
	Replicas   bool          `json:"replicas"`
}

// thumbnailMode says which pictures are kept beside a participant's recording.
type thumbnailMode struct {
	Mode     string   `json:"mode"`     // DISABLED or INTERVAL
	Interval int32    `json:"interval"` // seconds
	Storage  []string `json:"storage"`  // SEQUENTIAL, LATEST or both
}

// defaultStageRecording is what members that are left out are (spec/composition.md §6).
func defaultStageRecording() stageRecording {
	return stageRecording{
		MediaType: ivsrealtime.ParticipantRecordingMediaTypeAudioVideo, Segment: 6, Replicas: true,
		Thumbnails: thumbnailMode{ivsrealtime.ThumbnailRecordingModeDisabled, 60, []string{ivsrealtime.ThumbnailStorageTypeSequential}},
	}
}

// configureParticipants reads a request; the caller holds references for reading. An empty ARN turns recording off and
// resets all else. missing makes the error for a storage configuration that does not exist.
func (c *Control) configureParticipants(ctx context.Context, in *ivsrealtime.AutoParticipantRecordingConfiguration, missing func(string, ...any) *api.Error) (stageRecording, error) {
	if in == nil || value(in.StorageConfigurationArn, "") == "" {
		return stageRecording{}, nil
	}
	if c.Recorder == nil {
		return stageRecording{}, notBuilt("autoParticipantRecordingConfiguration: this server does not record")
	}
	r := defaultStageRecording()
	r.Storage = *in.StorageConfigurationArn
	storage, err := c.reference("autoParticipantRecordingConfiguration.storageConfigurationArn", r.Storage, arn.StorageConfiguration)
	if err != nil {
		return r, err
	}
	if _, _, err := c.storages.Get(ctx, storage.ID); errors.Is(err, store.ErrNotFound) {
		return r, missing("Resource: %s not found", r.Storage)
	} else if err != nil {
		return r, err
	}
	if len(in.MediaTypes) > 0 {
		r.MediaType = in.MediaTypes[0]
	}
	if t := in.ThumbnailConfiguration; t != nil {
		r.Thumbnails.Mode = value(t.RecordingMode, r.Thumbnails.Mode)
		r.Thumbnails.Interval = value(t.TargetIntervalSeconds, r.Thumbnails.Interval)
		if len(t.Storage) > 0 {
			r.Thumbnails.Storage = distinct(t.Storage)
		}
	}
	if h := in.HlsConfiguration; h != nil {
		r.Segment = value(h.TargetSegmentDurationSeconds, r.Segment)
	}
	r.Window = value(in.RecordingReconnectWindowSeconds, r.Window)
	r.Replicas = value(in.RecordParticipantReplicas, r.Replicas)
	return r, nil
}

// viewParticipantRecording is the configuration as a stage shows it: whole, also where nothing is recorded.
func viewParticipantRecording(r stageRecording) *ivsrealtime.AutoParticipantRecordingConfiguration {
	if r.Storage == "" {
		r = defaultStageRecording()
	}
	return &ivsrealtime.AutoParticipantRecordingConfiguration{
		StorageConfigurationArn: new(r.Storage),
		MediaTypes:              []string{r.MediaType},
		ThumbnailConfiguration: &ivsrealtime.ParticipantThumbnailConfiguration{
			RecordingMode: new(r.Thumbnails.Mode), TargetIntervalSeconds: new(r.Thumbnails.Interval), Storage: r.Thumbnails.Storage,
		},
		RecordingReconnectWindowSeconds: new(r.Window),
		HlsConfiguration:                &ivsrealtime.ParticipantRecordingHlsConfiguration{TargetSegmentDurationSeconds: new(r.Segment)},
		RecordParticipantReplicas:       new(r.Replicas),
	}
}

func (r stageRecording) window() time.Duration { return time.Duration(r.Window) * time.Second }
