package sigv4

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// appendCanonical rebuilds the text that the client signed, from the signed headers only.
func appendCanonical(b []byte, r *http.Request, canonicalQuery string, sig *signature, bodyHash []byte) ([]byte, error) {
	b = append(append(b, r.Method...), '\n')
	b = append(append(b, canonicalPath(r.URL.EscapedPath())...), '\n')
	b = append(append(b, canonicalQuery...), '\n')
	for name := range strings.SplitSeq(sig.signedHeaders, ";") {
		value, ok := headerValue(r, name)
		if !ok {
			return nil, invalid("The signed header '%s' is not in the request.", name)
		}
		b = append(append(b, name...), ':')
		b = append(append(b, value...), '\n')
	}
	b = append(append(append(b, '\n'), sig.signedHeaders...), '\n')
	return append(b, bodyHash...), nil
}

// appendStringToSign binds the canonical request to the time and the scope.
func appendStringToSign(b []byte, sig *signature, canonical []byte) []byte {
	b = append(append(b, algorithm...), '\n')
	b = append(sig.time.AppendFormat(b, timeLayout), '\n')
	for _, part := range []string{sig.scope.date, sig.scope.region, sig.scope.service} {
		b = append(append(b, part...), '/')
	}
	b = append(b, "aws4_request\n"...)
	sum := sha256.Sum256(canonical)
	return hex.AppendEncode(b, sum[:])
}

// canonicalPath encodes the path, which is already encoded on the wire, once more: %3A becomes %253A.
func canonicalPath(escaped string) string {
	if escaped == "" {
		return "/"
	}
	return uriEncode(escaped, true)
}

// canonicalQueries are the forms in which the client may have signed the query, the signature left out. The
// specification, botocore and the SDK for JavaScript sort by encoded names and values, the SDK for Go by decoded
// ones. These differ only between characters that stay as they are and characters that are encoded: %C3 sorts
// before n, ü after it. Nearly always there is one form. Either holds every pair, so both bind the whole query.
func canonicalQueries(query url.Values) []string {
	var pairs []queryPair
	for name, values := range query {
		if name == "X-Amz-Signature" {
			continue
		}
		for _, v := range values {
			pairs = append(pairs, queryPair{name, v, uriEncode(name, false), uriEncode(v, false)})
		}
	}
	slices.SortFunc(pairs, func(a, b queryPair) int {
		return cmp.Or(strings.Compare(a.encodedName, b.encodedName), strings.Compare(a.encodedValue, b.encodedValue))
	})
	forms := []string{joinPairs(pairs)}
	slices.SortFunc(pairs, func(a, b queryPair) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	if other := joinPairs(pairs); other != forms[0] {
		forms = append(forms, other)
	}
	return forms
}

// queryPair is a parameter, decoded and encoded.
type queryPair struct{ name, value, encodedName, encodedValue string }

func joinPairs(pairs []queryPair) string {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.encodedName)
		b.WriteByte('=')
		b.WriteString(p.encodedValue)
	}
	return b.String()
}

// headerValue joins the values of a header, each trimmed and with inner runs of spaces made one.
// net/http keeps the host, and sometimes the length, outside of the header map.
func headerValue(r *http.Request, name string) (string, bool) {
	if name == "host" {
		return collapse(r.Host), true
	}
	values := r.Header.Values(name)
	if len(values) == 0 {
		if name == "content-length" && r.ContentLength >= 0 {
			return strconv.FormatInt(r.ContentLength, 10), true
		}
		return "", false
	}
	if len(values) == 1 {
		return collapse(values[0]), true
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = collapse(v)
	}
	return strings.Join(out, ","), true
}

func collapse(s string) string {
	s = strings.Trim(s, " \t")
	if !strings.Contains(s, "  ") {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if s[i] != ' ' || s[i-1] != ' ' {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// uriEncode is the encoding of RFC 3986 with the unreserved characters only: A-Z a-z 0-9 - . _ ~
// and, for a path, the slash.
func uriEncode(s string, slash bool) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == '/' && slash:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}
