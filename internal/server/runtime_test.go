package server

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A server that starts in another region than the last time says so; the first of a data dir, and the same again, say nothing.
func TestCompareRegion(t *testing.T) {
	var log bytes.Buffer
	s := &Server{Config: Config{DataDir: t.TempDir(), Region: "us-east-1"}, Log: slog.New(slog.NewTextHandler(&log, nil))}
	s.compareRegion()
	if err := writeRuntime(s.DataDir, Runtime{Region: "us-east-1"}); err != nil {
		t.Fatal(err)
	}
	s.compareRegion()
	if log.Len() > 0 {
		t.Errorf("of the same region: %s", &log)
	}
	s.Region = "eu-west-1"
	s.compareRegion()
	if said := log.String(); !strings.Contains(said, "level=WARN") || !strings.Contains(said, "before=us-east-1") {
		t.Errorf("of another region: %q", said)
	}
}
