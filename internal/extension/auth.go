package extension

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/sigv4"
)

// guard decides who may call.
type guard struct {
	keys     sigv4.Keys
	readOnly func(accessKeyID string) bool // may be nil
	verifier sigv4.Verifier
}

// check returns nil when the request proves an access key. A signed request's body has been read and is there
// again. Errors are *api.Error.
func (g *guard) check(r *http.Request) error {
	id, secret, basic := r.BasicAuth()
	switch {
	case basic && !private(r):
		return unauthorized("HTTP Basic would show the secret to whoever listens: use HTTPS, or sign the request with AWS Signature Version 4 (curl --aws-sigv4)")
	case basic && !g.knows(id, secret):
		return unauthorized("There is no such access key id, or its secret is another one")
	case basic:
		return g.permit(id, r)
	case r.Header.Get("Authorization") == "" && !strings.Contains(r.URL.RawQuery, "X-Amz-"):
		return unauthorized("Name an access key: curl --user \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\", or sign the request with AWS Signature Version 4")
	}
	who, body, err := g.verifier.Verify(r)
	if refusal, ok := errors.AsType[*sigv4.Error](err); ok {
		status := refusal.Status
		if status == http.StatusForbidden {
			status = http.StatusUnauthorized
		}
		return &api.Error{Code: refusal.Code, Status: status, Message: refusal.Message}
	}
	if err != nil {
		return api.ValidationException("The body could not be read: %v", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return g.permit(who.AccessKeyID, r)
}

// permit refuses what a key that may only read cannot do. A preview changes nothing, but is work.
func (g *guard) permit(id string, r *http.Request) error {
	if g.readOnly != nil && r.Method != http.MethodGet && r.Method != http.MethodHead && g.readOnly(id) {
		return api.AccessDeniedException("The access key %s may only read", id)
	}
	return nil
}

// knows compares in a time that depends on neither the secret nor on whether the id exists.
func (g *guard) knows(id, secret string) bool {
	want, ok := g.keys.Lookup(id)
	a, b := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && ok
}

func unauthorized(message string) error {
	return &api.Error{Code: "UnauthorizedException", Status: http.StatusUnauthorized, Message: message}
}

// private reports whether nobody between the caller and this server can listen: TLS, or the same machine.
func private(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// challenge says how to prove a key (RFC 9110, section 11.6.1). Basic is named only where it is taken, so that no
// browser asks for a secret in order to send it in the clear.
func challenge(r *http.Request) string {
	if private(r) {
		return `Basic realm="Footlight: access key id and secret", charset="UTF-8"`
	}
	return "AWS4-HMAC-SHA256"
}

// liftDeadline lets an answer take as long as it wants: the server's time for reading a request ends its context
// otherwise.
func liftDeadline(w http.ResponseWriter) error {
	return http.NewResponseController(w).SetReadDeadline(time.Time{})
}
