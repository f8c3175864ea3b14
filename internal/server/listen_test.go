package server

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestListenError: who cannot listen is told which flag to change, and to what.
func TestListenError(t *testing.T) {
	failed := func(addr string, errno syscall.Errno) error {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return &net.OpError{Op: "listen", Net: "tcp", Addr: a, Err: os.NewSyscallError("bind", errno)}
	}
	for _, c := range []struct {
		err          error
		want, hidden string
	}{
		{failed("127.0.0.1:1936", syscall.EADDRINUSE), "127.0.0.1:1936 is taken by another program: stop it, or choose another address with --rtmps-addr", "1935"},
		{failed("127.0.0.1:1935", syscall.EADDRNOTAVAIL), "does not have the address 127.0.0.1:1935 (--rtmp-addr)", "1936"},
		{failed("127.0.0.1:1935", syscall.EACCES), "may not listen on 127.0.0.1:1935 (--rtmp-addr)", "1936"},
		{os.NewSyscallError("bind", syscall.EADDRINUSE), "another address with --rtmp-addr or --rtmps-addr (", "--srt-addr"},
		{errors.New("odd"), "odd", "nowhere"},
	} {
		ingest := map[string]string{"--rtmp-addr": "127.0.0.1:1935", "--rtmps-addr": "127.0.0.1:1936", "--srt-addr": ""}
		if got := listenError("ingest", c.err, ingest).Error(); !strings.Contains(got, c.want) || strings.Contains(got, c.hidden) {
			t.Errorf("%v: %s", c.err, got)
		}
	}
}

// TestDataDirError: a data dir that takes no files is named, with the flag.
func TestDataDirError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&os.PathError{Op: "open", Path: "/srv/x", Err: syscall.EACCES}, "open /srv/x: permission denied: choose a data dir (--data-dir) that"},
		{&os.PathError{Op: "open", Path: "/srv/x", Err: syscall.EROFS}, "choose a data dir (--data-dir) that"},
		{&os.PathError{Op: "write", Path: "/srv/x", Err: syscall.ENOSPC}, "make room on the disk of the data dir (--data-dir)"},
		{errors.New("odd"), "odd"},
		{(&Server{Config: Config{DataDir: file}}).openState(t.Context(), t.Context()), "make the data dir (--data-dir " + file + ")"},
	} {
		if got := dataDirError(c.err); !strings.Contains(got.Error(), c.want) {
			t.Errorf("%v: %s", c.err, got)
		}
	}
}
