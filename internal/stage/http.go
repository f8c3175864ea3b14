package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Handler serves the WHIP resources and the events sockets:
//
//	POST   /, /whip                         publish
//	POST   /whip/subscribe/{participantId}  subscribe
//	PATCH  /whip/sessions/{id}              trickle candidates, restart ICE
//	DELETE /whip/sessions/{id}              end a session
//	POST   /whip/sessions/{id}/size         say how large a subscriber shows the video
//	PUT    /whip/token                      exchange the bearer's token for the one in the body
//	GET    /whip/sessions/{id}/layers       see which simulcast layers there are, and which one a subscriber gets
//	GET    /events/{stageId}                events socket
//
// It may be used from Start on.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/{$}", "/whip", "/whip/{$}"} {
		mux.HandleFunc("POST "+path, s.postPublish)
		mux.HandleFunc("OPTIONS "+path, s.options)
	}
	mux.HandleFunc("POST /whip/subscribe/{participantId}", s.postSubscribe)
	mux.HandleFunc("OPTIONS /whip/subscribe/{participantId}", s.options)
	mux.HandleFunc("PATCH /whip/sessions/{id}", s.patchSession)
	mux.HandleFunc("DELETE /whip/sessions/{id}", s.deleteSession)
	mux.HandleFunc("OPTIONS /whip/sessions/{id}", s.options)
	mux.HandleFunc("POST /whip/sessions/{id}/size", s.postSize)
	mux.HandleFunc("OPTIONS /whip/sessions/{id}/size", s.options)
	mux.HandleFunc("PUT /whip/token", s.putToken)
	mux.HandleFunc("OPTIONS /whip/token", s.options)
	mux.HandleFunc("GET /whip/sessions/{id}/layers", s.getLayers)
	mux.HandleFunc("OPTIONS /whip/sessions/{id}/layers", s.options)
	mux.HandleFunc("GET /events/{stageId}", s.events)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Accept-Patch")
		mux.ServeHTTP(w, r)
	})
}

const (
	typeSDP      = "application/sdp"
	typeJSON     = "application/json"
	maxSize      = 1 << 10 // bytes, of a body that tells a size
	typeFragment = "application/trickle-ice-sdpfrag"
	typeToken    = "application/jwt"
	maxToken     = 16 << 10 // bytes: attributes of 1 KB, escaped and in base64, fit several times
)

// options answers CORS preflights, and clients that ask for ICE servers before they post. Only who has a token is told of the
// relay.
func (s *Server) options(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	participant := ""
	if token := bearer(r); token != "" {
		g, err := s.admit(r.Context(), token)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		participant = g.ParticipantID
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "authorization, content-type, if-match")
	h.Set("Access-Control-Max-Age", "86400")
	h.Set("Accept-Post", typeSDP)
	s.link(h, r, participant)
	w.WriteHeader(http.StatusOK)
}

func (s *Server) postPublish(w http.ResponseWriter, r *http.Request) {
	s.post(w, r, func(ctx context.Context, g Grant, body []byte) (*session, string, error) {
		p, answer, err := s.publish(ctx, g, r.UserAgent(), body)
		if err != nil {
			return nil, "", err
		}
		return &p.session, answer, nil
	})
}

func (s *Server) postSubscribe(w http.ResponseWriter, r *http.Request) {
	s.post(w, r, func(ctx context.Context, g Grant, body []byte) (*session, string, error) {
		u, answer, err := s.subscribe(ctx, g, r.PathValue("participantId"), r.UserAgent(), body)
		if err != nil {
			return nil, "", err
		}
		return &u.session, answer, nil
	})
}

// post answers an offer: 201 with the answer and the session's URL.
func (s *Server) post(w http.ResponseWriter, r *http.Request, open func(context.Context, Grant, []byte) (*session, string, error)) {
	body, err := readBody(w, r, typeSDP, maxOffer)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	g, err := s.admit(r.Context(), bearer(r))
	if err != nil {
		s.reportJoin(r.Context(), g, asError(err))
		s.fail(w, r, err)
		return
	}
	session, answer, err := open(r.Context(), g, body)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", typeSDP)
	h.Set("Location", s.base(r)+"/whip/sessions/"+session.id)
	h.Set("ETag", session.etag())
	h.Set("Accept-Patch", typeFragment)
	s.link(h, r, g.ParticipantID)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // a client that is gone will not connect either
}

func (s *Server) patchSession(w http.ResponseWriter, r *http.Request) {
	res, ok := s.resource(r.PathValue("id"))
	if !ok || res.session.pc == nil {
		s.fail(w, r, refuse(SessionNotFound, "there is no such session; it may have ended"))
		return
	}
	body, err := readBody(w, r, typeFragment, maxFragment)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	f, err := parseFragment(body)
	if err != nil {
		s.fail(w, r, refuse(InvalidInput, "the body is not an SDP fragment: %v", err))
		return
	}
	restarted, err := res.session.patch(r.Context(), r.Header.Get("If-Match"), f)
	switch {
	case err != nil:
		s.fail(w, r, err)
	case restarted != nil:
		w.Header().Set("Content-Type", typeFragment)
		w.Header().Set("ETag", `"`+restarted.ufrag+`"`)
		_, _ = io.WriteString(w, restarted.String())
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) {
	res, ok := s.resource(r.PathValue("id"))
	if !ok {
		s.fail(w, r, refuse(SessionNotFound, "there is no such session; it may have ended"))
		return
	}
	if err := res.session.stage.post(r.Context(), res.end("the client ended the session")); err != nil && !errors.Is(err, errStageEnded) {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// postSize takes how large a subscriber shows the video, in pixels: {"width":638,"height":358}. It gets the simulcast
// layer that suits. Zeros take it back.
func (s *Server) postSize(w http.ResponseWriter, r *http.Request) {
	res, ok := s.resource(r.PathValue("id"))
	if !ok || res.subscriber == nil {
		s.fail(w, r, refuse(SessionNotFound, "there is no such subscription; it may have ended"))
		return
	}
	body, err := readBody(w, r, typeJSON, maxSize)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var shown struct{ Width, Height int }
	if err := json.Unmarshal(body, &shown); err != nil {
		s.fail(w, r, refuse(InvalidInput, "the body is not JSON of the form {\"width\":638,\"height\":358}: %v", err))
		return
	}
	if min(shown.Width, shown.Height) < 0 || max(shown.Width, shown.Height) > maxSide {
		s.fail(w, r, refuse(InvalidInput, "a picture of %dx%d cannot be shown; sides are 0 to %d pixels", shown.Width, shown.Height, maxSide))
		return
	}
	res.subscriber.show(size{shown.Width, shown.Height})
	w.WriteHeader(http.StatusNoContent)
}

// admit asks the control plane what the bearer may do.
func (s *Server) admit(ctx context.Context, token string) (Grant, error) {
	if token == "" {
		return Grant{}, refuse(TokenMissing, "send the participant token: as bearer token in Authorization, or for the events socket as Sec-WebSocket-Protocol")
	}
	g, err := s.Admission.Admit(ctx, token)
	g.fingerprint = fingerprint(token)
	return g, err
}

// reportJoin tells the observer of a genuine token that lets nobody in. Of the codes that events have, one fits.
func (s *Server) reportJoin(ctx context.Context, g Grant, e *Error) {
	if g.StageID == "" {
		return
	}
	if e.Code != Internal {
		e = &Error{Code: InsufficientCapability, Message: e.Message}
	}
	s.reportRefusal(ctx, g, JoinError, "", e)
}

// bearer returns the token of the Authorization header (RFC 6750 section 2.1), "" without one.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// errStatus is a refusal with an HTTP status of its own.
type errStatus struct {
	status  int
	refusal *Error
}

func (e errStatus) Error() string { return e.refusal.Error() }
func (e errStatus) Unwrap() error { return e.refusal }

// readBody reads a request body of the given type.
func readBody(w http.ResponseWriter, r *http.Request, typ string, limit int64) ([]byte, error) {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != typ {
		return nil, errStatus{http.StatusUnsupportedMediaType, refuse(InvalidInput, "send the body as Content-Type: %s", typ)}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errStatus{http.StatusRequestEntityTooLarge, refuse(InvalidInput, "the body is longer than %d bytes", limit)}
	}
	if err != nil {
		return nil, refuse(InvalidInput, "the body could not be read: %v", err)
	}
	return body, nil
}

// fail answers with an error as JSON.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	status := e.Code.Status()
	if own, ok := errors.AsType[errStatus](err); ok {
		status = own.status
	}
	if status == http.StatusInternalServerError {
		s.Log.Error("serve request", "method", r.Method, "path", r.URL.Path, "error", err)
	} else {
		s.Log.Info("refused request", "method", r.Method, "path", r.URL.Path, "code", e.Code, "message", e.Message)
	}
	if status == http.StatusUnauthorized {
		challenge := `Bearer realm="footlight"`
		if e.Code != TokenMissing {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Code    Code   `json:"code"`
		Message string `json:"message"`
	}{e.Code, e.Message})
}

// base is where session URLs begin.
func (s *Server) base(r *http.Request) string {
	if s.PublicURL != nil {
		return strings.TrimSuffix(s.PublicURL(), "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// link names the ICE servers (RFC 9725 section 4.6). One header, joined without a space after the comma,
// is what the strictest client seen can parse (spec/clients.md section 1.2). The participant is named in the credentials for the
// relay, "" hears nothing of it.
func (s *Server) link(h http.Header, r *http.Request, participant string) {
	var links []string
	servers := s.ICEServers
	if s.relay != nil && participant != "" {
		if u, err := url.Parse(s.base(r)); err == nil {
			servers = append(slices.Clone(servers), s.relay.servers(u.Hostname(), participant, time.Now())...)
		}
	}
	for _, i := range servers {
		l := fmt.Sprintf(`<%s>; rel="ice-server"`, i.URL)
		if i.Username != "" {
			l += fmt.Sprintf(`; username=%q; credential=%q; credential-type="password"`, i.Username, i.Credential)
		}
		links = append(links, l)
	}
	if links != nil {
		h.Set("Link", strings.Join(links, ","))
	}
}
