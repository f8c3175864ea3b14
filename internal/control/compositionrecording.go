package control

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/store"
)

const (
	// defaultSegment is the target duration of a composition's segments, in seconds.
	defaultSegment = 2
	// composerKeyInterval is how far apart a composer's key frames are.
	composerKeyInterval = 2 * time.Second
	// composerSoundRate is the bit rate of a composer's sound, with what the container adds.
	composerSoundRate = 180_000
)

// newRecordingDestination is an s3 destination of StartComposition (spec/composition.md §2 and §5).
func (c *Control) newRecordingDestination(ctx context.Context, member, stageID, compositionID string, in *ivsrealtime.S3DestinationConfiguration) (composition.Destination, error) {
	d := composition.Destination{ID: arn.NewID(12), State: composition.Starting, EncoderARN: in.EncoderConfigurationArns[0]}
	if c.Recorder == nil {
		return d, notBuilt("%s: this server does not record", member)
	}
	s := &composition.S3{StorageARN: *in.StorageConfigurationArn, Prefix: strings.Join([]string{stageID, compositionID, d.ID, "composite"}, "/"), Segment: defaultSegment}
	storage, err := c.reference(member+".storageConfigurationArn", s.StorageARN, arn.StorageConfiguration)
	if err != nil {
		return d, err
	}
	r, _, err := c.storages.Get(ctx, storage.ID)
	if err != nil {
		return d, orNotFound(err, s.StorageARN)
	}
	s.Bucket = r.Bucket
	if d.Video, err = c.encoding(ctx, member+".encoderConfigurationArns[0]", d.EncoderARN); err != nil {
		return d, err
	}
	s.Rendition = fmt.Sprintf("%dp%d-%s", d.Video.Height, int(math.Round(d.Video.FrameRate)), arn.NewID(12))
	if rc := in.RecordingConfiguration; rc != nil && rc.HlsConfiguration != nil {
		s.Segment = int(value(rc.HlsConfiguration.TargetSegmentDurationSeconds, defaultSegment))
	}
	if len(in.ThumbnailConfigurations) > 0 {
		t := in.ThumbnailConfigurations[0]
		s.Thumbnails = &composition.Thumbnails{Interval: int(value(t.TargetIntervalSeconds, 60)), Storage: distinct(t.Storage)}
		if len(t.Storage) == 0 {
			s.Thumbnails.Storage = []string{ivsrealtime.ThumbnailStorageTypeSequential}
		}
		if s.Echo, err = json.Marshal(in.ThumbnailConfigurations); err != nil {
			return d, fmt.Errorf("encode thumbnail configurations: %w", err)
		}
	}
	d.S3 = s
	return d, nil
}

func viewRecordingDestination(d composition.Destination) ivsrealtime.Destination {
	segment := int32(d.S3.Segment)
	config := &ivsrealtime.S3DestinationConfiguration{
		StorageConfigurationArn: &d.S3.StorageARN, EncoderConfigurationArns: []string{d.EncoderARN},
		RecordingConfiguration: &ivsrealtime.RecordingConfiguration{
			Format:           new("HLS"),
			HlsConfiguration: &ivsrealtime.CompositionRecordingHlsConfiguration{TargetSegmentDurationSeconds: &segment},
		},
	}
	if len(d.S3.Echo) > 0 {
		_ = json.Unmarshal(d.S3.Echo, &config.ThumbnailConfigurations) // we wrote it
	}
	return ivsrealtime.Destination{
		Id: &d.ID, State: new(string(d.State)), StartTime: timeOrNil(d.Started), EndTime: timeOrNil(d.Ended),
		Configuration: &ivsrealtime.DestinationConfiguration{Name: &d.Name, S3: config},
		Detail:        &ivsrealtime.DestinationDetail{S3: &ivsrealtime.S3Detail{RecordingPrefix: &d.S3.Prefix}},
	}
}

// recordingKey is the stream key with which a composition sends what a destination records.
func (c *Control) recordingKey(compositionID, destinationID string) string {
	public := channel.RecordingKey + c.Account.Region + "_" + compositionID + "_" + destinationID
	mac := hmac.New(sha256.New, c.ingestSecret)
	mac.Write([]byte(public))
	return public + "_" + hex.EncodeToString(mac.Sum(nil))
}

// compositeID names a destination's recording.
func compositeID(compositionID, destinationID string) string {
	return "composite-" + compositionID + "-" + destinationID
}

// OpenRecording implements channel.Recordings: it begins the recording of a destination, or goes on with it.
func (c *Control) OpenRecording(ctx context.Context, key string) (channel.Sink, func(), error) {
	parts := strings.Split(key, "_")
	if len(parts) != 5 || !same(key, c.recordingKey(parts[2], parts[3])) || c.Recorder == nil {
		return nil, nil, channel.ErrUnknownStreamKey
	}
	m, err := c.manager()
	if err != nil {
		return nil, nil, err
	}
	r, err := m.Get(ctx, parts[2])
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, channel.ErrUnknownStreamKey
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look up a composition: %w", err)
	}
	i := slices.IndexFunc(r.Destinations, func(d composition.Destination) bool { return d.ID == parts[3] && d.Records() })
	if i < 0 || r.State.Ended() || r.State == composition.Stopping || r.Destinations[i].State.Ended() {
		return nil, nil, channel.ErrUnknownStreamKey
	}
	recording, err := c.Recorder.Open(ctx, compositeSpec(r, r.Destinations[i], c.Now()))
	if err != nil {
		return nil, nil, recordingRefusal(err)
	}
	source, err := recording.Attach(ctx)
	if err != nil {
		return nil, nil, err
	}
	return recordingSink{source, c.Now()}, source.Close, nil
}

// recordingRefusal is an error as a composition's destination shows it, where trying again is of no use.
func recordingRefusal(err error) error {
	switch {
	case errors.Is(err, objectstore.ErrNoBucket):
		return &wire.Refusal{Code: "ResourceNotFoundException", Reason: "S3 bucket not found. Please verify your bucket exists."}
	case errors.Is(err, objectstore.ErrDenied):
		return &wire.Refusal{Code: "AccessDeniedException", Reason: "Access denied to S3 bucket. Please verify your bucket policy."}
	case errors.Is(err, objectstore.ErrInvalidName), errors.Is(err, record.ErrInvalid):
		return &wire.Refusal{Code: "InternalServerException", Reason: "Service internal error"}
	}
	return err
}

func compositeSpec(r composition.Record, d composition.Destination, now time.Time) record.Spec {
	s := record.Spec{
		ID: compositeID(r.ID, d.ID), Kind: record.Composite, Bucket: d.S3.Bucket, Prefix: d.S3.Prefix, Started: now.UTC(), Media: record.AudioVideo,
		Segment: time.Duration(d.S3.Segment) * time.Second, KeyInterval: composerKeyInterval,
		Rendition: d.S3.Rendition, FrameRate: d.Video.FrameRate, BitRate: d.Video.BitRate + composerSoundRate,
		Width: d.Video.Width, Height: d.Video.Height, StageARN: r.StageARN, Owner: r.ID,
		MP4: r.Tags[MP4Tag] == mp4On,
	}
	if t := d.S3.Thumbnails; t != nil {
		s.Thumbnails = record.Thumbnails{
			Interval:   time.Duration(t.Interval) * time.Second,
			Sequential: slices.Contains(t.Storage, ivsrealtime.ThumbnailStorageTypeSequential),
			Latest:     slices.Contains(t.Storage, ivsrealtime.ThumbnailStorageTypeLatest),
		}
	}
	return s
}

// FinishRecording ends the recording of a composition's destination; see composition.Manager.
func (c *Control) FinishRecording(ctx context.Context, r composition.Record, d composition.Destination, cause composition.Cause) (<-chan struct{}, error) {
	if c.Recorder == nil {
		return nil, nil
	}
	recording := c.Recorder.Get(compositeID(r.ID, d.ID))
	if recording == nil {
		return nil, nil
	}
	end := record.Cause{Code: cause.Code}
	if cause.Code != "" {
		end.Message = cause.Reason
	}
	return recording.Stored(), recording.End(ctx, end)
}

// EndOrphans ends the recordings of compositions that have ended or are gone, and of channels and participants whose window has passed. Call it once compositions are resumed.
func (c *Control) EndOrphans(ctx context.Context) error {
	m, err := c.manager()
	if err != nil || c.Recorder == nil {
		return err
	}
	if err := errors.Join(c.resumeTapes(ctx), c.resumeParticipantTapes(ctx)); err != nil {
		return fmt.Errorf("end recordings: %w", err)
	}
	for _, recording := range c.Recorder.All() {
		s := recording.Spec()
		if s.Kind != record.Composite {
			continue
		}
		r, err := m.Get(ctx, s.Owner)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("end recordings: %w", err)
		}
		if err == nil && slices.ContainsFunc(r.Destinations, func(d composition.Destination) bool {
			return compositeID(r.ID, d.ID) == s.ID && !d.State.Ended()
		}) {
			continue
		}
		if err := recording.End(ctx, record.Cause{Message: "the composition ended while the server did not run"}); err != nil {
			return fmt.Errorf("end recordings: %w", err)
		}
	}
	return nil
}

var _ channel.Recordings = (*Control)(nil)
