package control

import (
	"context"
	"errors"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/store"
	"github.com/footlight-live/footlight/internal/token"
)

// revocationRecord is the token of a participant who was disconnected. It outlives every such token and then
// disappears by itself.
type revocationRecord struct {
	StageID       string    `json:"stageId"`
	ParticipantID string    `json:"participantId"`
	Time          time.Time `json:"time"`
	Reason        string    `json:"reason,omitempty"`
}

// revocationLife is the longest that a token minted before the revocation can still be valid.
const revocationLife = token.MaxLife + time.Hour

// revoke makes the token of a participant useless for new connections. Twice is fine.
func (c *Control) revoke(ctx context.Context, stageID, participantID, reason string) error {
	err := c.revocations.CreateUntil(ctx, stageID+"/"+participantID, revocationRecord{
		StageID: stageID, ParticipantID: participantID, Time: c.Now(), Reason: reason,
	}, revocationLife)
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

func (c *Control) revoked(ctx context.Context, stageID, participantID string) (bool, error) {
	_, _, err := c.revocations.Get(ctx, stageID+"/"+participantID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Admit says what the bearer of a participant token may do. Its error is a *stage.Error; the grant then says whose token
// it is, if that is genuine.
func (c *Control) Admit(ctx context.Context, bearer string) (stage.Grant, error) {
	if bearer == "" {
		return stage.Grant{}, refuse(stage.TokenMissing, "send the participant token as Authorization: Bearer")
	}
	claims, err := c.Keyring.VerifyAny(bearer, c.importedKey(ctx))
	switch {
	case errors.Is(err, token.ErrExpired):
		return identity(claims), refuse(stage.TokenExpired, err.Error()+"; create a new one")
	case errors.Is(err, token.ErrMalformed):
		return stage.Grant{}, refuse(stage.TokenMalformed, err.Error())
	case err != nil:
		return stage.Grant{}, c.cannotAdmit(claims, err)
	}
	a, err := arn.Parse(claims.StageARN)
	if err != nil || a.Type != arn.Stage || a.ID != claims.StageID {
		return stage.Grant{}, refuse(stage.TokenMalformed, "the token names no stage")
	}
	if a.Account != c.Account {
		return stage.Grant{}, refuse(stage.StageNotFound, "the stage of the token is in another region or account")
	}
	if _, _, err := c.stages.Get(ctx, a.ID); errors.Is(err, store.ErrNotFound) {
		return stage.Grant{}, refuse(stage.StageNotFound, "the stage of the token does not exist; it may have been deleted")
	} else if err != nil {
		return stage.Grant{}, c.cannotAdmit(claims, err)
	}
	if !claims.Hidden {
		revoked, err := c.revoked(ctx, a.ID, claims.ParticipantID)
		if err != nil {
			return stage.Grant{}, c.cannotAdmit(claims, err)
		}
		if revoked {
			return identity(claims), refuse(stage.ParticipantDisconnected, "the participant was disconnected; create a new token to let them back")
		}
	}
	return stage.Grant{
		StageID:       a.ID,
		StageARN:      claims.StageARN,
		ParticipantID: claims.ParticipantID,
		UserID:        claims.UserID,
		Attributes:    claims.Attributes,
		Publish:       claims.Capabilities.AllowPublish,
		Subscribe:     claims.Capabilities.AllowSubscribe,
		Hidden:        claims.Hidden,
		Expires:       claims.ExpiresAt(),
		SelfSigned:    claims.SelfSigned,
		EventsURL:     claims.EventsURL,
		WHIPURL:       claims.WHIPURL,
	}, nil
}

// identity is whose a token is.
func identity(claims token.Claims) stage.Grant {
	return stage.Grant{StageID: claims.StageID, ParticipantID: claims.ParticipantID, UserID: claims.UserID, Hidden: claims.Hidden}
}

func refuse(code stage.Code, message string) error { return &stage.Error{Code: code, Message: message} }

// cannotAdmit is for failures of the store: the reason stays in the log.
func (c *Control) cannotAdmit(claims token.Claims, err error) error {
	c.Log.Error("admit a participant", "stage", claims.StageID, "participant", claims.ParticipantID, "error", err)
	return refuse(stage.Internal, "the server cannot read its store; try again")
}
