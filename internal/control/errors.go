package control

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/store"
)

// notFound is the answer for a resource that does not exist; name is its ARN, or its id when it has none.
func notFound(name string) error {
	return api.ResourceNotFoundException("Resource: %s not found", name)
}

// orNotFound turns the store's answer about a missing record into the API's; other errors stay.
func orNotFound(err error, name string) error {
	if errors.Is(err, store.ErrNotFound) {
		return notFound(name)
	}
	return err
}

// notBuilt refuses a parameter whose effect does not exist yet. SDKs do not retry 501.
func notBuilt(format string, args ...any) error {
	return &api.Error{
		Code:    "NotImplementedException",
		Status:  http.StatusNotImplemented,
		Message: fmt.Sprintf(format, args...),
	}
}

// ours parses the ARN of a resource to act on. An ARN of another type is a ValidationException. One of
// another region or account names nothing that is here: ResourceNotFoundException.
func (c *Control) ours(s string, want arn.Type) (arn.ARN, error) {
	a, err := parse(s, want)
	if err != nil {
		return arn.ARN{}, err
	}
	if a.Account != c.Account {
		return arn.ARN{}, notFound(s)
	}
	return a, nil
}

// reference parses an ARN by which a request points from one resource to another: member names the place
// in the request. One of another region or account is a ValidationException (spec/composition.md §2).
func (c *Control) reference(member, s string, want arn.Type) (arn.ARN, error) {
	a, err := parse(s, want)
	if err != nil {
		return arn.ARN{}, err
	}
	if a.Account != c.Account {
		return arn.ARN{}, api.ValidationException("%s: %s is not in region %s of account %s", member, s, c.Account.Region, c.Account.ID)
	}
	return a, nil
}

func parse(s string, want arn.Type) (arn.ARN, error) {
	a, err := arn.Parse(s)
	if err != nil {
		return arn.ARN{}, api.ValidationException("%s is not an ARN", s)
	}
	if a.Type != want {
		return arn.ARN{}, api.ValidationException("%s is not the ARN of a %s", s, want)
	}
	return a, nil
}
