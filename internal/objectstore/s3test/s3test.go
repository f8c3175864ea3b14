// Package s3test runs a real S3 server for tests: versitygw, as a process, over a temporary folder.
//
// Its version is pinned by the module in test/versitygw, so that its dependencies are none of Footlight's.
package s3test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// The key that Server takes.
const (
	AccessKey = "s3test"
	Secret    = "s3test-secret"
)

// Server is a running S3 server.
type Server struct {
	Endpoint string // http://127.0.0.1:port
	dir      string
}

// Start runs a server until the end of the test and points the environment's credentials at it. The first call of
// a machine builds versitygw, which takes minutes; with -short the test is skipped.
func Start(t *testing.T) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs versitygw")
	}
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", Secret)
	// The settings of whoever runs the test are none of its business.
	for _, name := range []string{"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	dir := t.TempDir()
	// The port is free when it is asked for and may be taken when it is used; then another one.
	for range 5 {
		s := &Server{Endpoint: "http://" + freePort(t), dir: dir}
		if s.run(t, program) {
			return s
		}
	}
	t.Fatal("versitygw did not start")
	return nil
}

// URL is the object store's URL of the server.
func (s *Server) URL() string {
	return "s3://?path-style=true&endpoint=" + url.QueryEscape(s.Endpoint)
}

// MakeBucket creates a bucket: a folder is one.
func (s *Server) MakeBucket(t *testing.T, name string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(s.dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
}

// RemoveBucket removes a bucket with all that is in it.
func (s *Server) RemoveBucket(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
		t.Fatal(err)
	}
}

var build = sync.OnceValues(func() (string, error) {
	_, self, _, _ := runtime.Caller(0)
	module := filepath.Join(filepath.Dir(self), "..", "..", "..", "test", "versitygw")
	// `go tool -n` builds into Go's cache and prints where.
	c := exec.Command("go", "tool", "-n", "versitygw")
	c.Dir = module
	c.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0")
	var problem bytes.Buffer
	c.Stderr = &problem
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("build versitygw in %s: %w\n%s", module, err, problem.Bytes())
	}
	return string(bytes.TrimSpace(out)), nil
})

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run starts the process and reports whether it answers.
func (s *Server) run(t *testing.T, program string) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, program, "--access", AccessKey, "--secret", Secret, "--port", s.Endpoint[len("http://"):], "--quiet", "posix", s.dir)
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Wait()
	}()
	stop := func() {
		cancel()
		<-ended
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		response, err := client.Get(s.Endpoint)
		if err == nil {
			response.Body.Close()
			t.Cleanup(stop)
			return true
		}
		select {
		case <-ended:
			cancel()
			t.Logf("versitygw: %s", log.Bytes())
			return false
		case <-time.After(50 * time.Millisecond): // between two attempts
		}
	}
}
