package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scope is what a signing key is good for.
type scope struct {
	date    string // YYYYMMDD
	region  string
	service string
}

// signature is what a request says about its own signing, taken apart but not yet believed.
type signature struct {
	accessKeyID   string
	scope         scope
	signedHeaders string // names with semicolons between them: lower case, sorted, without repetition
	signature     string // 64 hexadecimal digits, lower case
	time          time.Time
	presigned     bool
	expires       time.Duration // of a presigned request
}

const (
	// defaultExpires is the life of a presigned request that does not state one.
	defaultExpires = 15 * time.Minute
	maxExpires     = 7 * 24 * time.Hour
	// maxSignedHeaders bounds the work for a request that is not verified yet; SDKs sign fewer than 15.
	maxSignedHeaders = 64
)

// parseQuery decodes the query as the router will, so that what is signed is what is obeyed.
func parseQuery(raw string) (url.Values, error) {
	if raw == "" {
		return nil, nil
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, incomplete("The query string cannot be decoded: %v.", err)
	}
	return q, nil
}

// parseSignature reads the Authorization header or the X-Amz-… parameters of the query.
func parseSignature(r *http.Request, query url.Values) (*signature, error) {
	header := r.Header.Values("Authorization")
	_, inQuery := query["X-Amz-Signature"]
	_, alsoQuery := query["X-Amz-Algorithm"]
	inQuery = inQuery || alsoQuery
	switch {
	case len(header) == 0 && !inQuery:
		return nil, &Error{Code: CodeMissingToken, Status: http.StatusForbidden, Message: "Missing Authentication Token: sign the request with AWS Signature Version 4."}
	case len(header) > 1 || len(header) == 1 && inQuery:
		return nil, incomplete("The request is signed more than once: use one Authorization header or one set of query parameters.")
	case inQuery:
		return parsePresigned(query)
	}
	return parseHeader(r, header[0])
}

// parseHeader reads
// AWS4-HMAC-SHA256 Credential=id/date/region/service/aws4_request, SignedHeaders=a;b, Signature=hex.
func parseHeader(r *http.Request, value string) (*signature, error) {
	rest, ok := strings.CutPrefix(value, algorithm)
	if !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' {
		return nil, incomplete("Authorization header requires the algorithm %s.", algorithm)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, val, _ := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := fields[name]; twice {
			return nil, incomplete("Authorization header has %q twice.", name)
		}
		fields[name] = val
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if fields[name] == "" {
			return nil, incomplete("Authorization header requires '%s' parameter.", name)
		}
	}
	dates := r.Header.Values("X-Amz-Date")
	if len(dates) != 1 {
		// The Date header of RFC 9110 is allowed by the specification, but no SDK has used it since 2014.
		return nil, incomplete("The request requires one 'X-Amz-Date' header.")
	}
	return assemble(fields["Credential"], fields["SignedHeaders"], fields["Signature"], dates[0])
}

// parsePresigned reads the query form.
func parsePresigned(query url.Values) (*signature, error) {
	get := func(name string) (string, error) {
		if vals := query[name]; len(vals) == 1 && vals[0] != "" {
			return vals[0], nil
		}
		return "", incomplete("The query string requires one '%s' parameter.", name)
	}
	var got [5]string
	for i, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date"} {
		var err error
		if got[i], err = get(name); err != nil {
			return nil, err
		}
	}
	if got[0] != algorithm {
		return nil, incomplete("X-Amz-Algorithm must be %s.", algorithm)
	}
	sig, err := assemble(got[1], got[2], got[3], got[4])
	if err != nil {
		return nil, err
	}
	sig.presigned, sig.expires = true, defaultExpires
	if _, ok := query["X-Amz-Expires"]; ok {
		text, err := get("X-Amz-Expires")
		if err != nil {
			return nil, err
		}
		seconds, convErr := strconv.Atoi(text)
		if convErr != nil || seconds < 1 || time.Duration(seconds) > maxExpires/time.Second {
			return nil, incomplete("X-Amz-Expires must be a number of seconds from 1 to %d.", maxExpires/time.Second)
		}
		sig.expires = time.Duration(seconds) * time.Second
	}
	return sig, nil
}

// assemble checks the parts that both forms share.
func assemble(credential, signedHeaders, hexSignature, date string) (*signature, error) {
	t, err := time.Parse(timeLayout, date)
	if err != nil {
		return nil, incomplete("X-Amz-Date must be in the form YYYYMMDD'T'HHMMSS'Z'.")
	}
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || slices.Contains(parts, "") {
		return nil, incomplete("Credential must be in the form access-key-id/date/region/service/aws4_request.")
	}
	if parts[4] != "aws4_request" {
		return nil, invalid("Credential should be scoped with a valid terminator: 'aws4_request'.")
	}
	if parts[1] != t.Format(dateLayout) {
		return nil, invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
	}
	if strings.Count(signedHeaders, ";") >= maxSignedHeaders {
		return nil, incomplete("More than %d signed headers.", maxSignedHeaders)
	}
	before, host := "", false
	for name := range strings.SplitSeq(signedHeaders, ";") {
		if name <= before || name != strings.ToLower(name) {
			return nil, incomplete("SignedHeaders must be lower case, sorted and without repetition.")
		}
		before, host = name, host || name == "host"
	}
	if !host {
		return nil, invalid("'Host' must be a signed header.")
	}
	return &signature{
		accessKeyID:   parts[0],
		scope:         scope{date: parts[1], region: parts[2], service: parts[3]},
		signedHeaders: signedHeaders,
		signature:     hexSignature,
		time:          t,
	}, nil
}
