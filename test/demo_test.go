package test

import (
	"bufio"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// TestDemo runs the demo as `make demo` does, watches it, and ends it as Ctrl-C does.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	free := "127.0.0.1:0"
	cmd := exec.Command(filepath.Join(harness.Binaries(t), "footlight"), "demo", "--http-addr", free, "--webrtc-addr", free, "--rtmp-addr", free, "--rtmps-addr", free, "--srt-addr", free)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	facts := map[string]string{}
	for line := range lines(stdout) {
		t.Log(line)
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			facts[name] = strings.TrimSpace(value)
		}
		if facts["Stop"] != "" {
			break
		}
	}
	playback := facts["Playback"]
	if playback == "" || facts["Watch"] == "" || facts["Join"] == "" || facts["AWS CLI"] == "" {
		t.Fatalf("the demo printed %v", facts)
	}
	c := record(t, playback, settled+2*time.Second, 4)
	seen(t, c, settled, judge.Forever, 0, 1, 2, 3)
	if tones := c.Tones(settled, judge.Forever); len(tones) != 4 {
		t.Errorf("the mix holds the tones of %v, want all four", tones)
	}

	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(stdout)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the demo ended with %v\n%s", err, rest)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("the demo left %v behind, %v", left, err)
	}
}

// TestPortTaken says what to do when another program has the port.
func TestPortTaken(t *testing.T) {
	s := harness.StartServer(t)
	cmd := exec.Command(filepath.Join(harness.Binaries(t), "footlight"), "serve", "--data-dir", t.TempDir(), "--http-addr", strings.TrimPrefix(s.URL, "http://"))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "is taken by another program") || !strings.Contains(string(out), "--http-addr") {
		t.Errorf("a second server says: %v\n%s", err, out)
	}
}

// lines yields what a program prints until it closes its end. A break leaves the rest to be read.
func lines(r io.Reader) iter.Seq[string] {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	return func(yield func(string) bool) {
		for scanner.Scan() {
			if !yield(scanner.Text()) {
				return
			}
		}
	}
}
