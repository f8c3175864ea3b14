package control

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
)

// CreateChannel makes a channel and its stream key.
func (c *Control) CreateChannel(ctx context.Context, in *ivs.CreateChannelRequest) (*ivs.CreateChannelResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	r := channelRecord{
		ID:          arn.NewID(12),
		Created:     c.Now(),
		Type:        ivs.ChannelTypeStandard,
		LatencyMode: ivs.ChannelLatencyModeLow,
		Container:   ivs.ContainerFormatTs,
		Multitrack:  multitrackRecord{MaximumResolution: ivs.MultitrackMaximumResolutionFullHd, Policy: ivs.MultitrackPolicyAllow},
		Tags:        in.Tags,
	}
	// The members of both requests are the same but for arn and tags.
	settings := &ivs.UpdateChannelRequest{
		Name: in.Name, LatencyMode: in.LatencyMode, Type: in.Type, Authorized: in.Authorized,
		RecordingConfigurationArn: in.RecordingConfigurationArn, InsecureIngest: in.InsecureIngest, Preset: in.Preset,
		PlaybackRestrictionPolicyArn: in.PlaybackRestrictionPolicyArn,
		MultitrackInputConfiguration: in.MultitrackInputConfiguration, ContainerFormat: in.ContainerFormat,
		AdConfigurationArn: in.AdConfigurationArn,
	}
	c.references.RLock()
	defer c.references.RUnlock()
	attached, err := c.attachmentsOf(ctx, settings)
	if err != nil {
		return nil, err
	}
	if err := r.configure(settings, attached); err != nil {
		return nil, err
	}
	key, err := c.newStreamKey(ctx, r.ID, nil)
	if err != nil {
		return nil, err
	}
	r.StreamKey = key
	if err := createWithin(ctx, c, c.Quotas.channels(), c.channels, r.ID, r); err != nil {
		c.forgetStreamKey(ctx, key.ID)
		return nil, err
	}
	return &ivs.CreateChannelResponse{Channel: c.viewChannel(r), StreamKey: c.viewStreamKey(r.ID, *key)}, nil
}

// configure applies the members that are present. What has no effect yet is refused.
func (r *channelRecord) configure(in *ivs.UpdateChannelRequest, attached attachments) error {
	multitrack, err := r.Multitrack.with(in.MultitrackInputConfiguration)
	if err != nil {
		return err
	}
	r.Multitrack = multitrack
	r.Name = value(in.Name, r.Name)
	r.Type = value(in.Type, r.Type)
	r.LatencyMode = value(in.LatencyMode, r.LatencyMode)
	r.InsecureIngest = value(in.InsecureIngest, r.InsecureIngest)
	r.Authorized = value(in.Authorized, r.Authorized)
	r.RestrictionPolicy = value(attached.policy, r.RestrictionPolicy)
	r.AdConfiguration = value(attached.ads, r.AdConfiguration)
	r.RecordingConfiguration = value(attached.recording, r.RecordingConfiguration)
	r.Container = value(in.ContainerFormat, r.Container)
	switch {
	case r.Type == ivs.ChannelTypeAdvancedSd || r.Type == ivs.ChannelTypeAdvancedHd:
		r.Preset = cmp.Or(value(in.Preset, r.Preset), ivs.TranscodePresetHigherBandwidthDelivery)
	case value(in.Preset, "") != "":
		return api.ValidationException("preset is only valid for the channel types ADVANCED_SD and ADVANCED_HD, not for %s", r.Type)
	default:
		r.Preset = ""
	}
	switch {
	case r.AdConfiguration != "" && r.Container == ivs.ContainerFormatFragmentedMp4:
		return api.ValidationException("A channel with an ad configuration must have the container format TS")
	}
	return r.checkMultitrack()
}

// GetChannel shows one channel.
func (c *Control) GetChannel(ctx context.Context, in *ivs.GetChannelRequest) (*ivs.GetChannelResponse, error) {
	r, err := c.channelOf(ctx, *in.Arn)
	if err != nil {
		return nil, err
	}
	return &ivs.GetChannelResponse{Channel: c.viewChannel(r)}, nil
}

// channelOf reads the channel that an ARN names.
func (c *Control) channelOf(ctx context.Context, s string) (channelRecord, error) {
	a, err := c.ours(s, arn.Channel)
	if err != nil {
		return channelRecord{}, err
	}
	return c.findChannel(ctx, a.ID, s)
}

// BatchGetChannel shows several channels; those that do not exist are among the errors.
func (c *Control) BatchGetChannel(ctx context.Context, in *ivs.BatchGetChannelRequest) (*ivs.BatchGetChannelResponse, error) {
	out := &ivs.BatchGetChannelResponse{Channels: []ivs.Channel{}, Errors: []ivs.BatchError{}}
	for _, s := range in.Arns {
		r, err := c.channelOf(ctx, s)
		if miss, err := batchError(s, err); err != nil {
			return nil, err
		} else if miss != nil {
			out.Errors = append(out.Errors, *miss)
			continue
		}
		out.Channels = append(out.Channels, *c.viewChannel(r))
	}
	return out, nil
}

// batchError is the entry for a resource that cannot be shown; other errors fail the whole request.
func batchError(resource string, err error) (*ivs.BatchError, error) {
	if err == nil {
		return nil, nil
	}
	refusal, ok := errors.AsType[*api.Error](err)
	if !ok {
		return nil, err
	}
	return &ivs.BatchError{Arn: new(resource), Code: new(refusal.Code), Message: new(refusal.Message)}, nil
}

// ListChannels shows all channels, or those that pass the one filter.
func (c *Control) ListChannels(ctx context.Context, in *ivs.ListChannelsRequest) (*ivs.ListChannelsResponse, error) {
	filters := 0
	for _, f := range []*string{in.FilterByName, in.FilterByRecordingConfigurationArn, in.FilterByPlaybackRestrictionPolicyArn, in.FilterByAdConfigurationArn} {
		if f != nil {
			filters++
		}
	}
	if filters > 1 {
		return nil, api.ConflictException("Only one filter can be used at a time")
	}
	list, err := c.channels.Sorted(ctx)
	if err != nil {
		return nil, err
	}
	if filters > 0 {
		list = slices.DeleteFunc(slices.Clone(list), func(r *channelRecord) bool {
			other := func(want *string, kind arn.Type, id string) bool {
				return want != nil && *want != *c.attachedARN(kind, id)
			}
			return value(in.FilterByName, r.Name) != r.Name ||
				other(in.FilterByRecordingConfigurationArn, arn.RecordingConfiguration, r.RecordingConfiguration) ||
				other(in.FilterByPlaybackRestrictionPolicyArn, arn.PlaybackRestrictionPolicy, r.RestrictionPolicy) ||
				other(in.FilterByAdConfigurationArn, arn.AdConfiguration, r.AdConfiguration)
		})
	}
	scope := "ListChannels " + value(in.FilterByName, "") + value(in.FilterByPlaybackRestrictionPolicyArn, "") + value(in.FilterByAdConfigurationArn, "") + value(in.FilterByRecordingConfigurationArn, "")
	page, next, err := api.Page(c.Pager, scope, list, func(r *channelRecord) string { return r.listed.order }, in.MaxResults, in.NextToken, pageOf100.def, pageOf100.max)
	if err != nil {
		return nil, err
	}
	return &ivs.ListChannelsResponse{Channels: each(page, func(r *channelRecord) *ivs.ChannelSummary { return &r.listed.summary }), NextToken: next}, nil
}

// UpdateChannel changes the members that are present, unless the channel is live.
func (c *Control) UpdateChannel(ctx context.Context, in *ivs.UpdateChannelRequest) (*ivs.UpdateChannelResponse, error) {
	a, err := c.ours(*in.Arn, arn.Channel)
	if err != nil {
		return nil, err
	}
	c.references.RLock()
	defer c.references.RUnlock()
	attached, err := c.attachmentsOf(ctx, in)
	if err != nil {
		return nil, err
	}
	r, err := c.channels.Update(ctx, a.ID, func(r *channelRecord) error {
		if err := r.configure(in, attached); err != nil {
			return err
		}
		return c.refuseLive(*in.Arn)
	})
	if err != nil {
		return nil, orNotFound(err, *in.Arn)
	}
	return &ivs.UpdateChannelResponse{Channel: c.viewChannel(r)}, nil
}

func (c *Control) refuseLive(channelARN string) error {
	if _, live := c.liveStream(channelARN); live {
		return api.ConflictException("Channel: %s is live", channelARN)
	}
	return nil
}

// DeleteChannel removes a channel with its stream key and its sessions, unless it is live or a composition
// that has not ended sends to it.
func (c *Control) DeleteChannel(ctx context.Context, in *ivs.DeleteChannelRequest) error {
	a, err := c.ours(*in.Arn, arn.Channel)
	if err != nil {
		return err
	}
	key, err := c.removeChannel(ctx, a.ID, *in.Arn)
	if err != nil {
		return err
	}
	if key != nil {
		c.forgetStreamKey(ctx, key.ID)
	}
	c.stopOrphan(*in.Arn)
	if err := c.streamJournal.do(ctx, func(ctx context.Context) error {
		return errors.Join(c.streamSessions.DeletePrefix(ctx, a.ID+"/"), c.forgetViewers(ctx, a.ID))
	}); err != nil {
		c.Log.Warn("sessions of a deleted channel stay until the next start", "channel", *in.Arn, "error", err)
	}
	return nil
}

// removeChannel deletes the record itself and returns the stream key that went with it.
func (c *Control) removeChannel(ctx context.Context, id, channelARN string) (key *streamKeyRecord, err error) {
	c.references.Lock()
	defer c.references.Unlock()
	err = c.channels.Delete(ctx, id, func(r channelRecord) error {
		key = r.StreamKey
		if err := c.refuseLive(channelARN); err != nil {
			return err
		}
		used, err := c.inUse(ctx, arn.Channel, channelARN)
		if err != nil {
			return err
		}
		if used {
			return api.ConflictException("Channel: %s is in use by a composition", channelARN)
		}
		return nil
	})
	return key, orNotFound(err, channelARN)
}

// stopOrphan cuts a publisher whose stream key was resolved before its channel was deleted.
func (c *Control) stopOrphan(channelARN string) {
	if c.Streams == nil {
		return
	}
	if err := c.Streams.Stop(channelARN, "the channel was deleted"); err != nil && !errors.Is(err, channel.ErrNotLive) {
		c.Log.Warn("stop the stream of a deleted channel", "channel", channelARN, "error", err)
	}
}
