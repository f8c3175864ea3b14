package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dirLock keeps a second server out of a data directory. The kernel frees it when the process ends,
// however it ends, so there is no stale lock to remove by hand.
type dirLock struct{ file *os.File }

// lockDir creates dir when it is missing and locks it. It fails with ErrLocked while another process has it.
func lockDir(dir string) (*dirLock, error) {
	if dir == "" {
		return nil, errors.New("store: a data directory or a nats url is required")
	}
	// The records hold secrets: stream keys and the signing key.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: create the data directory: %w", err)
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: open the lock of the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("store: open %s: %w%s; stop it or choose another directory", dir, ErrLocked, holder(path))
		}
		return nil, fmt.Errorf("store: lock %s: %w", path, err)
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		f.Close()
		return nil, fmt.Errorf("store: write %s: %w", path, err)
	}
	return &dirLock{file: f}, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// holder names the process that wrote the lock file, when it says so.
func holder(path string) string {
	data, err := os.ReadFile(path)
	pid := strings.TrimSpace(string(data))
	if err != nil || pid == "" {
		return ""
	}
	return " (process " + pid + ")"
}

func (l *dirLock) release() { l.file.Close() }
