// Command build writes the console's pages into internal/console/dist. Run it from the repository's root
// after every change under web/: go run ./web/build, or go generate ./internal/console
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/footlight-live/footlight/web/bundle"
)

func main() {
	if err := run("web", "internal/console/dist"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(web, dist string) error {
	files, err := bundle.Files(web)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dist); err != nil {
		return fmt.Errorf("clear %s: %w", dist, err)
	}
	for name, data := range files {
		file := filepath.Join(dist, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
	}
	return nil
}
