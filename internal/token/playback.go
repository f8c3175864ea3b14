package token

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Limits of playback tokens (spec/lowlatency.md §6).
const (
	maxPlayback     = 2 << 10 // bytes of the whole token
	maxViewerID     = 40      // characters
	maxStrict       = 5       // origins with strict enforcement
	maxPlayerParams = 1000    // bytes of aws:ads-player-params
	// shortLife is how far ahead exp may be of tokens that the server has to remember: those that may be used once,
	// and those with a viewer id.
	shortLife = 10 * time.Minute
)

// ErrPlayback is any playback token that is not valid; errors that are ErrExpired as well came too late.
var ErrPlayback = errors.New("the playback token is not valid")

// Playback is what a valid playback token says: a JSON Web Token that the operator of a private channel signs with
// ES384.
type Playback struct {
	ChannelARN        string
	Expires           time.Time
	Origins           []string // empty: every one; see MatchOrigin
	Strict            bool     // the origin is to be enforced with every request
	SingleUse         string   // a token with this id may be used once; empty: as often as it likes
	ViewerID          string   // for revocation
	Version           int64    // of the viewer's session, for revocation
	MaximumResolution string   // SD, HD or FULL_HD; empty: any
}

// playbackClaims are the claims as they are written.
type playbackClaims struct {
	jwt.RegisteredClaims
	ChannelARN  string `json:"aws:channel-arn"`
	Origins     string `json:"aws:access-control-allow-origin"`
	Strict      bool   `json:"aws:strict-origin-enforcement"`
	SingleUse   string `json:"aws:single-use-uuid"`
	ViewerID    string `json:"aws:viewer-id"`
	Version     int64  `json:"aws:viewer-session-version"`
	Resolution  string `json:"aws:maximum-resolution"`
	AdsOptOut   bool   `json:"aws:ads-opt-out"`
	AdsParams   any    `json:"aws:ads-player-params"`
	AdsPlayback string `json:"aws:ads-playback-config-name"`
	AdsReport   string `json:"aws:ads-reporting-mode"`
}

// VerifyPlayback reads a token that one of the keys has signed. The error is ErrPlayback, says more, and repeats nothing
// secret; that of a token whose time is over is ErrExpired too.
func VerifyPlayback(signed string, keys []*ecdsa.PublicKey, now time.Time) (Playback, error) {
	if len(signed) > maxPlayback {
		return Playback{}, fmt.Errorf("%w: it has %d bytes, more than %d", ErrPlayback, len(signed), maxPlayback)
	}
	if len(keys) == 0 {
		return Playback{}, fmt.Errorf("%w: there is no playback key pair to verify it with", ErrPlayback)
	}
	var c playbackClaims
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodES384.Alg()}),
		jwt.WithTimeFunc(func() time.Time { return now }),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(),
	)
	_, err := parser.ParseWithClaims(signed, &c, func(*jwt.Token) (any, error) {
		var set jwt.VerificationKeySet // tokens do not name their key
		for _, k := range keys {
			set.Keys = append(set.Keys, k)
		}
		return set, nil
	})
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return Playback{}, fmt.Errorf("%w: no playback key pair belongs to its signature", ErrPlayback)
	case errors.Is(err, jwt.ErrTokenExpired):
		return Playback{}, fmt.Errorf("%w: %w at %s", ErrPlayback, ErrExpired, c.ExpiresAt.UTC().Format(time.RFC3339))
	case err != nil:
		return Playback{}, fmt.Errorf("%w: %w", ErrPlayback, err)
	}
	if err := c.check(now); err != nil {
		return Playback{}, fmt.Errorf("%w: %w", ErrPlayback, err)
	}
	return Playback{
		ChannelARN: c.ChannelARN, Expires: c.ExpiresAt.Time, Origins: splitOrigins(c.Origins), Strict: c.Strict,
		SingleUse: c.SingleUse, ViewerID: c.ViewerID, Version: c.Version, MaximumResolution: c.Resolution,
	}, nil
}

// check says which claim breaks its rule.
func (c playbackClaims) check(now time.Time) error {
	long := c.ExpiresAt.After(now.Add(shortLife))
	params, _ := c.AdsParams.(string)
	switch {
	case c.ChannelARN == "":
		return errors.New("the claim aws:channel-arn is missing")
	case c.SingleUse != "" && long:
		return fmt.Errorf("with aws:single-use-uuid, exp may be at most %v ahead", shortLife)
	case c.ViewerID != "" && long:
		return fmt.Errorf("with aws:viewer-id, exp may be at most %v ahead", shortLife)
	case len([]rune(c.ViewerID)) > maxViewerID:
		return fmt.Errorf("aws:viewer-id has more than %d characters", maxViewerID)
	case c.Version < 0:
		return errors.New("aws:viewer-session-version is negative")
	case c.Strict && len(splitOrigins(c.Origins)) > maxStrict:
		return fmt.Errorf("with aws:strict-origin-enforcement, aws:access-control-allow-origin may have at most %d origins", maxStrict)
	case !slices.Contains([]string{"", "SD", "HD", "FULL_HD"}, c.Resolution):
		return errors.New("aws:maximum-resolution must be SD, HD or FULL_HD")
	case len(params) > maxPlayerParams:
		return fmt.Errorf("aws:ads-player-params has more than %d bytes", maxPlayerParams)
	case !slices.Contains([]string{"", "CLIENT", "SERVER"}, c.AdsReport):
		return errors.New("aws:ads-reporting-mode must be CLIENT or SERVER")
	}
	return nil
}

func splitOrigins(list string) []string {
	var origins []string
	for o := range strings.SplitSeq(list, ",") {
		if o = strings.TrimSpace(o); o != "" {
			origins = append(origins, o)
		}
	}
	return origins
}

// MatchOrigin tells whether an Origin header is one of the allowed ones. In a pattern, * stands for any characters that
// a host name may have, so that it never reaches over the scheme or the port; * alone is every origin. Letter case is
// not significant.
func MatchOrigin(patterns []string, origin string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if p == "*" {
			return true
		}
		// Quoted, a pattern is always an expression; matching takes linear time.
		e, err := regexp.Compile("(?i)^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, "[a-z0-9.-]*") + "$")
		return err == nil && e.MatchString(origin)
	})
}
