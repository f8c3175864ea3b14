package store

import (
	"context"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

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

// TestNoRoom: a store that could not write says so, also when there is room again, until it is opened anew.
func TestNoRoom(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b := bucket[string](t, s, "things")
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}

	signal.Ignore(syscall.SIGXFSZ) // a file at its limit is an error of the write then
	t.Cleanup(func() { signal.Reset(syscall.SIGXFSZ) })
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limit := func(l syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}
	limit(syscall.Rlimit{Cur: 64 << 10, Max: before.Max})
	t.Cleanup(func() { limit(before) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	written := make(chan error, 1)
	go func() { written <- b.Create(ctx, "large", strings.Repeat("x", 128<<10)) }()
	for ctx.Err() == nil && s.Ping(ctx) == nil { // until the server has tried
	}
	cancel() // nobody answers
	if err := <-written; err == nil {
		t.Fatal("a value is kept that has no room")
	}
	limit(before)
	if err := s.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "make room") {
		t.Errorf("ping: %v", err)
	}

	s.Close()
	s = open(t, dir)
	if err := bucket[string](t, s, "things").Create(t.Context(), "small", "x"); err != nil {
		t.Error(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
