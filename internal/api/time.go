package api

import (
	"fmt"
	"time"
)

// Time is a timestamp of the API: a JSON string, RFC 3339 in UTC, to the millisecond.
type Time struct{ time.Time }

// TimeOf returns t as a member of a response.
func TimeOf(t time.Time) *Time { return &Time{t} }

const timeLayout = "2006-01-02T15:04:05.999Z"

// MarshalText is also the JSON form.
func (t Time) MarshalText() ([]byte, error) {
	return []byte(t.UTC().Format(timeLayout)), nil
}

// MarshalJSON writes the quoted text; it hides the embedded time's, which keeps the zone.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format(timeLayout) + `"`), nil
}

// UnmarshalJSON reads the quoted text.
func (t *Time) UnmarshalJSON(b []byte) error {
	if len(b) < 2 || b[0] != '"' {
		return fmt.Errorf("parse time %s: want a string", b)
	}
	return t.UnmarshalText(b[1 : len(b)-1])
}

// UnmarshalText reads RFC 3339 with any zone.
func (t *Time) UnmarshalText(b []byte) error {
	parsed, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return fmt.Errorf("parse time: %w", err)
	}
	t.Time = parsed.UTC()
	return nil
}
