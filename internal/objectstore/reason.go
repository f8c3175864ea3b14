package objectstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Reason says in a few words why the store could not be asked, for whoever may call the API; it is empty for what is not
// known to be free of secrets.
func Reason(err error) string {
	if e, ok := errors.AsType[*smithy.OperationError](err); ok {
		if _, ok := errors.AsType[*smithy.OperationError](e.Err); ok { // of another service, before S3 was asked
			return "its credentials cannot be had"
		}
	}
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && e.HTTPStatusCode() != 0 { // else there is no answer
		if said, ok := errors.AsType[smithy.APIError](err); ok {
			return fmt.Sprintf("it answered with status %d, %s", e.HTTPStatusCode(), said.ErrorCode())
		}
		return fmt.Sprintf("it answered with status %d and no words of S3", e.HTTPStatusCode())
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return http.ErrSchemeMismatch.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "it did not answer in time"
	}
	return ""
}
