package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"
)

// target is a server under test.
type target interface {
	name() string
	// start runs the server as a process of its own.
	start() (*process, error)
	// publish connects the camera, subscribe a client that receives it.
	publish(c *camera, at *port) (*peer, error)
	subscribe(n int, at *port) (*peer, error)
}

func newCertificate() (*webrtc.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return webrtc.GenerateCertificate(key)
}

// process is a server's process.
type process struct{ *exec.Cmd }

// launch starts a command and waits for its first line on standard output that ready takes.
func launch(cmd *exec.Cmd, ready func(line string) bool) (*process, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &process{cmd}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if ready(lines.Text()) {
			go func() {
				for lines.Scan() {
				}
			}()
			return p, nil
		}
	}
	p.stop()
	return nil, fmt.Errorf("%s ended before it was ready", cmd.Path)
}

// self is this process, which is publisher and subscribers.
func self() *process {
	return &process{&exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
}

func (p *process) stop() {
	_ = p.Process.Signal(os.Interrupt)
	ended := time.AfterFunc(5*time.Second, func() { _ = p.Process.Kill() })
	_ = p.Wait()
	ended.Stop()
}

// cpu is the processor time that the process has used (proc(5): utime and stime, in hundredths of a second).
func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory is the process's resident set in bytes.
func (p *process) memory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}
