package stage

import (
	"errors"
	"fmt"
	"net/http"
)

// Status is the HTTP status that a refusal with this code is answered with.
func (c Code) Status() int {
	switch c {
	case TokenMissing, TokenMalformed, TokenExpired:
		return http.StatusUnauthorized
	case InsufficientCapability, ParticipantDisconnected:
		return http.StatusForbidden
	case StageNotFound, PublisherNotFound, SessionNotFound:
		return http.StatusNotFound
	case InvalidInput, InvalidVideoCodec, InvalidAudioCodec:
		return http.StatusBadRequest
	case QuotaExceeded:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// errStageEnded is what a request to a stage gets whose goroutine has ended; the caller starts over.
var errStageEnded = errors.New("stage has ended")

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// asError turns any error into one that can be told to a client. Details of an error that is not an
// *Error stay in the server's log.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return refuse(Internal, "the server failed; its log says why")
}
