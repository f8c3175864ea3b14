package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/store"
	"github.com/footlight-live/footlight/internal/token"
)

// usedTokenRecord says that a playback token that may be used once has been. Its key is channel/hash of the claim; it
// disappears when the token is over anyway.
type usedTokenRecord struct {
	Expires time.Time `json:"expires"`
}

// clockSlack is how much longer than the token itself its use is remembered.
const clockSlack = time.Minute

// AdmitViewer implements channel.Gate: it decides by the token of a private channel, or by the policy of another.
func (c *Control) AdmitViewer(ctx context.Context, v channel.Viewing) (channel.Grant, error) {
	a, err := arn.Parse(v.ChannelARN)
	if err != nil || a.Account != c.Account {
		return channel.Grant{}, channel.ErrUnknownChannel
	}
	r, _, err := c.channels.Get(ctx, a.ID)
	if errors.Is(err, store.ErrNotFound) {
		return channel.Grant{}, channel.ErrUnknownChannel
	}
	if err != nil {
		return channel.Grant{}, fmt.Errorf("admit a viewer of channel %s: %w", a.ID, err)
	}
	var g channel.Grant
	switch {
	case r.Authorized: // spec/lowlatency.md §6: a policy has no say then
		g, err = c.admitByToken(ctx, r, v)
	case r.RestrictionPolicy != "":
		g, err = c.admitByPolicy(ctx, r, v)
	}
	if _, denied := errors.AsType[channel.Denied](err); err != nil && !denied {
		err = fmt.Errorf("admit a viewer of channel %s: %w", r.ID, err)
	}
	return g, err
}

func (c *Control) admitByToken(ctx context.Context, r channelRecord, v channel.Viewing) (channel.Grant, error) {
	if v.Token == "" {
		return channel.Grant{}, channel.Denied{Code: "token_missing", Message: "This channel is private: add ?token= with a playback token to its playback URL"}
	}
	keys, err := c.verifyingKeys(ctx)
	if err != nil {
		return channel.Grant{}, err
	}
	now := c.Now()
	t, err := token.VerifyPlayback(v.Token, keys, now)
	switch {
	case errors.Is(err, token.ErrExpired):
		return channel.Grant{}, channel.Denied{Code: "token_expired", Message: err.Error()}
	case err != nil:
		return channel.Grant{}, channel.Denied{Code: "token_invalid", Message: err.Error()}
	case t.ChannelARN != v.ChannelARN:
		return channel.Grant{}, channel.Denied{Code: "token_invalid", Message: "The playback token is for another channel: aws:channel-arn must be " + v.ChannelARN}
	case t.ViewerID != "" && c.ViewerRevoked(v.ChannelARN, t.ViewerID, t.Version):
		return channel.Grant{}, channel.Denied{Code: "session_revoked", Message: "The sessions of this viewer up to this aws:viewer-session-version have been revoked"}
	}
	g := channel.Grant{Viewer: t.ViewerID, Version: t.Version, Limit: channel.Resolution(t.MaximumResolution)}
	if err := bindOrigin(&g, t.Origins, t.Strict, v.Origin); err != nil {
		return channel.Grant{}, err
	}
	if t.SingleUse == "" || v.Probe {
		return g, nil
	}
	err = c.usedTokens.CreateUntil(ctx, r.ID+"/"+hashed(t.SingleUse), usedTokenRecord{Expires: t.Expires}, t.Expires.Sub(now)+clockSlack)
	if errors.Is(err, store.ErrExists) {
		err = channel.Denied{Code: "token_used", Message: "The playback token has been used: its aws:single-use-uuid allows that once"}
	}
	return g, err
}

// admitByPolicy serves viewers of an unknown country, as IVS does.
func (c *Control) admitByPolicy(ctx context.Context, r channelRecord, v channel.Viewing) (channel.Grant, error) {
	p, _, err := c.policies.Get(ctx, r.RestrictionPolicy)
	if err != nil {
		return channel.Grant{}, err
	}
	if len(p.Countries) > 0 && c.Countries != nil {
		if country := c.Countries.Country(v.Address); country != "" && !slices.Contains(p.Countries, country) {
			return channel.Grant{}, channel.Denied{Code: "country_not_allowed", Message: "This channel cannot be watched from " + country}
		}
	}
	var g channel.Grant
	err = bindOrigin(&g, p.Origins, p.Strict, v.Origin)
	return g, err
}

// bindOrigin checks the Origin of a request and binds the session to it. A program that is no browser sends none: only
// strict enforcement keeps it out.
func bindOrigin(g *channel.Grant, allowed []string, strict bool, origin string) error {
	switch {
	case len(allowed) == 0:
		return nil
	case origin == "" && strict:
		return channel.Denied{Code: "origin_not_allowed", Message: "This channel enforces origins: the header Origin must be present"}
	case origin == "":
		return nil
	case len(origin) > maxOriginHeader || !token.MatchOrigin(allowed, origin):
		return channel.Denied{Code: "origin_not_allowed", Message: "This channel cannot be watched on pages of " + strings.ToValidUTF8(origin[:min(len(origin), maxOriginHeader)], "")}
	}
	g.Origin, g.Strict = origin, strict
	return nil
}

// maxOriginHeader bounds what a session remembers: scheme, the longest host name, port.
const maxOriginHeader = 300

// hashed turns any text into a segment of a key.
func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// PlaybackSessionKey seals playback sessions. It is kept in the store, so that sessions outlive a restart.
func (c *Control) PlaybackSessionKey() []byte { return c.sessionKey }
