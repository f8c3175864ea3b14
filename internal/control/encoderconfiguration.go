package control

import (
	"context"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
)

// encoderRecord is an encoder configuration. It never changes but for its tags.
type encoderRecord struct {
	ID      string            `json:"id"`
	Created time.Time         `json:"created"`
	Name    string            `json:"name"`
	Video   videoSettings     `json:"video"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// videoSettings are what a composition encodes with.
type videoSettings struct {
	Width     int32   `json:"width"`     // pixels, even
	Height    int32   `json:"height"`    // pixels, even
	FrameRate float64 `json:"framerate"` // frames per second, 1 to 60
	BitRate   int32   `json:"bitrate"`   // bits per second
}

// defaultVideo is also what a destination without encoder configuration gets (spec/composition.md §1).
var defaultVideo = videoSettings{Width: 1280, Height: 720, FrameRate: 30, BitRate: 2_500_000}

// maxPixels is the largest picture, in either orientation: 1920x1080.
const maxPixels = 1920 * 1080

// settings reads a request over the defaults, member by member.
func settings(in *ivsrealtime.Video) (videoSettings, error) {
	v := defaultVideo
	if in != nil {
		v = videoSettings{
			Width: value(in.Width, v.Width), Height: value(in.Height, v.Height),
			FrameRate: value(in.Framerate, v.FrameRate), BitRate: value(in.Bitrate, v.BitRate),
		}
	}
	if v.Width%2 != 0 || v.Height%2 != 0 {
		return v, api.ValidationException("Invalid video resolution: width and height must be even, not %dx%d", v.Width, v.Height)
	}
	if v.Width*v.Height > maxPixels {
		return v, api.ValidationException("Invalid video resolution: %dx%d has more than %d pixels", v.Width, v.Height, maxPixels)
	}
	return v, nil
}

func (r encoderRecord) order() string { return orderKey(r.Created, r.ID) }

// findEncoder reads an encoder configuration; arn is for the answer when there is none.
func (c *Control) findEncoder(ctx context.Context, id, arn string) (encoderRecord, error) {
	r, _, err := c.encoders.Get(ctx, id)
	return r, orNotFound(err, arn)
}

func (c *Control) viewEncoder(r encoderRecord) *ivsrealtime.EncoderConfiguration {
	return &ivsrealtime.EncoderConfiguration{
		Arn:  new(c.encoderConfigurationARN(r.ID)),
		Name: new(r.Name),
		Video: &ivsrealtime.Video{
			Width: new(r.Video.Width), Height: new(r.Video.Height), Framerate: new(r.Video.FrameRate), Bitrate: new(r.Video.BitRate),
		},
		Tags: given(r.Tags),
	}
}

// CreateEncoderConfiguration makes settings that compositions encode with.
func (c *Control) CreateEncoderConfiguration(ctx context.Context, in *ivsrealtime.CreateEncoderConfigurationRequest) (*ivsrealtime.CreateEncoderConfigurationResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	video, err := settings(in.Video)
	if err != nil {
		return nil, err
	}
	r := encoderRecord{ID: arn.NewID(12), Created: c.Now(), Name: value(in.Name, ""), Video: video, Tags: in.Tags}
	if err := createWithin(ctx, c, c.Quotas.encoderConfigurations(), c.encoders, r.ID, r); err != nil {
		return nil, err
	}
	return &ivsrealtime.CreateEncoderConfigurationResponse{EncoderConfiguration: c.viewEncoder(r)}, nil
}

// GetEncoderConfiguration shows one encoder configuration.
func (c *Control) GetEncoderConfiguration(ctx context.Context, in *ivsrealtime.GetEncoderConfigurationRequest) (*ivsrealtime.GetEncoderConfigurationResponse, error) {
	r, err := named(ctx, c, c.encoders, arn.EncoderConfiguration, *in.Arn)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.GetEncoderConfigurationResponse{EncoderConfiguration: c.viewEncoder(r)}, nil
}

// ListEncoderConfigurations shows all encoder configurations.
func (c *Control) ListEncoderConfigurations(ctx context.Context, in *ivsrealtime.ListEncoderConfigurationsRequest) (*ivsrealtime.ListEncoderConfigurationsResponse, error) {
	page, next, err := pageOf(ctx, c, "ListEncoderConfigurations", c.encoders, in.MaxResults, in.NextToken, pageOf100)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.ListEncoderConfigurationsResponse{
		EncoderConfigurations: each(page, func(r encoderRecord) ivsrealtime.EncoderConfigurationSummary {
			return ivsrealtime.EncoderConfigurationSummary{Arn: new(c.encoderConfigurationARN(r.ID)), Name: new(r.Name), Tags: given(r.Tags)}
		}),
		NextToken: next,
	}, nil
}

// DeleteEncoderConfiguration removes one, unless a composition that has not ended uses it.
func (c *Control) DeleteEncoderConfiguration(ctx context.Context, in *ivsrealtime.DeleteEncoderConfigurationRequest) error {
	c.references.Lock()
	defer c.references.Unlock()
	return deleteNamed(ctx, c, c.encoders, arn.EncoderConfiguration, *in.Arn, func(encoderRecord) error {
		used, err := c.inUse(ctx, arn.EncoderConfiguration, *in.Arn)
		if err != nil {
			return err
		}
		if used {
			return api.ConflictException("EncoderConfiguration: %s is in use by a composition", *in.Arn)
		}
		return nil
	})
}
