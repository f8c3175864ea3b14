package control

import (
	"cmp"
	"context"
	"errors"

	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/ingest"
	"github.com/footlight-live/footlight/internal/stage"
)

// offer is what the channel or the stage of a stream key takes of an encoder.
type offer struct {
	sizes           []size // the largest first
	limit           channel.Resolution
	bitRate, tracks int  // of all sizes together, kbit/s with sound
	keySeconds      int  // between key frames
	realTime        bool // without B-frames and look-ahead

	key        string // to publish with
	allowPlain bool   // RTMP will do
}

// channelOffer is for the key of a channel.
func (c *Control) channelOffer(ctx context.Context, key string) (offer, error) {
	id, ok := c.channelOfKey(key)
	if !ok {
		return offer{}, errUnknownClient
	}
	if _, err := c.ResolveStreamKey(ctx, key); errors.Is(err, channel.ErrUnknownStreamKey) {
		return offer{}, errUnknownClient
	} else if err != nil {
		return offer{}, err
	}
	r, _, err := c.channels.Get(ctx, id)
	if err != nil {
		return offer{}, err
	}
	if !r.Multitrack.Enabled || r.StreamKey == nil {
		return offer{}, clientRefusal("Multitrack input is not enabled for this channel: switch multitrack video off in the encoder, or enable it with UpdateChannel.")
	}
	o := channelLimits(channel.Resolution(r.Multitrack.MaximumResolution))
	o.key, o.allowPlain = c.multitrackKey(r.ID, *r.StreamKey, c.Now().Add(multitrackKeyLife)), r.InsecureIngest
	return o, nil
}

func channelLimits(limit channel.Resolution) offer {
	return offer{sizes: channelSizes, limit: limit, bitRate: channel.MultitrackBitRate / 1000, tracks: channel.MaxPictures, keySeconds: 2}
}

// stageOffer is for the key of an ingest configuration.
func (c *Control) stageOffer(ctx context.Context, key string) (offer, error) {
	credential, err := c.ResolveIngestKey(ctx, key)
	switch {
	case errors.Is(err, ingest.ErrUnknownKey) || err == nil && isDerivedIngestKey(key):
		return offer{}, errUnknownClient
	case err != nil:
		return offer{}, err
	case credential.Grant.StageID == "":
		return offer{}, clientRefusal("The ingest configuration has no stage: set its stageArn with UpdateIngestConfiguration.")
	}
	o := stageLimits(cmp.Or(c.Quotas.PublishBitRate, 8_500_000))
	o.key, o.allowPlain = c.derivedIngestKey(key, c.Now().Add(multitrackKeyLife)), credential.AllowPlain
	return o, nil
}

// stageLimits takes bits per second. Nobody who subscribes can ask an encoder for a key frame, so they come each second.
func stageLimits(bitRate int) offer {
	return offer{sizes: stageSizes, limit: channel.HD, bitRate: bitRate / 1000, tracks: stage.MaxLayers, keySeconds: 1, realTime: true}
}

const errUnknownClient = clientRefusal("The stream key is unknown.")
