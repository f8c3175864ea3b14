package composition

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestTransitionLog: the log has what there is to tell, and no empty attributes.
func TestTransitionLog(t *testing.T) {
	for name, handler := range map[string]func(*strings.Builder) slog.Handler{
		"text": func(b *strings.Builder) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *strings.Builder) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var log strings.Builder
		l := &live{manager: &Manager{Now: time.Now}, log: slog.New(handler(&log)), record: fresh("d")}
		l.event("Session Start", "", Cause{})
		l.move(Stopping, Cause{})
		l.moveDestination(&l.record.Destinations[0], Failed, stageDeleted)
		text := log.String()
		if strings.Contains(text, `""`) {
			t.Errorf("%s: an empty attribute in\n%s", name, text)
		}
		for _, want := range []string{"Session Start", "composition changes", "STOPPING", "destination changes", stageDeleted.Code, stageDeleted.Reason} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", name, want, text)
			}
		}
	}
}
