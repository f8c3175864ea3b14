package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/footlight-live/footlight/test/harness"
)

// What has happened is seen by its effects before the event log has it: tests wait for the log.

// waitTold waits until what the event log has about a resource holds all of these texts, with no spaces after colons.
func waitTold(t *testing.T, s *harness.Server, resource string, texts ...string) {
	t.Helper()
	harness.Eventually(t, time.Minute, "the event log has it", func(context.Context) error {
		events := strings.ReplaceAll(string(told(s, resource)), ": ", ":")
		for _, text := range texts {
			if !strings.Contains(events, text) {
				return fmt.Errorf("%s is not in %s", text, events)
			}
		}
		return nil
	})
}

// waitEventNames waits until the event log has these events about a resource, and no others but of destinations that were fed
// anew: a busy machine may lose a composer or a connection.
func waitEventNames(t *testing.T, s *harness.Server, resource string, want []string) {
	t.Helper()
	harness.Eventually(t, time.Minute, "the event log has it", func(context.Context) error {
		got, err := eventNames(told(s, resource))
		got = slices.DeleteFunc(got, func(name string) bool { return name == "Destination Reconnecting" })
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("it has %q, want %q", got, want)
		}
		return err
	})
}

// told is what the event log has about a resource, one JSON object on a line each.
func told(s *harness.Server, resource string) []byte {
	return s.Call("GET", "events?resource="+url.QueryEscape(resource), "", nil)
}

// eventNames are detail.event_name of events.
func eventNames(lines []byte) (names []string, err error) {
	for line := range bytes.Lines(lines) {
		var e struct {
			Detail struct {
				Name string `json:"event_name"`
			} `json:"detail"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		names = append(names, e.Detail.Name)
	}
	return names, nil
}
