package control

import (
	"context"
	"errors"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/channel"
)

// maxMetadata is how long timed metadata may be, in bytes.
const maxMetadata = 1 << 10

// PutMetadata puts a text into a live stream, at the moment that is on air.
func (c *Control) PutMetadata(ctx context.Context, in *ivs.PutMetadataRequest) error {
	if n := len(*in.Metadata); n > maxMetadata {
		return api.ValidationException("metadata has %d bytes, more than %d", n, maxMetadata)
	}
	r, err := c.channelOf(ctx, *in.ChannelArn)
	if err != nil {
		return err
	}
	if err := c.paces.take("PutMetadata", r.ID, c.Rates.metadataPerChannel(), c.Now()); err != nil {
		return err
	}
	if err := c.paces.take("PutMetadata", "", c.Rates.metadata(), c.Now()); err != nil {
		return err
	}
	if c.Streams == nil {
		return notBroadcasting(*in.ChannelArn)
	}
	err = c.Streams.PutMetadata(*in.ChannelArn, *in.Metadata)
	if errors.Is(err, channel.ErrNotLive) {
		return notBroadcasting(*in.ChannelArn)
	}
	return err
}
