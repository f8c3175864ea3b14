package test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/test/harness"
)

// TestLooseWaits sees that the server, which starts itself anew for it, lets its timed waits end half a millisecond late.
func TestLooseWaits(t *testing.T) {
	s := harness.StartServer(t)
	slack, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", s.PID()))
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("another process's looseness is for root to see")
	}
	if err != nil || strings.TrimSpace(string(slack)) != "500000" {
		t.Errorf("the server's waits end up to %s ns late (%v), want 500000", slack, err)
	}
}
