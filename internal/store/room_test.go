package store

import (
	"syscall"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// TestLittleRoom: what a stream may grow to is no reason against a start on a disk that has less free.
func TestLittleRoom(t *testing.T) {
	dir := t.TempDir()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, dir).JetStream().CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "LOG", Subjects: []string{"log"}, MaxBytes: int64(fs.Bavail) * fs.Bsize,
	})
	if err != nil {
		t.Error(err)
	}
}
