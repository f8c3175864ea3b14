package event

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
)

// Event is one change, in the envelope of EventBridge.
type Event struct {
	Version    string          `json:"version"` // "0"
	ID         string          `json:"id"`      // a UUID
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"` // aws.ivs
	Account    string          `json:"account"`
	Time       time.Time       `json:"time"` // UTC, whole seconds
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"` // ARNs; the first one is what the event happened to
	Detail     json.RawMessage `json:"detail"`    // an object, by DetailType
}

// fill gives an event what follows from the rest, and checks it.
func (e *Event) fill() (resource arn.ARN, err error) {
	if len(e.Resources) == 0 {
		return arn.ARN{}, errors.New("no resource")
	}
	if resource, err = arn.Parse(e.Resources[0]); err != nil {
		return arn.ARN{}, err
	}
	if e.DetailType == "" {
		return arn.ARN{}, errors.New("no detail type")
	}
	if e.Time.IsZero() {
		return arn.ARN{}, errors.New("no time")
	}
	if e.ID == "" {
		e.ID = NewID()
	}
	e.Version, e.Source, e.Account, e.Region = "0", "aws.ivs", resource.Account.ID, resource.Region
	e.Time = e.Time.UTC().Truncate(time.Second)
	return resource, nil
}

// subjects are all subjects of events; subject is that of a resource's.
const subjects = subjectRoot + ".>"

const subjectRoot = "footlight.events"

func subject(resource arn.ARN) string {
	// An id is letters and digits; whatever else an ARN may hold must not make a subject of more words.
	id := strings.NewReplacer(".", "_", "*", "_", ">", "_", " ", "_", "/", "_").Replace(resource.ID)
	return fmt.Sprintf("%s.ivs.%s.%s", subjectRoot, resource.Type, id)
}

// NewID is a random UUID (RFC 9562 section 5.4).
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return uuid(b, 4)
}

// IDOf is a UUID that is always the same for the same parts (RFC 9562 section 5.8), for who may have to publish an
// event again without knowing whether it was.
func IDOf(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return uuid([16]byte(sum.Sum(nil)), 8)
}

func uuid(b [16]byte, version byte) string {
	b[6], b[8] = b[6]&0x0f|version<<4, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func subjectOf(resourceARN string) (string, error) {
	resource, err := arn.Parse(resourceARN)
	if err != nil {
		return "", err
	}
	return subject(resource), nil
}
