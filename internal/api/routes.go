package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/footlight-live/footlight/internal/arn"
)

// tagsPrefix starts the paths of the tag operations, which both services have.
const tagsPrefix = "/tags/"

// serviceOf says which API a resource type belongs to (spec/api-conventions.md §4).
var serviceOf = map[arn.Type]string{
	arn.Channel:                   "ivs",
	arn.StreamKey:                 "ivs",
	arn.PlaybackKey:               "ivs",
	arn.RecordingConfiguration:    "ivs",
	arn.PlaybackRestrictionPolicy: "ivs",
	arn.AdConfiguration:           "ivs",
	arn.Stage:                     "ivsrealtime",
	arn.Composition:               "ivsrealtime",
	arn.EncoderConfiguration:      "ivsrealtime",
	arn.StorageConfiguration:      "ivsrealtime",
	arn.IngestConfiguration:       "ivsrealtime",
	arn.PublicKey:                 "ivsrealtime",
}

// route is how an operation is found; service is empty but for the tag operations.
type route struct{ method, path, service string }

type routes map[route]Operation

func newRoutes(ops []Operation) routes {
	out := routes{}
	for _, op := range ops {
		key := route{method: op.Method, path: op.Path}
		if strings.HasPrefix(op.Path, tagsPrefix) {
			key = route{method: op.Method, path: tagsPrefix, service: op.Service}
		}
		if was, taken := out[key]; taken {
			panic("api: " + was.Name + " and " + op.Name + " have the same route " + op.Method + " " + op.Path)
		}
		out[key] = op
	}
	return out
}

// find returns the operation of a request, and the ARN in the path of a tag operation. The path is
// the escaped one: an ARN holds slashes, which arrive as %2F.
func (t routes) find(method, escapedPath string) (op Operation, label string, err error) {
	key := route{method: method, path: escapedPath}
	if escaped, ok := strings.CutPrefix(escapedPath, tagsPrefix); ok {
		if label, err = url.PathUnescape(escaped); err != nil {
			return Operation{}, "", ValidationException("the ARN in the path cannot be decoded: %v", err)
		}
		resource, err := arn.Parse(label)
		if err != nil {
			return Operation{}, "", ValidationException("1 validation error detected: Value '%s' at 'resourceArn' failed to satisfy constraint: Member must be an ARN of the form arn:aws:ivs:region:account:type/id", shorten(label))
		}
		service, ok := serviceOf[resource.Type]
		if !ok {
			return Operation{}, "", ValidationException("1 validation error detected: Value '%s' at 'resourceArn' failed to satisfy constraint: there is no resource type '%s'", shorten(label), shorten(string(resource.Type)))
		}
		key = route{method: method, path: tagsPrefix, service: service}
	}
	op, ok := t[key]
	if !ok {
		return Operation{}, "", UnknownOperationException("there is no operation %s %s", method, shorten(escapedPath))
	}
	return op, label, nil
}

// matchPath is Handler.Match on its parts.
func matchPath(method, escapedPath string) bool {
	if strings.HasPrefix(escapedPath, tagsPrefix) {
		return true
	}
	if method != http.MethodPost && method != http.MethodOptions {
		return false
	}
	name := strings.TrimPrefix(escapedPath, "/")
	return name != "" && !strings.Contains(name, "/") && 'A' <= name[0] && name[0] <= 'Z'
}
