package control

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/store"
	"github.com/footlight-live/footlight/internal/token"
)

// secretRecord is a secret of the server itself. It is made once and shared by every node on the store.
type secretRecord struct {
	Value []byte `json:"value"`
}

func (c *Control) loadSecrets(ctx context.Context) error {
	var err error
	if c.ingestSecret, err = c.secret(ctx, "composition-ingest", randomBytes); err != nil {
		return err
	}
	if c.sessionKey, err = c.secret(ctx, "playback-sessions", randomBytes); err != nil {
		return err
	}
	if c.linkKey, err = c.secret(ctx, "recording-links", randomBytes); err != nil {
		return err
	}
	if c.Pager == nil {
		key, err := c.secret(ctx, "pager", randomBytes)
		if err != nil {
			return err
		}
		c.Pager = &api.Pager{Key: key}
	}
	if c.Keyring == nil {
		der, err := c.secret(ctx, "participant-tokens", newSigningKey)
		if err != nil {
			return err
		}
		key, err := x509.ParseECPrivateKey(der)
		if err != nil {
			return fmt.Errorf("parse the signing key of participant tokens: %w", err)
		}
		c.Keyring = token.NewKeyring(key)
		c.Keyring.Now = c.Now
	}
	return nil
}

// secret reads a secret and makes it when this is the first start. Of two servers that start at once both
// get the same.
func (c *Control) secret(ctx context.Context, name string, generate func() ([]byte, error)) ([]byte, error) {
	for {
		record, _, err := c.secrets.Get(ctx, name)
		if err == nil {
			return record.Value, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		value, err := generate()
		if err != nil {
			return nil, fmt.Errorf("make secret %s: %w", name, err)
		}
		if err := c.secrets.Create(ctx, name, secretRecord{Value: value}); err != nil && !errors.Is(err, store.ErrExists) {
			return nil, err
		}
	}
}

func randomBytes() ([]byte, error) {
	b := make([]byte, 32)
	_, err := rand.Read(b)
	return b, err
}

// newSigningKey makes the P-384 key of ES384.
func newSigningKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return x509.MarshalECPrivateKey(key)
}
