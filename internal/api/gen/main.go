// Command gen writes the Go form of the IVS and IVS Real-Time APIs from internal/api/model/*.json:
// the types with their JSON names, the enum values, the validation of requests, the Service
// interfaces with their route tables, and the constructors of the modelled errors.
//
// Run it by `go generate ./internal/api`; a test fails when the committed files are stale.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// services lists the model files and the package that each becomes.
var services = []struct{ model, pkg string }{
	{"ivs.json", "ivs"},
	{"ivs-realtime.json", "ivsrealtime"},
}

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run generates into dir, which is the folder internal/api.
func run(dir string) error {
	files, err := generate(os.DirFS(filepath.Join(dir, "model")))
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
