package control

import (
	"context"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/channel"
)

// multitrackRecord says whether a channel takes publishers that bring their picture in several sizes.
type multitrackRecord struct {
	Enabled           bool   `json:"enabled,omitzero"`
	MaximumResolution string `json:"maximumResolution"`
	Policy            string `json:"policy"`
}

// with reads the configuration of a request over what is set already. What is enabled must be said completely.
func (m multitrackRecord) with(in *ivs.MultitrackInputConfiguration) (multitrackRecord, error) {
	if in == nil {
		return m, nil
	}
	m.Enabled = value(in.Enabled, m.Enabled)
	m.MaximumResolution = value(in.MaximumResolution, m.MaximumResolution)
	m.Policy = value(in.Policy, m.Policy)
	if m.Enabled && (in.Policy == nil || in.MaximumResolution == nil) {
		return m, api.ValidationException("multitrackInputConfiguration: policy and maximumResolution are required when enabled is true")
	}
	return m, nil
}

// checkMultitrack refuses what does not go with multitrack input (spec/api-conventions.md).
func (r *channelRecord) checkMultitrack() error {
	switch {
	case !r.Multitrack.Enabled:
	case r.Type != ivs.ChannelTypeStandard:
		return api.ValidationException("multitrackInputConfiguration can be enabled for channels of type STANDARD only, not for %s", r.Type)
	case r.Container != ivs.ContainerFormatFragmentedMp4:
		return api.ValidationException("multitrackInputConfiguration can be enabled with the container format FRAGMENTED_MP4 only, not with %s", r.Container)
	}
	return nil
}

func (m multitrackRecord) view() *ivs.MultitrackInputConfiguration {
	return &ivs.MultitrackInputConfiguration{Enabled: new(m.Enabled), MaximumResolution: new(m.MaximumResolution), Policy: new(m.Policy)}
}

func (m multitrackRecord) live() channel.Multitrack {
	if !m.Enabled {
		return channel.Multitrack{}
	}
	return channel.Multitrack{
		Enabled: true, Required: m.Policy == ivs.MultitrackPolicyRequire, Limit: channel.Resolution(m.MaximumResolution),
	}
}

// recordedSizes are the classes of pictures that are recorded of a channel; none: all.
func (c *Control) recordedSizes(ctx context.Context, r channelRecord) ([]channel.Resolution, error) {
	config, err := c.recordingOf(ctx, r)
	if err != nil || config == nil || config.Renditions.Selection != ivs.RenditionConfigurationRenditionSelectionCustom {
		return nil, err
	}
	return each(config.Renditions.Renditions, func(s string) channel.Resolution { return channel.Resolution(s) }), nil
}
