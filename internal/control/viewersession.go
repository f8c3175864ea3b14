package control

import (
	"context"
	"errors"
	"sync"

	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/store"
)

// viewerRevocationRecord says up to which version the sessions of a viewer of a channel are revoked. It stays as long
// as its channel: later tokens of such versions open nothing either.
type viewerRevocationRecord struct {
	ChannelID string `json:"channelId"`
	Viewer    string `json:"viewer"`
	Version   int64  `json:"version"` // this one and those below
}

// viewerRevocationKey keeps a viewer's name, which may hold anything, within one segment of the key.
func viewerRevocationKey(channelID, viewer string) string { return channelID + "/" + hashed(viewer) }

// revokedViewers are the same in memory, for a look at every request of a player. Safe for concurrent use.
type revokedViewers struct {
	mu       sync.RWMutex
	versions map[string]map[string]int64 // by channel ARN and viewer
}

func (v *revokedViewers) set(channelARN, viewer string, version int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.versions == nil {
		v.versions = map[string]map[string]int64{}
	}
	if v.versions[channelARN] == nil {
		v.versions[channelARN] = map[string]int64{}
	}
	old, known := v.versions[channelARN][viewer]
	if !known || version > old {
		v.versions[channelARN][viewer] = version
	}
}

func (v *revokedViewers) has(channelARN, viewer string, version int64) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	upTo, known := v.versions[channelARN][viewer]
	return known && version <= upTo
}

func (v *revokedViewers) forget(channelARN string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.versions, channelARN)
}

// ViewerRevoked implements channel.Gate.
func (c *Control) ViewerRevoked(channelARN, viewer string, version int64) bool {
	return c.revokedViewers.has(channelARN, viewer, version)
}

// StartViewerSessionRevocation cuts the sessions of a viewer up to a version, and refuses their later tokens.
func (c *Control) StartViewerSessionRevocation(ctx context.Context, in *ivs.StartViewerSessionRevocationRequest) error {
	if err := c.paces.take("StartViewerSessionRevocation", "", c.Rates.revocations(), c.Now()); err != nil {
		return err
	}
	return c.revokeViewer(ctx, *in.ChannelArn, *in.ViewerId, value(in.ViewerSessionVersionsLessThanOrEqualTo, 0))
}

// BatchStartViewerSessionRevocation does it for several viewers; those for whom it fails are among the errors.
func (c *Control) BatchStartViewerSessionRevocation(ctx context.Context, in *ivs.BatchStartViewerSessionRevocationRequest) (*ivs.BatchStartViewerSessionRevocationResponse, error) {
	if err := c.paces.take("BatchStartViewerSessionRevocation", "", c.Rates.revocationBatches(), c.Now()); err != nil {
		return nil, err
	}
	out := &ivs.BatchStartViewerSessionRevocationResponse{Errors: []ivs.BatchStartViewerSessionRevocationError{}}
	for _, s := range in.ViewerSessions {
		miss, err := batchError(*s.ChannelArn, c.revokeViewer(ctx, *s.ChannelArn, *s.ViewerId, value(s.ViewerSessionVersionsLessThanOrEqualTo, 0)))
		if err != nil {
			return nil, err
		}
		if miss != nil {
			out.Errors = append(out.Errors, ivs.BatchStartViewerSessionRevocationError{
				ChannelArn: s.ChannelArn, ViewerId: s.ViewerId, Code: miss.Code, Message: miss.Message,
			})
		}
	}
	return out, nil
}

// revokeViewer never takes back what was revoked before: the higher version stays.
func (c *Control) revokeViewer(ctx context.Context, channelARN, viewer string, version int32) error {
	c.references.RLock() // the channel stays until this is stored
	defer c.references.RUnlock()
	r, err := c.channelOf(ctx, channelARN)
	if err != nil {
		return err
	}
	key := viewerRevocationKey(r.ID, viewer)
	for {
		err := c.viewerRevocations.Create(ctx, key, viewerRevocationRecord{ChannelID: r.ID, Viewer: viewer, Version: int64(version)})
		if errors.Is(err, store.ErrExists) {
			_, err = c.viewerRevocations.Update(ctx, key, func(v *viewerRevocationRecord) error {
				v.Version = max(v.Version, int64(version))
				return nil
			})
		}
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		c.revokedViewers.set(channelARN, viewer, int64(version))
		c.Log.Info("viewer sessions revoked", "channel", channelARN, "upTo", version)
		return nil
	}
}

// forgetViewers removes the revocations of a channel that is gone.
func (c *Control) forgetViewers(ctx context.Context, channelID string) error {
	c.revokedViewers.forget(c.channelARN(channelID))
	return c.viewerRevocations.DeletePrefix(ctx, channelID+"/")
}

// loadViewers reads the revocations into memory, and removes those of channels that are gone.
func (c *Control) loadViewers(ctx context.Context, channels map[string]bool) error {
	all, err := c.viewerRevocations.List(ctx, "")
	if err != nil {
		return err
	}
	for _, r := range all {
		if !channels[r.ChannelID] {
			if err := c.forgetViewers(ctx, r.ChannelID); err != nil {
				return err
			}
			continue
		}
		c.revokedViewers.set(c.channelARN(r.ChannelID), r.Viewer, r.Version)
	}
	return nil
}
