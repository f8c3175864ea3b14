package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/footlight-live/footlight/test/harness"
)

// jsSDK is the JavaScript SDK v3 in a Node process.
type jsSDK struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.WriteCloser

	mu      sync.Mutex
	last    int
	waiting map[int]chan jsAnswer
	gone    chan struct{} // closed when the process has ended
}

type jsAnswer struct {
	ID      int      `json:"id"`
	Output  M        `json:"output"`
	Failure *failure `json:"failure"`
	NotSent string   `json:"notSent"`
}

// newJSSDK starts Node. The test is skipped where the SDK is not installed: scripts/setup.sh test does that.
func newJSSDK(t testing.TB, url, key, secret string) sdk {
	t.Helper()
	dir := filepath.Join(harness.Root(t), "test", "conformance", "js")
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed: run scripts/setup.sh test")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Skip("the JavaScript SDK is not installed: run scripts/setup.sh test")
	}
	s := &jsSDK{t: t, waiting: map[int]chan jsAnswer{}, gone: make(chan struct{})}
	s.cmd = exec.Command("node", "--no-warnings", filepath.Join(dir, "driver.mjs"), url)
	s.cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret)
	s.cmd.Stderr = os.Stderr
	stdout, err := s.cmd.StdoutPipe()
	if err == nil {
		s.stdin, err = s.cmd.StdinPipe()
	}
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatalf("start node: %v", err)
	}
	go s.receive(stdout)
	return s
}

func (*jsSDK) name() string { return "JavaScript" }

func (s *jsSDK) close() {
	s.stdin.Close()
	<-s.gone
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("node: %v", err)
	}
}

// receive hands the answers to those who wait for them.
func (s *jsSDK) receive(stdout io.Reader) {
	defer close(s.gone)
	in := bufio.NewReader(stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var answer jsAnswer
		if err := json.Unmarshal(line, &answer); err != nil {
			s.t.Errorf("node said %q: %v", line, err)
			return
		}
		s.mu.Lock()
		to := s.waiting[answer.ID]
		delete(s.waiting, answer.ID)
		s.mu.Unlock()
		to <- answer
	}
}

func (s *jsSDK) call(ctx context.Context, op *operation, in M) (M, error) {
	to := make(chan jsAnswer, 1)
	s.mu.Lock()
	s.last++
	id := s.last
	s.waiting[id] = to
	line, err := json.Marshal(M{"id": id, "service": op.model.Service, "operation": op.call, "input": in})
	if err == nil {
		_, err = s.stdin.Write(append(line, '\n'))
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case answer := <-to:
		switch {
		case answer.NotSent != "":
			return nil, fmt.Errorf("%w: %s", errNotSent, answer.NotSent)
		case answer.Failure != nil:
			return nil, answer.Failure
		}
		return answer.Output, nil
	case <-s.gone:
		return nil, errors.New("node has ended")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
