package control

import (
	"context"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/arn"
)

// streamKeyRecord is the stream key of the channel in whose record it lies.
type streamKeyRecord struct {
	ID      string            `json:"id"`
	Secret  string            `json:"secret"`
	Created time.Time         `json:"created"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// streamKeyIndex finds the channel of a stream key. It is written before the key and deleted after it, so it
// may point to a channel that does not have the key; then there is no such key.
type streamKeyIndex struct {
	ID        string `json:"id"`
	ChannelID string `json:"channelId"`
}

// streamKeySecret is how many characters of [A-Za-z0-9] nobody can guess.
const streamKeySecret = 30

// newStreamKey makes a key for the caller to put into the channel's record.
func (c *Control) newStreamKey(ctx context.Context, channelID string, tags map[string]string) (*streamKeyRecord, error) {
	key := &streamKeyRecord{ID: arn.NewID(12), Secret: arn.NewID(streamKeySecret), Created: c.Now(), Tags: tags}
	if err := c.streamKeys.Create(ctx, key.ID, streamKeyIndex{ID: key.ID, ChannelID: channelID}); err != nil {
		return nil, err
	}
	return key, nil
}

// forgetStreamKey removes the index of a key that is in no record. A failure is swept at the next start.
func (c *Control) forgetStreamKey(ctx context.Context, id string) {
	if err := c.streamKeys.Delete(context.WithoutCancel(ctx), id); err != nil {
		c.Log.Debug("index of a stream key stays until the next start", "streamKey", id, "error", err)
	}
}

// streamKeyOf reads the key that an ARN names, and its channel.
func (c *Control) streamKeyOf(ctx context.Context, s string) (channelID string, key streamKeyRecord, err error) {
	a, err := c.ours(s, arn.StreamKey)
	if err != nil {
		return "", key, err
	}
	index, _, err := c.streamKeys.Get(ctx, a.ID)
	if err != nil {
		return "", key, orNotFound(err, s)
	}
	r, err := c.findChannel(ctx, index.ChannelID, s)
	if err != nil {
		return "", key, err
	}
	if !r.hasKey(a.ID) {
		return "", key, notFound(s)
	}
	return r.ID, *r.StreamKey, nil
}

func (r channelRecord) hasKey(id string) bool { return r.StreamKey != nil && r.StreamKey.ID == id }

// streamKeyValue is what an encoder sends.
func (c *Control) streamKeyValue(channelID string, key streamKeyRecord) string {
	return "sk_" + c.Account.Region + "_" + channelID + "_" + key.Secret
}

func (c *Control) viewStreamKey(channelID string, key streamKeyRecord) *ivs.StreamKey {
	return &ivs.StreamKey{
		Arn:        new(c.streamKeyARN(key.ID)),
		Value:      new(c.streamKeyValue(channelID, key)),
		ChannelArn: new(c.channelARN(channelID)),
		Tags:       given(key.Tags),
	}
}

// CreateStreamKey makes the key of a channel that has none.
func (c *Control) CreateStreamKey(ctx context.Context, in *ivs.CreateStreamKeyRequest) (*ivs.CreateStreamKeyResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	r, err := c.channelOf(ctx, *in.ChannelArn)
	if err != nil {
		return nil, err
	}
	key, err := c.newStreamKey(ctx, r.ID, in.Tags)
	if err != nil {
		return nil, err
	}
	_, err = c.channels.Update(ctx, r.ID, func(r *channelRecord) error {
		if r.StreamKey != nil {
			return api.ServiceQuotaExceededException("Channel: %s has its stream key already; delete that first", *in.ChannelArn)
		}
		r.StreamKey = key
		return nil
	})
	if err != nil {
		c.forgetStreamKey(ctx, key.ID)
		return nil, orNotFound(err, *in.ChannelArn)
	}
	return &ivs.CreateStreamKeyResponse{StreamKey: c.viewStreamKey(r.ID, *key)}, nil
}

// GetStreamKey shows a key with its value.
func (c *Control) GetStreamKey(ctx context.Context, in *ivs.GetStreamKeyRequest) (*ivs.GetStreamKeyResponse, error) {
	channelID, key, err := c.streamKeyOf(ctx, *in.Arn)
	if err != nil {
		return nil, err
	}
	return &ivs.GetStreamKeyResponse{StreamKey: c.viewStreamKey(channelID, key)}, nil
}

// BatchGetStreamKey shows several keys; those that do not exist are among the errors.
func (c *Control) BatchGetStreamKey(ctx context.Context, in *ivs.BatchGetStreamKeyRequest) (*ivs.BatchGetStreamKeyResponse, error) {
	out := &ivs.BatchGetStreamKeyResponse{StreamKeys: []ivs.StreamKey{}, Errors: []ivs.BatchError{}}
	for _, s := range in.Arns {
		channelID, key, err := c.streamKeyOf(ctx, s)
		if miss, err := batchError(s, err); err != nil {
			return nil, err
		} else if miss != nil {
			out.Errors = append(out.Errors, *miss)
			continue
		}
		out.StreamKeys = append(out.StreamKeys, *c.viewStreamKey(channelID, key))
	}
	return out, nil
}

// ListStreamKeys shows the key of a channel, without its value.
func (c *Control) ListStreamKeys(ctx context.Context, in *ivs.ListStreamKeysRequest) (*ivs.ListStreamKeysResponse, error) {
	r, err := c.channelOf(ctx, *in.ChannelArn)
	if err != nil {
		return nil, err
	}
	var keys []streamKeyRecord
	if r.StreamKey != nil {
		keys = append(keys, *r.StreamKey)
	}
	order := func(k streamKeyRecord) string { return orderKey(k.Created, k.ID) }
	page, next, err := oldestFirst(c, "ListStreamKeys "+r.ID, keys, order, in.MaxResults, in.NextToken, pageOf1)
	if err != nil {
		return nil, err
	}
	return &ivs.ListStreamKeysResponse{
		StreamKeys: each(page, func(k streamKeyRecord) ivs.StreamKeySummary {
			return ivs.StreamKeySummary{Arn: new(c.streamKeyARN(k.ID)), ChannelArn: new(c.channelARN(r.ID)), Tags: given(k.Tags)}
		}),
		NextToken: next,
	}, nil
}

// DeleteStreamKey makes the key useless for new streams. A stream that is live goes on.
func (c *Control) DeleteStreamKey(ctx context.Context, in *ivs.DeleteStreamKeyRequest) error {
	channelID, key, err := c.streamKeyOf(ctx, *in.Arn)
	if err != nil {
		return err
	}
	_, err = c.channels.Update(ctx, channelID, func(r *channelRecord) error {
		if !r.hasKey(key.ID) {
			return notFound(*in.Arn)
		}
		r.StreamKey = nil
		return nil
	})
	if err != nil {
		return orNotFound(err, *in.Arn)
	}
	c.forgetStreamKey(ctx, key.ID)
	return nil
}

// streamKeyTags are the tags of stream keys.
type streamKeyTags struct{ c *Control }

func (t streamKeyTags) Tags(ctx context.Context, id string) (map[string]string, error) {
	_, key, err := t.c.streamKeyOf(ctx, t.c.streamKeyARN(id))
	return key.Tags, err
}

func (t streamKeyTags) ChangeTags(ctx context.Context, id string, change func(map[string]string) error) error {
	name := t.c.streamKeyARN(id)
	channelID, _, err := t.c.streamKeyOf(ctx, name)
	if err != nil {
		return err
	}
	_, err = t.c.channels.Update(ctx, channelID, func(r *channelRecord) error {
		if !r.hasKey(id) {
			return notFound(name)
		}
		return changeTags(&r.StreamKey.Tags, change)
	})
	return orNotFound(err, name)
}
