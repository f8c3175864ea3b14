package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// runtimeFile, in the data dir, says where a running server is reached. It is written at every start
// and stays after the end, so that `footlight env` also works before the server is up again.
const runtimeFile = "server.json"

// Runtime is what other commands need to know of the server of a data dir. It holds no secret.
type Runtime struct {
	Endpoint string `json:"endpoint"` // URL of the API
	Region   string `json:"region"`
}

// ReadRuntime reads where the server of this data dir is, or was last, reached.
func ReadRuntime(dataDir string) (Runtime, error) {
	var r Runtime
	b, err := os.ReadFile(filepath.Join(dataDir, runtimeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("no server has run with the data dir %s yet: start one with `footlight serve --data-dir %s`", dataDir, dataDir)
	}
	if errors.Is(err, fs.ErrPermission) {
		return r, fmt.Errorf("read where the server runs: %w: run this as the user of the server", err)
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read where the server runs: %w", err)
	}
	return r, nil
}

// compareRegion warns when the server starts in another region than the last one of its data dir. Records hold ids
// alone, so that the resources are all there, in ARNs of the new region.
func (s *Server) compareRegion() {
	before, err := ReadRuntime(s.DataDir)
	if err != nil || before.Region == s.Region {
		return
	}
	s.Log.Warn("the region is not that of the last start: ARNs, stream keys and playback URLs that were given out before are not found now; "+
		"if that is not meant, start with the region before", "region", s.Region, "before", before.Region)
}

func writeRuntime(dataDir string, r Runtime) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dataDir, runtimeFile), append(b, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write where the server runs: %w", err)
	}
	return nil
}
