package event

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// secretFile, in the data dir, holds the secret of the webhooks. Only its owner may read it.
const secretFile = "webhook-secret"

// Secret is the secret that webhooks are signed with: 64 hexadecimal digits, which are the HMAC's key as they are,
// as text. The first call for a data dir makes it.
func Secret(dataDir string) (string, error) {
	path := filepath.Join(dataDir, secretFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = makeSecret(path)
	}
	if err != nil {
		return "", fmt.Errorf("secret of webhooks: %w", err)
	}
	secret := strings.TrimSpace(string(b))
	if len(secret) < 32 {
		return "", fmt.Errorf("secret of webhooks: %s holds %d characters, want 32 or more", path, len(secret))
	}
	return secret, nil
}

// makeSecret writes beside the file and then puts that in its place, so that there is a whole one or none. When
// another process was faster, its secret counts.
func makeSecret(path string) ([]byte, error) {
	var random [32]byte
	rand.Read(random[:]) // never fails
	f, err := os.CreateTemp(filepath.Dir(path), secretFile+"-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintln(f, hex.EncodeToString(random[:]))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}
