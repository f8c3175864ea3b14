// Package token makes and reads participant tokens: JSON Web Tokens signed with ES384 whose claims are the
// documented ones of Amazon IVS, so that clients which look inside find what they expect.
//
// A token that Verify accepts was minted by this server, has its claims, and has not expired. VerifyAny also accepts
// what the owner of an imported public key signed, within the rules of such tokens. Whether its stage exists and
// whether its participant has been disconnected are the control plane's questions.
package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Version is the claim of that name. Clients reject a token without it; the minor number holds flags that
// demand TURN and sending audio to receive any, and none is set.
const Version = "1.0"

// keyID names the server's own key in the token's header.
const keyID = "footlight"

// maxSize bounds what Verify reads, in bytes. Attributes of 1 KB, escaped and in base64, fit several times.
const maxSize = 16 << 10

// Refusals of Verify, told apart with errors.Is.
var (
	// ErrMalformed is anything that was not signed by a key that counts here, or breaks a rule of tokens.
	ErrMalformed = errors.New("the token is malformed, or not signed by this server or an imported key")
	// ErrExpired is a well-signed token whose time is over.
	ErrExpired = errors.New("the token has expired")
)

// Capabilities say what the participant may do.
type Capabilities struct {
	AllowPublish   bool `json:"allow_publish,omitzero"`
	AllowSubscribe bool `json:"allow_subscribe,omitzero"`
}

// Claims are what a token says (RFC 7519 names and those of the IVS documentation).
type Claims struct {
	Expires       int64             `json:"exp"`        // seconds since 1970
	IssuedAt      int64             `json:"iat"`        // seconds since 1970
	ParticipantID string            `json:"jti"`        // 1 to 64 of [A-Za-z0-9_-], unique per token
	StageARN      string            `json:"resource"`   //
	StageID       string            `json:"topic"`      // the last part of the stage's ARN
	EventsURL     string            `json:"events_url"` // without a trailing slash
	WHIPURL       string            `json:"whip_url"`   // without a trailing slash
	UserID        string            `json:"user_id,omitzero"`
	Attributes    map[string]string `json:"attributes,omitempty"`
	Capabilities  Capabilities      `json:"capabilities"`
	Version       string            `json:"version"`
	// Hidden makes a participant that sees the stage and that nobody sees: a composer.
	Hidden bool `json:"footlight_hidden,omitzero"`
	// SelfSigned is set by VerifyAny for tokens that the owner of an imported key signed.
	SelfSigned bool `json:"-"`
}

// ExpiresAt is the claim exp as a time.
func (c Claims) ExpiresAt() time.Time { return time.Unix(c.Expires, 0) }

// The methods of jwt.Claims.

func (c Claims) GetExpirationTime() (*jwt.NumericDate, error) {
	if c.Expires == 0 {
		return nil, nil // the parser requires one
	}
	return jwt.NewNumericDate(c.ExpiresAt()), nil
}

func (c Claims) GetIssuedAt() (*jwt.NumericDate, error) {
	return jwt.NewNumericDate(time.Unix(c.IssuedAt, 0)), nil
}

func (c Claims) GetNotBefore() (*jwt.NumericDate, error) { return nil, nil }

func (c Claims) GetIssuer() (string, error) { return "", nil }

func (c Claims) GetSubject() (string, error) { return "", nil }

func (c Claims) GetAudience() (jwt.ClaimStrings, error) { return nil, nil }

// Keyring signs with the server's key and verifies what it signed. Safe for concurrent use.
type Keyring struct {
	// Now is the clock against which tokens expire; nil is time.Now.
	Now func() time.Time

	key *ecdsa.PrivateKey
}

// NewKeyring uses a private key on the curve P-384; another one makes every Mint fail.
func NewKeyring(key *ecdsa.PrivateKey) *Keyring { return &Keyring{key: key} }

func (k *Keyring) now() time.Time {
	if k.Now != nil {
		return k.Now()
	}
	return time.Now()
}

// Mint signs the claims. Version is filled in.
func (k *Keyring) Mint(c Claims) (string, error) {
	if k.key == nil || k.key.Curve != elliptic.P384() {
		return "", errors.New("mint participant token: the signing key is not on P-384")
	}
	c.Version = Version
	if err := c.complete(); err != nil {
		return "", fmt.Errorf("mint participant token: %w", err)
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES384, c)
	t.Header["kid"] = keyID
	signed, err := t.SignedString(k.key)
	if err != nil {
		return "", fmt.Errorf("mint participant token: %w", err)
	}
	return signed, nil
}

// Verify returns the claims of a token of the server, or an error that is ErrMalformed or ErrExpired and says more.
func (k *Keyring) Verify(signed string) (Claims, error) {
	return k.VerifyAny(signed, func(string) (*ecdsa.PublicKey, error) { return nil, ErrNoKey })
}

// complete says which required claim is missing.
func (c Claims) complete() error {
	for _, claim := range []struct{ name, value string }{
		{"jti", c.ParticipantID}, {"resource", c.StageARN}, {"topic", c.StageID}, {"version", c.Version},
	} {
		if claim.value == "" {
			return fmt.Errorf("the claim %s is missing", claim.name)
		}
	}
	if c.Expires <= 0 || c.IssuedAt <= 0 {
		return errors.New("the claim exp or iat is missing")
	}
	return nil
}
