package token

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// Limits of tokens, for those that the server mints too (spec/realtime.md §2).
const (
	MaxLife           = 14 * 24 * time.Hour // from iat to exp
	MaxAttributeBytes = 1024                // keys and values together
	maxUserID         = 128                 // characters
)

// maxAhead is how far the clock of whoever signed may be ahead of ours. Without a bound a token from the future
// would live longer than MaxLife.
const maxAhead = 5 * time.Minute

// ComposerPrefix begins the participant ids of composers. No self-signed token may have one of them, since a
// second connection with an id ends the first.
const ComposerPrefix = "composition-"

// ErrNoKey is what a FindKey answers when there is no such key.
var ErrNoKey = errors.New("the token names a key that was not imported here, or was deleted")

// FindKey returns the public key that was imported under an ARN, or ErrNoKey. Its other errors come back from
// VerifyAny as they are.
type FindKey func(arn string) (*ecdsa.PublicKey, error)

// VerifyAny is Verify for tokens of the server and for those that the owner of an imported key signed
// (spec/realtime.md §2.2): the header's kid tells which. Refusals are ErrMalformed or ErrExpired; with the latter come the
// claims, so that one can tell whose token it was.
func (k *Keyring) VerifyAny(signed string, find FindKey) (Claims, error) {
	var failed error
	c, err := parse(signed, k.now, func(kid string) (*ecdsa.PublicKey, error) {
		if kid == keyID {
			return &k.key.PublicKey, nil
		}
		key, err := find(kid)
		if err != nil && !errors.Is(err, ErrNoKey) {
			failed = err
		}
		return key, err
	})
	switch {
	case failed != nil:
		return Claims{}, failed
	case errors.Is(err, ErrExpired) && (c.kid == keyID || c.complete() == nil && c.selfSigned(k.now()) == nil):
		return c.Claims, err
	case err != nil:
		return Claims{}, err
	case c.kid == keyID:
		return c.Claims, nil
	}
	if err := c.selfSigned(k.now()); err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	c.SelfSigned = true
	return c.Claims, nil
}

// required are the claims that a self-signed token must have.
var required = []string{"exp", "iat", "jti", "resource", "topic", "events_url", "whip_url", "capabilities", "version"}

var participantID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// selfSigned says which rule of self-signed tokens is broken. The server's own keep them by being made here.
func (c parsed) selfSigned(now time.Time) error {
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(c.payload, &claims); err != nil {
		return err
	}
	for _, name := range required {
		if v, ok := claims[name]; !ok || string(v) == "null" || string(v) == `""` {
			return fmt.Errorf("the claim %s is missing", name)
		}
	}
	issued := time.Unix(c.IssuedAt, 0)
	switch {
	case c.Hidden:
		return errors.New("only the server makes hidden participants")
	case c.Version != Version:
		return fmt.Errorf("the claim version is %q and must be %q", c.Version, Version)
	case !participantID.MatchString(c.ParticipantID):
		return errors.New("the claim jti must be 1 to 64 of A-Z a-z 0-9 - _")
	case strings.HasPrefix(c.ParticipantID, ComposerPrefix):
		return fmt.Errorf("the claim jti begins with %s, as those of the server's composers", ComposerPrefix)
	case c.Expires-c.IssuedAt > int64(MaxLife/time.Second): // both are positive
		return errors.New("it is valid for more than 14 days: exp - iat may be 1209600 at most")
	case issued.After(now.Add(maxAhead)):
		return fmt.Errorf("the claim iat is in the future: %s", issued.UTC().Format(time.RFC3339))
	case utf8.RuneCountInString(c.UserID) > maxUserID:
		return fmt.Errorf("the claim user_id has more than %d characters", maxUserID)
	case AttributeBytes(c.Attributes) > MaxAttributeBytes:
		return fmt.Errorf("the claim attributes has %d bytes in all; at most %d are allowed", AttributeBytes(c.Attributes), MaxAttributeBytes)
	}
	return nil
}

// AttributeBytes is what counts against MaxAttributeBytes: the UTF-8 of all keys and values.
func AttributeBytes(attributes map[string]string) int {
	n := 0
	for k, v := range attributes {
		n += len(k) + len(v)
	}
	return n
}

// parsed is a token whose signature and expiry have been checked.
type parsed struct {
	Claims
	kid     string
	payload []byte // JSON
}

// parse checks the signature, by the key that find has for the header's kid, the expiry, and that what every token
// needs is there.
func parse(signed string, now func() time.Time, find FindKey) (parsed, error) {
	if len(signed) > maxSize {
		return parsed{}, fmt.Errorf("%w: %d bytes are too long", ErrMalformed, len(signed))
	}
	var out parsed
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodES384.Alg()}),
		jwt.WithTimeFunc(now),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(),
	)
	_, err := parser.ParseWithClaims(signed, &out.Claims, func(t *jwt.Token) (any, error) {
		kid, ok := t.Header["kid"].(string)
		if !ok {
			return nil, errors.New("its header has no kid")
		}
		out.kid = kid
		return find(kid)
	})
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		out.payload, _ = parser.DecodeSegment(strings.Split(signed, ".")[1])
		return out, fmt.Errorf("%w at %s", ErrExpired, out.ExpiresAt().UTC().Format(time.RFC3339))
	case err != nil:
		return parsed{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := out.complete(); err != nil {
		return parsed{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	// It was decoded before, so it can be again.
	if out.payload, err = parser.DecodeSegment(strings.Split(signed, ".")[1]); err != nil {
		return parsed{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out, nil
}
