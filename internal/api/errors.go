package api

import (
	"fmt"
	"net/http"
)

// Error is an answer that is not a success: the code in x-amzn-ErrorType, the HTTP status, and a
// text for the developer who reads it.
type Error struct {
	Code    string
	Status  int
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func newError(code string, status int, format string, args ...any) *Error {
	return &Error{Code: code, Status: status, Message: fmt.Sprintf(format, args...)}
}

// NotBuilt is the answer of an operation that exists in the API but not yet in Footlight:
// NotImplementedException, HTTP status 501, which the SDKs do not retry.
func NotBuilt(operation string) *Error {
	return newError("NotImplementedException", http.StatusNotImplemented, "the operation %s is not built yet in Footlight", operation)
}

// SerializationException says that a body is not a JSON object at all.
func SerializationException(format string, args ...any) *Error {
	return newError("SerializationException", http.StatusBadRequest, format, args...)
}

// UnknownOperationException says that no operation has this method and path.
func UnknownOperationException(format string, args ...any) *Error {
	return newError("UnknownOperationException", http.StatusNotFound, format, args...)
}
