package control

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
)

// adConfigurationRecord names the ad servers of channels. It never changes but for its tags.
type adConfigurationRecord struct {
	ID      string            `json:"id"`
	Created time.Time         `json:"created"`
	Name    string            `json:"name"`
	Targets []string          `json:"mediaTailorPlaybackConfigurations"` // ARNs of MediaTailor, in order
	Tags    map[string]string `json:"tags,omitempty"`
}

func (r adConfigurationRecord) order() string { return orderKey(r.Created, r.ID) }

func (c *Control) adConfigurationARN(id string) string {
	return c.Account.Of(arn.AdConfiguration, id).String()
}

func (c *Control) viewAdConfiguration(r adConfigurationRecord) *ivs.AdConfiguration {
	v := ivs.AdConfiguration(c.summarizeAdConfiguration(r)) // they have the same members
	return &v
}

func (c *Control) summarizeAdConfiguration(r adConfigurationRecord) ivs.AdConfigurationSummary {
	return ivs.AdConfigurationSummary{
		Arn: new(c.adConfigurationARN(r.ID)), Name: new(r.Name), Tags: given(r.Tags),
		MediaTailorPlaybackConfigurations: each(r.Targets, func(target string) ivs.MediaTailorPlaybackConfiguration {
			return ivs.MediaTailorPlaybackConfiguration{PlaybackConfigurationArn: new(target)}
		}),
	}
}

// CreateAdConfiguration keeps links to MediaTailor. Nothing here calls it: see InsertAdBreak.
func (c *Control) CreateAdConfiguration(ctx context.Context, in *ivs.CreateAdConfigurationRequest) (*ivs.CreateAdConfigurationResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	r := adConfigurationRecord{ID: arn.NewID(12), Created: c.Now(), Name: value(in.Name, ""), Tags: in.Tags}
	for i, target := range in.MediaTailorPlaybackConfigurations {
		name := value(target.PlaybackConfigurationArn, "")
		if !strings.HasPrefix(name, "arn:aws:mediatailor:") {
			return nil, api.ValidationException("mediaTailorPlaybackConfigurations[%d]: '%s' is not the ARN of a MediaTailor playback configuration", i, name)
		}
		r.Targets = append(r.Targets, name)
	}
	if err := createWithin(ctx, c, c.Quotas.adConfigurations(), c.adConfigurations, r.ID, r); err != nil {
		return nil, err
	}
	return &ivs.CreateAdConfigurationResponse{AdConfiguration: c.viewAdConfiguration(r)}, nil
}

// GetAdConfiguration shows one ad configuration.
func (c *Control) GetAdConfiguration(ctx context.Context, in *ivs.GetAdConfigurationRequest) (*ivs.GetAdConfigurationResponse, error) {
	r, err := named(ctx, c, c.adConfigurations, arn.AdConfiguration, *in.Arn)
	if err != nil {
		return nil, err
	}
	return &ivs.GetAdConfigurationResponse{AdConfiguration: c.viewAdConfiguration(r)}, nil
}

// ListAdConfigurations shows all ad configurations.
func (c *Control) ListAdConfigurations(ctx context.Context, in *ivs.ListAdConfigurationsRequest) (*ivs.ListAdConfigurationsResponse, error) {
	page, next, err := pageOf(ctx, c, "ListAdConfigurations", c.adConfigurations, in.MaxResults, in.NextToken, pageOf100)
	if err != nil {
		return nil, err
	}
	return &ivs.ListAdConfigurationsResponse{AdConfigurations: each(page, c.summarizeAdConfiguration), NextToken: next}, nil
}

// DeleteAdConfiguration removes an ad configuration that no channel has.
func (c *Control) DeleteAdConfiguration(ctx context.Context, in *ivs.DeleteAdConfigurationRequest) error {
	a, err := c.ours(*in.Arn, arn.AdConfiguration)
	if err != nil {
		return err
	}
	return deleteUnattached(ctx, c, c.adConfigurations, a, func(r channelRecord) string { return r.AdConfiguration })
}

// InsertAdBreak marks an ad break in the playlist of a live channel. Whoever stitches advertising in reads the marks;
// nothing is replaced here.
func (c *Control) InsertAdBreak(ctx context.Context, in *ivs.InsertAdBreakRequest) (*ivs.InsertAdBreakResponse, error) {
	r, err := c.channelOf(ctx, *in.ChannelArn)
	if err != nil {
		return nil, err
	}
	if r.AdConfiguration == "" {
		return nil, api.ValidationException("Channel: %s has no ad configuration", *in.ChannelArn)
	}
	if err := c.paces.take("InsertAdBreak", "", c.Rates.adBreaks(), c.Now()); err != nil {
		return nil, err
	}
	if c.Streams == nil {
		return nil, notBroadcasting(*in.ChannelArn)
	}
	b, err := c.Streams.InsertAdBreak(*in.ChannelArn, arn.NewID(12), time.Duration(*in.DurationSeconds)*time.Second)
	switch {
	case errors.Is(err, channel.ErrNotLive):
		return nil, notBroadcasting(*in.ChannelArn)
	case errors.Is(err, channel.ErrInAdBreak):
		return nil, api.ConflictException("Channel: %s is in an ad break already", *in.ChannelArn)
	case err != nil:
		return nil, err
	}
	return &ivs.InsertAdBreakResponse{AdBreakId: new(b.ID)}, nil
}
