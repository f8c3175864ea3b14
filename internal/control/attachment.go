package control

import (
	"context"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/store"
)

// attachments are the resources that a request attaches to a channel, by id. Nil leaves what is attached, empty
// detaches it.
type attachments struct{ policy, ads, recording *string }

// attachmentsOf finds what a request refers to. The caller holds references from before until the channel is stored.
func (c *Control) attachmentsOf(ctx context.Context, in *ivs.UpdateChannelRequest) (a attachments, err error) {
	if a.policy, err = attachment(ctx, c, c.policies, "playbackRestrictionPolicyArn", in.PlaybackRestrictionPolicyArn, arn.PlaybackRestrictionPolicy); err != nil {
		return a, err
	}
	if a.recording, err = attachment(ctx, c, c.recordings, "recordingConfigurationArn", in.RecordingConfigurationArn, arn.RecordingConfiguration); err != nil {
		return a, err
	}
	a.ads, err = attachment(ctx, c, c.adConfigurations, "adConfigurationArn", in.AdConfigurationArn, arn.AdConfiguration)
	return a, err
}

func attachment[T any](ctx context.Context, c *Control, b *store.Bucket[T], member string, resource *string, kind arn.Type) (*string, error) {
	if resource == nil || *resource == "" {
		return resource, nil
	}
	a, err := c.reference(member, *resource, kind)
	if err != nil {
		return nil, err
	}
	if _, _, err := b.Get(ctx, a.ID); err != nil {
		return nil, orNotFound(err, *resource)
	}
	return &a.ID, nil
}

// deleteUnattached removes a resource unless a channel has it; of tells what a channel has of the kind.
func deleteUnattached[T any](ctx context.Context, c *Control, b *store.Bucket[T], resource arn.ARN, of func(channelRecord) string) error {
	c.references.Lock()
	defer c.references.Unlock()
	err := b.Delete(ctx, resource.ID, func(T) error {
		channels, err := c.channels.List(ctx, "")
		if err != nil {
			return err
		}
		for _, r := range channels {
			if of(r) == resource.ID {
				return api.ConflictException("Resource: %s is attached to %s", resource, c.channelARN(r.ID))
			}
		}
		return nil
	})
	return orNotFound(err, resource.String())
}

// none is what responses show where nothing is attached or set.
var none = ""

// attachedARN is the ARN of an attached resource, or "".
func (c *Control) attachedARN(kind arn.Type, id string) *string {
	if id == "" {
		return &none
	}
	return new(c.Account.Of(kind, id).String())
}
