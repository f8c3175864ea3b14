package control

import (
	"context"
	"errors"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/channel"
)

// GetStream shows the live stream of a channel.
func (c *Control) GetStream(ctx context.Context, in *ivs.GetStreamRequest) (*ivs.GetStreamResponse, error) {
	r, err := c.channelOf(ctx, *in.ChannelArn)
	if err != nil {
		return nil, err
	}
	s, live := c.liveStream(*in.ChannelArn)
	if !live {
		return nil, notBroadcasting(*in.ChannelArn)
	}
	return &ivs.GetStreamResponse{Stream: &ivs.Stream{
		ChannelArn:  new(s.ChannelARN),
		StreamId:    new(s.ID),
		PlaybackUrl: new(c.playbackURL(r.ID)),
		StartTime:   api.TimeOf(s.StartTime),
		State:       new(ivs.StreamStateLive),
		Health:      new(string(s.Health)),
		ViewerCount: new(int64(s.ViewerCount)),
	}}, nil
}

func notBroadcasting(channelARN string) error {
	return api.ChannelNotBroadcasting("Channel: %s is not broadcasting", channelARN)
}

// ListStreams shows the live streams, or those of one health.
func (c *Control) ListStreams(ctx context.Context, in *ivs.ListStreamsRequest) (*ivs.ListStreamsResponse, error) {
	scope := "ListStreams"
	var health *string
	if in.FilterBy != nil && in.FilterBy.Health != nil {
		health = in.FilterBy.Health
		scope += " " + *health
	}
	var list []channel.Stream
	if c.Streams != nil {
		for _, s := range c.Streams.Streams() {
			if health == nil || string(s.Health) == *health {
				list = append(list, s)
			}
		}
	}
	order := func(s channel.Stream) string { return orderKey(s.StartTime, s.ID) }
	page, next, err := oldestFirst(c, scope, list, order, in.MaxResults, in.NextToken, pageOf100)
	if err != nil {
		return nil, err
	}
	return &ivs.ListStreamsResponse{
		Streams: each(page, func(s channel.Stream) ivs.StreamSummary {
			return ivs.StreamSummary{
				ChannelArn:  new(s.ChannelARN),
				StreamId:    new(s.ID),
				State:       new(ivs.StreamStateLive),
				Health:      new(string(s.Health)),
				ViewerCount: new(int64(s.ViewerCount)),
				StartTime:   api.TimeOf(s.StartTime),
			}
		}),
		NextToken: next,
	}, nil
}

// StopStream cuts the encoder's connection. The encoder may connect again.
func (c *Control) StopStream(ctx context.Context, in *ivs.StopStreamRequest) error {
	if _, err := c.channelOf(ctx, *in.ChannelArn); err != nil {
		return err
	}
	if c.Streams == nil {
		return notBroadcasting(*in.ChannelArn)
	}
	err := c.Streams.Stop(*in.ChannelArn, "stopped by StopStream")
	if errors.Is(err, channel.ErrNotLive) {
		return notBroadcasting(*in.ChannelArn)
	}
	return err
}
