package control

import (
	"context"
	"maps"
	"strings"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
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
		return channelTags{c}
	case arn.StreamKey:
		return streamKeyTags{c}
	case arn.Stage:
		return stageTags{c}
	case arn.EncoderConfiguration:
		return encoderTags{c}
	case arn.PlaybackKey:
		return playbackKeyTags{c}
	case arn.PlaybackRestrictionPolicy:
		return policyTags{c}
	case arn.AdConfiguration:
		return adConfigurationTags{c}
	case arn.PublicKey:
		return publicKeyTags{c}
	case arn.StorageConfiguration:
		return storageTags{c}
	case arn.RecordingConfiguration:
		return recordingTags{c}
	case arn.Composition:
		if t, ok := c.Compositions.(Tagged); ok {
			return t
		}
	}
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

// given is a map as responses show it: empty when there is none, and the caller's own copy.
func given(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
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
