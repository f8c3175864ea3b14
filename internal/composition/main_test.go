package composition

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/footlight-live/footlight/internal/leak"
)

// composerPath is the real composer program, built for these tests; empty when it cannot be built here.
var composerPath string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "composition-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	path := filepath.Join(dir, "footlight-composer")
	build := exec.Command("go", "build", "-o", path, "github.com/footlight-live/footlight/cmd/footlight-composer")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build the composer: %v\n%s", err, out)
	} else {
		composerPath = path
	}
	code := m.Run()
	if code == 0 {
		if err := leak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.RemoveAll(dir)
	os.Exit(code)
}
