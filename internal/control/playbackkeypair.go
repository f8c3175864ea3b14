package control

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/token"
)

// playbackKeyRecord is the public half of a key pair that signs playback tokens. It never changes but for its tags.
type playbackKeyRecord struct {
	ID          string            `json:"id"`
	Created     time.Time         `json:"created"`
	Name        string            `json:"name"`
	PEM         string            `json:"pem"`
	Fingerprint string            `json:"fingerprint"`
	Tags        map[string]string `json:"tags,omitempty"`
}

func (r playbackKeyRecord) order() string { return orderKey(r.Created, r.ID) }

func (c *Control) playbackKeyARN(id string) string { return c.Account.Of(arn.PlaybackKey, id).String() }

func (c *Control) viewPlaybackKey(r playbackKeyRecord) *ivs.PlaybackKeyPair {
	return &ivs.PlaybackKeyPair{
		Arn: new(c.playbackKeyARN(r.ID)), Name: new(r.Name), Fingerprint: new(r.Fingerprint), Tags: given(r.Tags),
	}
}

// ImportPlaybackKeyPair takes a public key on P-384. One that is here already is a ConflictException.
func (c *Control) ImportPlaybackKeyPair(ctx context.Context, in *ivs.ImportPlaybackKeyPairRequest) (*ivs.ImportPlaybackKeyPairResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	_, fingerprint, err := keyMaterial(*in.PublicKeyMaterial)
	if err != nil {
		return nil, err
	}
	r := playbackKeyRecord{
		ID: arn.NewID(12), Created: c.Now(), Name: value(in.Name, ""), PEM: *in.PublicKeyMaterial, Fingerprint: fingerprint, Tags: in.Tags,
	}
	c.counting.Lock()
	defer c.counting.Unlock()
	all, err := c.playbackKeys.List(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, old := range all {
		if old.Fingerprint == fingerprint {
			return nil, api.ConflictException("The key with the fingerprint %s is imported already: %s", fingerprint, c.playbackKeyARN(old.ID))
		}
	}
	if err := c.Quotas.playbackKeyPairs().allow(len(all)); err != nil {
		return nil, err
	}
	if err := c.playbackKeys.Create(ctx, r.ID, r); err != nil {
		return nil, err
	}
	return &ivs.ImportPlaybackKeyPairResponse{KeyPair: c.viewPlaybackKey(r)}, nil
}

// GetPlaybackKeyPair shows one key pair, without the key.
func (c *Control) GetPlaybackKeyPair(ctx context.Context, in *ivs.GetPlaybackKeyPairRequest) (*ivs.GetPlaybackKeyPairResponse, error) {
	r, err := named(ctx, c, c.playbackKeys, arn.PlaybackKey, *in.Arn)
	if err != nil {
		return nil, err
	}
	return &ivs.GetPlaybackKeyPairResponse{KeyPair: c.viewPlaybackKey(r)}, nil
}

// ListPlaybackKeyPairs shows all key pairs.
func (c *Control) ListPlaybackKeyPairs(ctx context.Context, in *ivs.ListPlaybackKeyPairsRequest) (*ivs.ListPlaybackKeyPairsResponse, error) {
	page, next, err := pageOf(ctx, c, "ListPlaybackKeyPairs", c.playbackKeys, in.MaxResults, in.NextToken, pageOf100)
	if err != nil {
		return nil, err
	}
	return &ivs.ListPlaybackKeyPairsResponse{
		KeyPairs: each(page, func(r playbackKeyRecord) ivs.PlaybackKeyPairSummary {
			return ivs.PlaybackKeyPairSummary{Arn: new(c.playbackKeyARN(r.ID)), Name: new(r.Name), Tags: given(r.Tags)}
		}),
		NextToken: next,
	}, nil
}

// DeletePlaybackKeyPair removes a key pair: its tokens open nothing any more. Who watches goes on.
func (c *Control) DeletePlaybackKeyPair(ctx context.Context, in *ivs.DeletePlaybackKeyPairRequest) error {
	return deleteNamed(ctx, c, c.playbackKeys, arn.PlaybackKey, *in.Arn)
}

// verifyingKeys are the keys of all pairs: there are three at most, and a token does not say which is its own.
func (c *Control) verifyingKeys(ctx context.Context) ([]*ecdsa.PublicKey, error) {
	all, err := c.playbackKeys.List(ctx, "")
	if err != nil {
		return nil, err
	}
	var keys []*ecdsa.PublicKey
	for _, r := range all {
		key, err := token.ParsePublicKey(r.PEM)
		if err != nil {
			return nil, fmt.Errorf("playback key pair %s: %w", r.ID, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
