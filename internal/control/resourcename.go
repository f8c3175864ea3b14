package control

import (
	"context"
	"errors"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/store"
)

// NameOf is the name of a stage or channel, for people. It is empty for one without a name or that is gone, and for what
// is neither.
func (c *Control) NameOf(ctx context.Context, resource string) string {
	a, err := arn.Parse(resource)
	if err != nil || a.Account != c.Account {
		return ""
	}
	var name string
	switch a.Type {
	case arn.Stage:
		var r stageRecord
		r, _, err = c.stages.Get(ctx, a.ID)
		name = r.Name
	case arn.Channel:
		var r channelRecord
		r, _, err = c.channels.Get(ctx, a.ID)
		name = r.Name
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		c.Log.Warn("a name cannot be looked up", "resource", resource, "error", err)
	}
	return name
}
