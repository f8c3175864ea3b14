// Package sigv4 verifies requests signed by AWS Signature Version 4, in the header form and in the
// presigned query form.
//
// What a caller may rely on when Verify returns no error:
//   - the method, path, query, host, every header listed as signed, and the whole body are what the
//     holder of the secret signed; a header that is not listed may be anyone's;
//   - the body was read to its end, is at most MaxBody bytes, and its hash was checked;
//   - the request is fresh: its time is within MaxSkew of ours, or it is presigned and not expired.
//
// Signatures are compared in constant time. Source of the method: "Signature Version 4 signing
// process" of the AWS General Reference; the path is encoded twice, as for every service but S3.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeLayout = "20060102T150405Z"
	dateLayout = "20060102"
)

// Defaults of a Verifier's zero values.
const (
	DefaultMaxSkew = 15 * time.Minute
	DefaultMaxBody = 1 << 20
)

// Keys finds the secret of an access key id.
type Keys interface {
	Lookup(id string) (secret string, ok bool)
}

// Verifier checks requests. It may be used by many goroutines once its fields are set.
type Verifier struct {
	Keys     Keys
	Services []string         // names accepted in the credential scope, any when empty; any region is
	MaxSkew  time.Duration    // either way; DefaultMaxSkew when 0
	MaxBody  int64            // bytes; DefaultMaxBody when 0
	Now      func() time.Time // wall clock; time.Now when nil

	derived keyCache
}

// Identity says who signed a request and for what.
type Identity struct {
	AccessKeyID string
	Region      string
	Service     string
}

// Verify reads the body of r and returns it with the signer's identity. The error is an *Error,
// or the error of reading the body.
func (v *Verifier) Verify(r *http.Request) (Identity, []byte, error) {
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return Identity{}, nil, err
	}
	sig, err := parseSignature(r, query)
	if err != nil {
		return Identity{}, nil, err
	}
	if len(v.Services) > 0 && !slices.Contains(v.Services, sig.scope.service) {
		return Identity{}, nil, invalid("Credential should be scoped to correct service: %s.", quoteAny(v.Services))
	}
	if err := v.checkTime(sig); err != nil {
		return Identity{}, nil, err
	}
	secret, ok := v.Keys.Lookup(sig.accessKeyID)
	if !ok {
		return Identity{}, nil, &Error{Code: CodeUnrecognizedClient, Status: http.StatusForbidden,
			Message: "The security token included in the request is invalid: no such access key id. Keys are those that `footlight env` and `footlight keys create` print, with the data dir of this server."}
	}
	body, err := v.readBody(r)
	if err != nil {
		return Identity{}, nil, err
	}
	sum := sha256.Sum256(body)
	var bodyHash [2 * sha256.Size]byte
	hex.Encode(bodyHash[:], sum[:])
	if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed != "" && claimed != string(bodyHash[:]) {
		return Identity{}, nil, invalid("The value of x-amz-content-sha256 is not the SHA-256 of the body.")
	}
	signer := v.derived.get(sig.accessKeyID, secret, sig.scope)
	var room [512]byte // most canonical requests fit
	matches := false
	for _, form := range canonicalQueries(query) {
		canonical, err := appendCanonical(room[:0], r, form, sig, bodyHash[:])
		if err != nil {
			return Identity{}, nil, err
		}
		want := signer.sign(sig, canonical)
		matches = matches || hmac.Equal(want[:], []byte(sig.signature))
	}
	if !matches {
		return Identity{}, nil, invalid("The request signature we calculated does not match the signature you provided. "+
			"Check your secret access key and signing method. The server saw host %q and path %q.", r.Host, r.URL.EscapedPath())
	}
	v.derived.put(sig.accessKeyID, secret, sig.scope, signer)
	return Identity{AccessKeyID: sig.accessKeyID, Region: sig.scope.region, Service: sig.scope.service}, body, nil
}

// checkTime refuses stale and future requests. A header-signed one answers
// InvalidSignatureException: SDKs then correct their clock by our Date header and try again.
func (v *Verifier) checkTime(sig *signature) error {
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	skew := v.MaxSkew
	if skew == 0 {
		skew = DefaultMaxSkew
	}
	t := now().UTC()
	format := func(t time.Time) string { return t.UTC().Format(timeLayout) }
	if sig.time.After(t.Add(skew)) {
		return invalid("Signature not yet current: %s is still later than %s (%s + %s).",
			format(sig.time), format(t.Add(skew)), format(t), skew)
	}
	if sig.presigned {
		if end := sig.time.Add(sig.expires); t.After(end) {
			return &Error{Code: CodeRequestExpired, Status: http.StatusBadRequest,
				Message: "The presigned request expired at " + format(end) + "; it is now " + format(t) + "."}
		}
		return nil
	}
	if sig.time.Before(t.Add(-skew)) {
		return invalid("Signature expired: %s is now earlier than %s (%s - %s).",
			format(sig.time), format(t.Add(-skew)), format(t), skew)
	}
	return nil
}

// readBody reads all of the body.
func (v *Verifier) readBody(r *http.Request) ([]byte, error) {
	limit := v.MaxBody
	if limit == 0 {
		limit = DefaultMaxBody
	}
	if r.Body == nil {
		return nil, nil
	}
	const usual = 4 << 10                                          // bytes; for more there is room when it comes: a stranger may announce anything
	body := make([]byte, 0, min(max(r.ContentLength, 0), usual)+1) // Read finds the end only with room for more
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if int64(len(body)) > limit {
			return nil, &Error{Code: CodeTooLarge, Status: http.StatusRequestEntityTooLarge,
				Message: fmt.Sprintf("The request body is larger than %d bytes.", limit)}
		}
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read request body: %w", err)
		}
		if len(body) == cap(body) {
			body = slices.Grow(body, usual)
		}
	}
}
