package api

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"net/http"
)

// commonHeaders are on every response (spec/api-conventions.md §2). Strict-Transport-Security and
// upgrade-insecure-requests are left out: they would lock a browser out of a server on plain HTTP.
var commonHeaders = http.Header{
	"Access-Control-Allow-Origin": {"*"},
	"Access-Control-Expose-Headers": {"Access-Control-Allow-Origin,Access-Control-Expose-Headers,Cache-Control,Content-Length," +
		"Content-Security-Policy,Content-Type,date,x-amzn-errortype,x-amzn-requestid,X-Content-Type-Options,X-Frame-Options"},
	"Cache-Control":           {"no-store, no-cache"},
	"Content-Security-Policy": {"default-src 'self'"},
	"X-Content-Type-Options":  {"nosniff"},
	"X-Frame-Options":         {"DENY"},
}

// setCommonHeaders leaves Date and a short Content-Length to net/http. So most responses have eight headers in the map: of
// nine, Go makes one of three times the memory, and net/http a copy of that.
func setCommonHeaders(header http.Header, requestID string) {
	maps.Copy(header, commonHeaders) // the values are shared: nobody appends to them
	header.Set("X-Amzn-Requestid", requestID)
}

// preflight lets pages of any origin call the API; what protects it is the signature.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		// A * would not cover Authorization.
		h.Set("Access-Control-Allow-Headers", asked)
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	h.Set("Access-Control-Max-Age", "86400")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// newRequestID returns a random UUID (RFC 9562, version 4).
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	digits := hex.EncodeToString(b[:])
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}
