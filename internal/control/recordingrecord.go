package control

import (
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/arn"
)

// recordingRecord is a recording configuration: where and how channels are recorded. It never changes but for its
// state, which leaves CREATING once, and its tags.
type recordingRecord struct {
	ID              string             `json:"id"`
	Created         time.Time          `json:"created"`
	Name            string             `json:"name"`
	Bucket          string             `json:"bucket"`
	State           string             `json:"state"` // CREATING, ACTIVE or CREATE_FAILED
	ReconnectWindow int32              `json:"reconnectWindow"`
	Thumbnails      thumbnailSettings  `json:"thumbnails"`
	Renditions      renditionSelection `json:"renditions"`
	Tags            map[string]string  `json:"tags,omitempty"`
}

// thumbnailSettings say which pictures are kept beside a recording.
type thumbnailSettings struct {
	Mode       string   `json:"mode"`                 // DISABLED or INTERVAL
	Interval   int64    `json:"interval"`             // seconds, 1 to 60
	Resolution string   `json:"resolution,omitempty"` // empty: that of the stream
	Storage    []string `json:"storage"`              // SEQUENTIAL, LATEST or both
}

// renditionSelection says which renditions are recorded.
type renditionSelection struct {
	Selection  string   `json:"selection"` // ALL, NONE or CUSTOM
	Renditions []string `json:"renditions,omitempty"`
}

// configureRecording reads a request over the defaults of spec/lowlatency.md §7, member by member.
func configureRecording(in *ivs.CreateRecordingConfigurationRequest) (r recordingRecord, err error) {
	if in.DestinationConfiguration.S3 == nil {
		return r, api.ValidationException("destinationConfiguration: s3 is missing, and there is no other kind of destination")
	}
	r.Name = value(in.Name, "")
	r.Bucket = *in.DestinationConfiguration.S3.BucketName
	r.ReconnectWindow = value(in.RecordingReconnectWindowSeconds, 0)
	r.Tags = in.Tags
	r.Thumbnails = thumbnailSettings{Mode: ivs.RecordingModeInterval, Interval: 60, Storage: []string{ivs.ThumbnailConfigurationStorageSequential}}
	if t := in.ThumbnailConfiguration; t != nil {
		r.Thumbnails.Mode = value(t.RecordingMode, r.Thumbnails.Mode)
		r.Thumbnails.Interval = value(t.TargetIntervalSeconds, r.Thumbnails.Interval)
		r.Thumbnails.Resolution = value(t.Resolution, "")
		if len(t.Storage) > 0 {
			r.Thumbnails.Storage = distinct(t.Storage)
		}
	}
	r.Renditions.Selection = ivs.RenditionConfigurationRenditionSelectionAll
	if v := in.RenditionConfiguration; v != nil {
		r.Renditions.Selection = value(v.RenditionSelection, r.Renditions.Selection)
		r.Renditions.Renditions = distinct(v.Renditions)
	}
	custom := r.Renditions.Selection == ivs.RenditionConfigurationRenditionSelectionCustom
	switch {
	case custom && len(r.Renditions.Renditions) == 0:
		return r, api.ValidationException("renditionConfiguration: renditions must name at least one when renditionSelection is CUSTOM")
	case !custom && len(r.Renditions.Renditions) > 0:
		return r, api.ValidationException("renditionConfiguration: renditions may only be given when renditionSelection is CUSTOM, not %s", r.Renditions.Selection)
	}
	return r, checkTags(in.Tags)
}

// distinct is the list in its order, each value once.
func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func (r recordingRecord) order() string { return orderKey(r.Created, r.ID) }

func (c *Control) recordingConfigurationARN(id string) string {
	return c.Account.Of(arn.RecordingConfiguration, id).String()
}

func (c *Control) viewRecording(r recordingRecord) *ivs.RecordingConfiguration {
	return &ivs.RecordingConfiguration{
		Arn:                             new(c.recordingConfigurationARN(r.ID)),
		Name:                            new(r.Name),
		DestinationConfiguration:        &ivs.DestinationConfiguration{S3: &ivs.S3DestinationConfiguration{BucketName: new(r.Bucket)}},
		State:                           new(r.State),
		Tags:                            given(r.Tags),
		RecordingReconnectWindowSeconds: new(r.ReconnectWindow),
		ThumbnailConfiguration: &ivs.ThumbnailConfiguration{
			RecordingMode:         new(r.Thumbnails.Mode),
			TargetIntervalSeconds: new(r.Thumbnails.Interval),
			Resolution:            optional(r.Thumbnails.Resolution),
			Storage:               r.Thumbnails.Storage,
		},
		RenditionConfiguration: &ivs.RenditionConfiguration{
			RenditionSelection: new(r.Renditions.Selection),
			Renditions:         append([]string{}, r.Renditions.Renditions...),
		},
	}
}

func (c *Control) summarizeRecording(r recordingRecord) ivs.RecordingConfigurationSummary {
	view := c.viewRecording(r)
	return ivs.RecordingConfigurationSummary{
		Arn: view.Arn, Name: view.Name, DestinationConfiguration: view.DestinationConfiguration, State: view.State, Tags: view.Tags,
	}
}
