// Package harness runs the real programs for the end-to-end tests and the benchmarks: the server as a
// process that can be killed, official SDK clients, synthetic participants, browsers.
package harness

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ivs"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
)

var build struct {
	sync.Once
	dir string
	err error
}

// Binaries builds both programs once per test process and returns their folder.
func Binaries(t testing.TB) string {
	t.Helper()
	build.Do(func() {
		build.dir, build.err = os.MkdirTemp("", "footlight-bin-")
		if build.err != nil {
			return
		}
		for name, cgo := range map[string]string{"footlight": "0", "footlight-composer": "1"} {
			cmd := exec.Command("go", "build", "-o", filepath.Join(build.dir, name), "github.com/footlight-live/footlight/cmd/"+name)
			cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
			if out, err := cmd.CombinedOutput(); err != nil {
				build.err = fmt.Errorf("build %s: %w\n%s", name, err, out)
				return
			}
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.dir
}

// RemoveBinaries deletes what Binaries built. Call it at the end of TestMain.
func RemoveBinaries() {
	if build.dir != "" {
		os.RemoveAll(build.dir)
	}
}

// Server is a running server process. Its ports stay the same across Restart.
type Server struct {
	URL      string // of the HTTP address
	DataDir  string
	IVS      *ivs.Client
	RealTime *ivsrealtime.Client

	t    testing.TB
	args []string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone
	Log  *Log
}

// StartServer runs a server on free loopback ports and ends it with the test. Extra arguments go to `serve`.
func StartServer(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, DataDir: t.TempDir(), Log: &Log{}}
	ports := freePorts(t, 5)
	s.args = append([]string{"serve", "--data-dir", s.DataDir, "--http-addr", ports[0], "--webrtc-addr", ports[1], "--rtmp-addr", ports[2], "--rtmps-addr", ports[3], "--srt-addr", ports[4]}, args...)
	s.URL = "http://" + ports[0]
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("server log (last lines):\n%s", s.Log.Tail(40))
		}
	})
	s.start()
	s.connect()
	return s
}

// freePorts returns addresses that were free a moment ago, as TCP and as UDP.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	var out []string
	for len(out) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		u, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil {
			continue
		}
		defer u.Close()
		out = append(out, l.Addr().String())
	}
	return out
}

func (s *Server) start() {
	s.t.Helper()
	s.cmd = exec.Command(filepath.Join(Binaries(s.t), "footlight"), s.args...)
	s.cmd.Stderr = s.Log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	up := make(chan bool, 1)
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "Footlight is up") {
				up <- true
			}
		}
		s.cmd.Wait()
	}()
	select {
	case <-up:
	case <-s.done:
		s.t.Fatalf("the server ended while starting:\n%s", s.Log.Tail(40))
	case <-time.After(time.Minute):
		s.t.Fatalf("the server is not up after a minute:\n%s", s.Log.Tail(40))
	}
}

// connect makes SDK clients with the access key of the data dir.
func (s *Server) connect() {
	s.t.Helper()
	env := s.Env()
	config := aws.Config{
		Region:       env["AWS_DEFAULT_REGION"],
		BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]),
		Credentials:  credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	}
	s.IVS, s.RealTime = ivs.NewFromConfig(config), ivsrealtime.NewFromConfig(config)
}

// Env is what `footlight env` prints, as a map.
func (s *Server) Env() map[string]string {
	s.t.Helper()
	out, err := exec.Command(filepath.Join(Binaries(s.t), "footlight"), "env", "--data-dir", s.DataDir).Output()
	if err != nil {
		s.t.Fatalf("footlight env: %v", err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "="); ok {
			env[name] = strings.Trim(value, "'")
		}
	}
	return env
}

// Call asks Footlight's own API: a path below /footlight/v1/, with a body unless it is empty. It returns the answer's
// body, and fails the test when the answer is no success.
func (s *Server) Call(method, path, contentType string, body []byte) []byte {
	s.t.Helper()
	req, err := http.NewRequest(method, s.URL+"/footlight/v1/"+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	env := s.Env()
	req.SetBasicAuth(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		s.t.Fatalf("%s %s: %s %v\n%s", method, path, resp.Status, err, answer)
	}
	return answer
}

// Stop ends the server gracefully, or with SIGKILL after a minute.
func (s *Server) Stop() {
	s.signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		s.t.Errorf("the server did not end within a minute of SIGTERM")
		s.Kill()
	}
}

// Kill ends the server as kill -9 does.
func (s *Server) Kill() {
	s.signal(syscall.SIGKILL)
	<-s.done
}

func (s *Server) signal(sig syscall.Signal) {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Signal(sig) // an error means that it is gone already
	}
}

// Start runs the server again, with the same ports and data dir, after Stop or Kill.
func (s *Server) Start() {
	s.t.Helper()
	s.start()
}

// PID is the process id of the running server.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Composers returns the process ids of the server's composers.
func (s *Server) Composers() []int {
	var out []int
	dirs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range dirs {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		var pid, parent int
		var state string
		open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
		if open < 0 || end < 0 {
			continue
		}
		fmt.Sscan(string(b[:open]), &pid)
		fmt.Sscan(string(b[end+1:]), &state, &parent)
		if parent == s.PID() && state != "Z" && strings.HasPrefix(string(b[open+1:end]), "footlight-compo") {
			out = append(out, pid)
		}
	}
	return out
}

// Eventually calls try until it gives nil, or fails the test with the last error after limit.
func Eventually(t testing.TB, limit time.Duration, what string, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		attempt, done := context.WithTimeout(ctx, 10*time.Second)
		err := try(attempt)
		done()
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v: %v", what, limit, last)
		case <-tick.C:
		}
	}
}

// JSON renders v for messages.
func JSON(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Log keeps the last part of what a process writes.
type Log struct {
	mu  sync.Mutex
	buf []byte
}

// Write appends p and forgets what is older than the last 256 KiB.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if over := len(l.buf) - 256<<10; over > 0 {
		l.buf = append(l.buf[:0], l.buf[over:]...)
	}
	return len(p), nil
}

// String is everything kept.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}

// Tail is the last n lines.
func (l *Log) Tail(n int) string {
	lines := strings.Split(l.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
