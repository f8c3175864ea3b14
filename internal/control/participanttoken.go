package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/token"
)

// Limits of participant tokens (spec/realtime.md §2).
const (
	defaultDuration = 720                              // minutes
	longestDuration = int(token.MaxLife / time.Minute) // 20160
)

// tokenRequest is what CreateStage and CreateParticipantToken have in common.
type tokenRequest struct {
	duration     *int32 // minutes
	userID       *string
	attributes   map[string]string
	capabilities []string
}

// CreateParticipantToken makes a token for one participant.
func (c *Control) CreateParticipantToken(ctx context.Context, in *ivsrealtime.CreateParticipantTokenRequest) (*ivsrealtime.CreateParticipantTokenResponse, error) {
	r, err := c.stageOf(ctx, *in.StageArn)
	if err != nil {
		return nil, err
	}
	t, err := c.mint(r.ID, tokenRequest{in.Duration, in.UserId, in.Attributes, in.Capabilities})
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.CreateParticipantTokenResponse{ParticipantToken: t}, nil
}

// mint signs a token. The response repeats what the request gave and no more (spec/realtime.md §2.1).
func (c *Control) mint(stageID string, in tokenRequest) (*ivsrealtime.ParticipantToken, error) {
	if err := checkAttributes(in.attributes); err != nil {
		return nil, err
	}
	claims := c.claims(stageID, arn.NewID(12), time.Duration(value(in.duration, defaultDuration))*time.Minute)
	claims.UserID = value(in.userID, "")
	claims.Attributes = in.attributes
	all := len(in.capabilities) == 0
	claims.Capabilities = token.Capabilities{
		AllowPublish:   all || slices.Contains(in.capabilities, ivsrealtime.ParticipantTokenCapabilityPublish),
		AllowSubscribe: all || slices.Contains(in.capabilities, ivsrealtime.ParticipantTokenCapabilitySubscribe),
	}
	signed, err := c.Keyring.Mint(claims)
	if err != nil {
		return nil, err
	}
	out := &ivsrealtime.ParticipantToken{
		ParticipantId:  new(claims.ParticipantID),
		Token:          new(signed),
		UserId:         in.userID,
		Attributes:     in.attributes,
		Duration:       in.duration,
		ExpirationTime: api.TimeOf(claims.ExpiresAt()),
	}
	if !all {
		out.Capabilities = in.capabilities
	}
	return out, nil
}

// checkAttributes bounds the attributes of a participant.
func checkAttributes(attributes map[string]string) error {
	if size := token.AttributeBytes(attributes); size > token.MaxAttributeBytes {
		return api.ValidationException("attributes have %d bytes in all; at most %d are allowed", size, token.MaxAttributeBytes)
	}
	return nil
}

func (c *Control) claims(stageID, participantID string, life time.Duration) token.Claims {
	urls, now := c.urls(), c.Now()
	return token.Claims{
		Expires:       now.Add(life).Unix(),
		IssuedAt:      now.Unix(),
		ParticipantID: participantID,
		StageARN:      c.stageARN(stageID),
		StageID:       stageID,
		EventsURL:     urls.Events,
		WHIPURL:       urls.WHIP,
	}
}

// composerTokenLife covers the longest composition; each start of a composer gets a new token.
const composerTokenLife = 25 * time.Hour

// ComposerToken lets a composition see a stage of this account and subscribe to everyone there without being
// seen.
func (c *Control) ComposerToken(stageARN, compositionID string) (string, error) {
	a, err := c.ours(stageARN, arn.Stage)
	if err != nil {
		return "", fmt.Errorf("token of composition %s: %w", compositionID, err)
	}
	claims := c.claims(a.ID, token.ComposerPrefix+compositionID, composerTokenLife)
	claims.Capabilities.AllowSubscribe = true
	claims.Capabilities.AllowPublish = true // the mix
	claims.Hidden = true
	return c.Keyring.Mint(claims)
}
