package main

import (
	"strings"
	"testing"
)

func TestPrintEvents(t *testing.T) {
	const failure = `{"version":"0","id":"x","detail-type":"IVS Composition State Change","source":"aws.ivs","account":"123456789012","time":"2026-01-01T12:00:00Z","region":"us-east-1",` +
		`"resources":["arn:aws:ivs:us-east-1:123456789012:composition/s2AdaGUbvQgp"],"detail":{"event_name":"Session Failure","stage_arn":"arn:aws:ivs:us-east-1:123456789012:stage/MNALAcH9j2EJ","error_code":"StageDeleted","reason":"Stage has been deleted"}}`
	for format, want := range map[string]string{
		"json": failure + "\n",
		"text": `2026-01-01T12:00:00Z  composition/s2AdaGUbvQgp  Session Failure           stage_arn=arn:aws:ivs:us-east-1:123456789012:stage/MNALAcH9j2EJ  error_code=StageDeleted  reason="Stage has been deleted"` + "\n",
	} {
		var out strings.Builder
		c := eventsCommand{Format: format}
		if err := c.print(&out, strings.NewReader("\n"+failure+"\n\n")); err != nil || out.String() != want {
			t.Errorf("%s: %v\n%s", format, err, out.String())
		}
	}
	for _, odd := range []string{`{}`, `[]`, `{"resources":["x"],"detail":[1]}`, `{"resources":["x"],"detail":{"a"`, `nonsense`} {
		readable([]byte(odd))
	}
}
