package composition

import (
	"crypto/rand"
	"fmt"
	"time"
)

// Event is one change of a composition as EventBridge would tell it (spec/composition.md §3).
type Event struct {
	ID            string    `json:"id"` // a UUID; the same however often it is told
	Time          time.Time `json:"time"`
	Name          string    `json:"name"`                   // event_name
	DestinationID string    `json:"destinationId,omitzero"` // of Destination events
	Cause         Cause     `json:"cause,omitzero"`         // of failures
}

// newEventID is a random UUID (RFC 9562 section 5.4).
func newEventID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
