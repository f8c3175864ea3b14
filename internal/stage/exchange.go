package stage

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// Exchange of tokens (spec/realtime.md §2.3): a participant that is connected gets what another token allows, without
// connecting anew. Both tokens are self-signed and agree in all that may not change. From then on only the new token
// opens further connections of the participant, until it has left the stage.

// exchange puts the grant of a new token in force.
type exchange struct {
	grant Grant
	by    func(*participant) bool // whether who asks may speak for the participant
	reply chan<- error
}

func (r exchange) apply(st *stage) { r.reply <- st.exchange(r) }

func (st *stage) exchange(r exchange) error {
	g := r.grant
	p := st.participants[g.ParticipantID]
	switch {
	case p == nil || !p.joined || p.grant.Hidden || p.origin() != nil:
		return refuse(SessionNotFound, "participant %q is not connected to the stage", g.ParticipantID)
	case !r.by(p):
		return refuse(TokenExpired, "the participant has another token now; exchange that one")
	}
	if refusal := exchangeable(p.grant, g); refusal != nil {
		return refusal
	}
	was := p.grant
	p.grant, p.exchanged = g, true
	st.log.Info("token exchanged", "participant", g.ParticipantID, "publish", g.Publish, "subscribe", g.Subscribe)
	st.emit(Event{Kind: TokenExchanged, Grant: g, Previous: &was})
	if !g.Publish && p.publisher != nil {
		st.retire(p, "the new token does not allow to publish")
	}
	if !g.Subscribe {
		for u := range st.subscribers {
			if u.grant.ParticipantID == g.ParticipantID {
				st.endSubscriber(u, "the new token does not allow to subscribe")
			}
		}
	}
	st.change()
	st.settle(p, "the new token does not allow to publish")
	return nil
}

// exchangeable says why a participant may not exchange its token for another one.
func exchangeable(old, new Grant) *Error {
	switch {
	case !old.SelfSigned || !new.SelfSigned:
		return refuse(InvalidInput, "only tokens that were signed with an imported key can be exchanged, for such tokens")
	case old.StageID != new.StageID || old.StageARN != new.StageARN || old.ParticipantID != new.ParticipantID:
		return refuse(InvalidInput, "the new token must have the same topic, resource and jti")
	case old.EventsURL != new.EventsURL || old.WHIPURL != new.WHIPURL:
		return refuse(InvalidInput, "the new token must have the same events_url and whip_url")
	}
	return nil
}

// vet refuses connections of a participant id that is taken: by a replica, or with a token that was exchanged.
func (st *stage) vet(g Grant) *Error {
	p := st.participants[g.ParticipantID]
	switch {
	case p == nil:
		return nil
	case p.origin() != nil:
		return refuse(InvalidInput, "participant %q is replicated to this stage from another one", g.ParticipantID)
	case p.exchanged && p.grant.fingerprint != g.fingerprint:
		return refuse(TokenExpired, "the token was exchanged for another one; use that")
	}
	return nil
}

// exchangeToken exchanges the token of a participant for another one. by says who asks.
func (s *Server) exchangeToken(ctx context.Context, stageID, participantID, token string, by func(*participant) bool) error {
	g, err := s.admit(ctx, token)
	if err != nil {
		return err
	}
	if g.StageID != stageID || g.ParticipantID != participantID {
		return refuse(InvalidInput, "the new token must have the same topic, resource and jti")
	}
	st := s.lookup(stageID)
	if st != nil {
		err = ask(ctx, st, func(reply chan<- error) request { return exchange{grant: g, by: by, reply: reply} })
	}
	if st == nil || errors.Is(err, errStageEnded) {
		return refuse(SessionNotFound, "participant %q is not connected to the stage", participantID)
	}
	return err
}

// fingerprint tells tokens apart.
func fingerprint(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// putToken serves PUT /whip/token: the body is the new token. The bearer's must be the one in force.
func (s *Server) putToken(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r, typeToken, maxToken)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	g, err := s.admit(r.Context(), bearer(r))
	if err == nil {
		inForce := func(p *participant) bool { return p.grant.fingerprint == g.fingerprint }
		err = s.exchangeToken(r.Context(), g.StageID, g.ParticipantID, strings.TrimSpace(string(body)), inForce)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// exchange serves the message TOKEN_EXCHANGE of a socket, whose client said hello before, and returns the answer.
func (k *socket) exchange(ctx context.Context, s *Server, g Grant, token string) []byte {
	var answer struct {
		Type    string `json:"type"`
		Code    Code   `json:"code,omitempty"`
		Message string `json:"message,omitempty"`
	}
	answer.Type = "TOKEN_EXCHANGED"
	mine := func(p *participant) bool { return p.socket == socketOutlet(k) && p.extended }
	if err := s.exchangeToken(ctx, g.StageID, g.ParticipantID, token, mine); err != nil {
		if _, told := errors.AsType[*Error](err); !told {
			s.Log.Error("exchange a token", "stage", g.StageID, "participant", g.ParticipantID, "error", err)
		}
		e := asError(err)
		answer.Type, answer.Code, answer.Message = "TOKEN_EXCHANGE_FAILED", e.Code, e.Message
	}
	b, err := json.Marshal(answer)
	if err != nil {
		panic("stage: an answer of strings cannot fail to marshal: " + err.Error())
	}
	return b
}
