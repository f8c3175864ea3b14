package api

import (
	"strings"
	"time"
)

// Throttle limits how often each operation may be called, as IVS does per account and region
// (spec/api-conventions.md §9): a bucket of tokens for each operation. Safe for concurrent use; the zero value is ready.
type Throttle struct {
	Now func() time.Time // monotonic clock; default time.Now

	buckets Buckets // by service and operation
}

// Allow takes a token of an operation, or returns a ThrottlingException.
func (t *Throttle) Allow(op Operation) error {
	now := time.Now
	if t.Now != nil {
		now = t.Now
	}
	rate := Rate(op.Name)
	if !t.buckets.Take(op.Service+"."+op.Name, rate, now()) {
		return ThrottlingException("Request denied due to request throttling: %s may be called %g times per second.", op.Name, rate)
	}
	return nil
}

// The documented rates that are not the usual one, per second.
var (
	operationRates = map[string]float64{
		"CreateParticipantToken":            50,
		"PutMetadata":                       155,
		"InsertAdBreak":                     1,
		"StartViewerSessionRevocation":      10,
		"BatchStartViewerSessionRevocation": 2,
		"ListTagsForResource":               10,
		"TagResource":                       10,
		"UntagResource":                     10,
	}
	// slow are the resources whose operations have slowRate.
	slow = []string{"PublicKey", "PlaybackKeyPair", "RecordingConfiguration", "AdConfiguration"}
)

const (
	usualRate = 5
	slowRate  = 3
)

// Rate is how often IVS lets an account call an operation, per second.
func Rate(operation string) float64 {
	if rate, ok := operationRates[operation]; ok {
		return rate
	}
	for _, resource := range slow {
		if strings.HasSuffix(strings.TrimSuffix(operation, "s"), resource) {
			return slowRate
		}
	}
	return usualRate
}

// Reads reports whether an operation changes nothing: what a key that may only read can call.
func (o Operation) Reads() bool {
	for _, verb := range []string{"Get", "List", "BatchGet"} {
		if strings.HasPrefix(o.Name, verb) {
			return true
		}
	}
	return false
}
