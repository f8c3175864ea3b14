package record

import (
	"log/slog"
	"testing"

	"github.com/footlight-live/footlight/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// testLog writes to the test's log.
func testLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }
