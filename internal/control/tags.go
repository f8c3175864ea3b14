package control

import (
	"context"
	"maps"
	"strings"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/store"
)

// maxTags is how many tags a resource may have (spec/api-conventions.md §6).
const maxTags = 50

// Tagged keeps the tags of the resources of one type. Its errors are the API's: an id that does not exist is
// a ResourceNotFoundException.
type Tagged interface {
	Tags(ctx context.Context, id string) (map[string]string, error)
	// ChangeTags lets change turn the present tags, which are never nil, into the new ones, atomically.
	// change may run several times; its error is returned and nothing changes.
	ChangeTags(ctx context.Context, id string, change func(map[string]string) error) error
}

// tagged finds who keeps the tags of a type; nil when there are no such resources.
// A Compositions that is also Tagged keeps those of compositions.
func (c *Control) tagged(t arn.Type) Tagged {
	switch t {
	case arn.Channel:
		return recordTags[channelRecord]{c, t, c.channels, func(r *channelRecord) *map[string]string { return &r.Tags }}
	case arn.StreamKey:
		return streamKeyTags{c}
	case arn.Stage:
		return recordTags[stageRecord]{c, t, c.stages, func(r *stageRecord) *map[string]string { return &r.Tags }}
	case arn.EncoderConfiguration:
		return recordTags[encoderRecord]{c, t, c.encoders, func(r *encoderRecord) *map[string]string { return &r.Tags }}
	case arn.PlaybackKey:
		return recordTags[playbackKeyRecord]{c, t, c.playbackKeys, func(r *playbackKeyRecord) *map[string]string { return &r.Tags }}
	case arn.PlaybackRestrictionPolicy:
		return recordTags[policyRecord]{c, t, c.policies, func(r *policyRecord) *map[string]string { return &r.Tags }}
	case arn.AdConfiguration:
		return recordTags[adConfigurationRecord]{c, t, c.adConfigurations, func(r *adConfigurationRecord) *map[string]string { return &r.Tags }}
	case arn.PublicKey:
		return recordTags[publicKeyRecord]{c, t, c.publicKeys, func(r *publicKeyRecord) *map[string]string { return &r.Tags }}
	case arn.StorageConfiguration:
		return recordTags[storageRecord]{c, t, c.storages, func(r *storageRecord) *map[string]string { return &r.Tags }}
	case arn.RecordingConfiguration:
		return recordTags[recordingRecord]{c, t, c.recordings, func(r *recordingRecord) *map[string]string { return &r.Tags }}
	case arn.IngestConfiguration:
		return recordTags[ingestRecord]{c, t, c.ingests, func(r *ingestRecord) *map[string]string { return &r.Tags }}
	case arn.Composition:
		if t, ok := c.Compositions.(Tagged); ok {
			return t
		}
	}
	return nil
}

// recordTags are tags that a record of the bucket holds itself, under the id of its resource.
type recordTags[T any] struct {
	c      *Control
	kind   arn.Type
	bucket *store.Bucket[T]
	of     func(*T) *map[string]string
}

func (t recordTags[T]) Tags(ctx context.Context, id string) (map[string]string, error) {
	r, _, err := t.bucket.Get(ctx, id)
	return *t.of(&r), orNotFound(err, t.c.Account.Of(t.kind, id).String())
}

func (t recordTags[T]) ChangeTags(ctx context.Context, id string, change func(map[string]string) error) error {
	_, err := t.bucket.Update(ctx, id, func(r *T) error { return changeTags(t.of(r), change) })
	return orNotFound(err, t.c.Account.Of(t.kind, id).String())
}

// changeTags gives change a map to work on and keeps it when there is no error.
func changeTags(tags *map[string]string, change func(map[string]string) error) error {
	changed := maps.Clone(given(*tags))
	if err := change(changed); err != nil {
		return err
	}
	*tags = changed
	return nil
}

func (c *Control) listTags(ctx context.Context, resource string) (map[string]string, error) {
	a, t, err := c.findTagged(resource)
	if err != nil {
		return nil, err
	}
	tags, err := t.Tags(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	return given(tags), nil
}

func (c *Control) tag(ctx context.Context, resource string, tags map[string]string) error {
	if err := checkTags(tags); err != nil {
		return err
	}
	a, t, err := c.findTagged(resource)
	if err != nil {
		return err
	}
	return t.ChangeTags(ctx, a.ID, func(present map[string]string) error {
		maps.Copy(present, tags)
		if len(present) > maxTags {
			return api.ValidationException("%s would have %d tags; at most %d are allowed", resource, len(present), maxTags)
		}
		return nil
	})
}

func (c *Control) untag(ctx context.Context, resource string, keys []string) error {
	a, t, err := c.findTagged(resource)
	if err != nil {
		return err
	}
	return t.ChangeTags(ctx, a.ID, func(present map[string]string) error {
		for _, key := range keys {
			delete(present, key)
		}
		return nil
	})
}

func (c *Control) findTagged(resource string) (arn.ARN, Tagged, error) {
	a, err := arn.Parse(resource)
	if err != nil {
		return a, nil, api.ValidationException("%s is not an ARN", resource)
	}
	t := c.tagged(a.Type)
	if a.Account != c.Account || t == nil {
		return a, nil, notFound(resource)
	}
	return a, t, nil
}

// checkTags refuses the names that AWS keeps for itself. Counts and lengths are the model's business.
func checkTags(tags map[string]string) error {
	for _, key := range api.Keys(tags) {
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return api.ValidationException("tag key '%s': keys that start with aws: are reserved", key)
		}
	}
	return nil
}

// given is a map as responses show it: empty when there is none. Nobody changes what responses show.
func given(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// ListTagsForResource of the IVS service.
func (s ivsService) ListTagsForResource(ctx context.Context, in *ivs.ListTagsForResourceRequest) (*ivs.ListTagsForResourceResponse, error) {
	tags, err := s.listTags(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &ivs.ListTagsForResourceResponse{Tags: tags}, nil
}

// TagResource of the IVS service.
func (s ivsService) TagResource(ctx context.Context, in *ivs.TagResourceRequest) error {
	return s.tag(ctx, *in.ResourceArn, in.Tags)
}

// UntagResource of the IVS service.
func (s ivsService) UntagResource(ctx context.Context, in *ivs.UntagResourceRequest) error {
	return s.untag(ctx, *in.ResourceArn, in.TagKeys)
}

// ListTagsForResource of the IVS Real-Time service.
func (s realTimeService) ListTagsForResource(ctx context.Context, in *ivsrealtime.ListTagsForResourceRequest) (*ivsrealtime.ListTagsForResourceResponse, error) {
	tags, err := s.listTags(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.ListTagsForResourceResponse{Tags: tags}, nil
}

// TagResource of the IVS Real-Time service.
func (s realTimeService) TagResource(ctx context.Context, in *ivsrealtime.TagResourceRequest) error {
	return s.tag(ctx, *in.ResourceArn, in.Tags)
}

// UntagResource of the IVS Real-Time service.
func (s realTimeService) UntagResource(ctx context.Context, in *ivsrealtime.UntagResourceRequest) error {
	return s.untag(ctx, *in.ResourceArn, in.TagKeys)
}
