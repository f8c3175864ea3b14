package control

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/store"
	"github.com/footlight-live/footlight/internal/token"
)

// publicKeyRecord is an imported public key: who has its private half signs participant tokens. It never changes
// but for its tags.
type publicKeyRecord struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Name    string    `json:"name"`
	PEM     string    `json:"pem"` // as it was imported
	// Fingerprint identifies the key to people; nothing is decided by it, since it is an MD5.
	Fingerprint string            `json:"fingerprint"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// same compares keys, however their PEM is written.
func (r publicKeyRecord) same(key *ecdsa.PublicKey) bool {
	have, err := token.ParsePublicKey(r.PEM)
	return err == nil && have.Equal(key)
}

func (r publicKeyRecord) order() string { return orderKey(r.Created, r.ID) }

// importedKey finds public keys for the tokens of one request. Each is read anew, so that a deleted key opens
// nothing from then on.
func (c *Control) importedKey(ctx context.Context) token.FindKey {
	return func(kid string) (*ecdsa.PublicKey, error) {
		a, err := arn.Parse(kid)
		if err != nil || a.Account != c.Account || a.Type != arn.PublicKey {
			return nil, token.ErrNoKey
		}
		r, _, err := c.publicKeys.Get(ctx, a.ID)
		if errors.Is(err, store.ErrNotFound) {
			return nil, token.ErrNoKey
		}
		if err != nil {
			return nil, err
		}
		return token.ParsePublicKey(r.PEM)
	}
}

func (c *Control) viewPublicKey(r publicKeyRecord) *ivsrealtime.PublicKey {
	return &ivsrealtime.PublicKey{
		Arn:               new(c.publicKeyARN(r.ID)),
		Name:              new(r.Name),
		PublicKeyMaterial: new(r.PEM),
		Fingerprint:       new(r.Fingerprint),
		Tags:              given(r.Tags),
	}
}

func (c *Control) publicKeyARN(id string) string { return c.Account.Of(arn.PublicKey, id).String() }

// keyMaterial reads the member publicKeyMaterial, a public key as PEM.
func keyMaterial(pem string) (key *ecdsa.PublicKey, fingerprint string, err error) {
	if key, err = token.ParsePublicKey(pem); err != nil {
		return nil, "", api.ValidationException("publicKeyMaterial: %v", err)
	}
	fingerprint, err = token.Fingerprint(key)
	return key, fingerprint, err
}

// ImportPublicKey takes a key whose owner signs participant tokens. The same key twice is a ConflictException,
// however its PEM is written.
func (c *Control) ImportPublicKey(ctx context.Context, in *ivsrealtime.ImportPublicKeyRequest) (*ivsrealtime.ImportPublicKeyResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	key, fingerprint, err := keyMaterial(*in.PublicKeyMaterial)
	if err != nil {
		return nil, err
	}
	r := publicKeyRecord{
		ID: arn.NewID(12), Created: c.Now(), Name: value(in.Name, ""), PEM: *in.PublicKeyMaterial, Fingerprint: fingerprint, Tags: in.Tags,
	}
	c.counting.Lock()
	defer c.counting.Unlock()
	all, err := c.publicKeys.List(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, have := range all {
		if have.same(key) {
			return nil, api.ConflictException("This key has been imported already: %s", c.publicKeyARN(have.ID))
		}
	}
	if err := c.Quotas.publicKeys().allow(len(all)); err != nil {
		return nil, err
	}
	if err := c.publicKeys.Create(ctx, r.ID, r); err != nil {
		return nil, err
	}
	return &ivsrealtime.ImportPublicKeyResponse{PublicKey: c.viewPublicKey(r)}, nil
}

// GetPublicKey shows one public key.
func (c *Control) GetPublicKey(ctx context.Context, in *ivsrealtime.GetPublicKeyRequest) (*ivsrealtime.GetPublicKeyResponse, error) {
	r, err := named(ctx, c, c.publicKeys, arn.PublicKey, *in.Arn)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.GetPublicKeyResponse{PublicKey: c.viewPublicKey(r)}, nil
}

// ListPublicKeys shows all public keys.
func (c *Control) ListPublicKeys(ctx context.Context, in *ivsrealtime.ListPublicKeysRequest) (*ivsrealtime.ListPublicKeysResponse, error) {
	page, next, err := pageOf(ctx, c, "ListPublicKeys", c.publicKeys, in.MaxResults, in.NextToken, pageOf50)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.ListPublicKeysResponse{
		PublicKeys: each(page, func(r publicKeyRecord) ivsrealtime.PublicKeySummary {
			return ivsrealtime.PublicKeySummary{Arn: new(c.publicKeyARN(r.ID)), Name: new(r.Name), Tags: given(r.Tags)}
		}),
		NextToken: next,
	}, nil
}

// DeletePublicKey removes a key: its tokens let nobody in any more. Who is connected stays.
func (c *Control) DeletePublicKey(ctx context.Context, in *ivsrealtime.DeletePublicKeyRequest) error {
	return deleteNamed(ctx, c, c.publicKeys, arn.PublicKey, *in.Arn)
}
