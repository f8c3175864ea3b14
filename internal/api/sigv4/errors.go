package sigv4

import (
	"fmt"
	"net/http"
	"strings"
)

// Codes of an Error (spec/api-conventions.md §3).
const (
	CodeMissingToken       = "MissingAuthenticationToken"
	CodeIncomplete         = "IncompleteSignature"
	CodeInvalid            = "InvalidSignatureException"
	CodeUnrecognizedClient = "UnrecognizedClientException"
	CodeRequestExpired     = "RequestExpired"
	CodeTooLarge           = "RequestEntityTooLargeException"
)

// Error says why a request was refused, in a form that can be sent: no secret is in it.
type Error struct {
	Code    string
	Status  int
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func invalid(format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Status: http.StatusForbidden, Message: fmt.Sprintf(format, args...)}
}

func incomplete(format string, args ...any) *Error {
	return &Error{Code: CodeIncomplete, Status: http.StatusForbidden, Message: fmt.Sprintf(format, args...)}
}

func quoteAny(list []string) string { return "'" + strings.Join(list, "' or '") + "'" }
