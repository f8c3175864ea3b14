package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// plan is a load: at a steady rate, or as fast as the answers come.
type plan struct {
	Address     string
	Wire        []byte
	Connections int
	PerSecond   float64 // over all connections; 0: as many as can be
	Length      time.Duration
}

// pace has a process of its own carry out a plan, and returns how long the answers took. In this one the
// clients would be the server's goroutines: they would wait for its collector, and Go's timers end up to a millisecond
// late, several times what an answer takes.
func pace(ctx context.Context, p plan) ([]time.Duration, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	in, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-pace")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the load: %w", err)
	}
	var took []time.Duration
	if err := json.Unmarshal(out, &took); err != nil {
		return nil, fmt.Errorf("the load: %w", err)
	}
	return took, nil
}

// runPlan is that process.
func runPlan(in io.Reader, out io.Writer) error {
	var p plan
	if err := json.NewDecoder(in).Decode(&p); err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(p.Connections + 1) // a thread that comes back from a system call goes on at once
	clients := make([]*client, p.Connections)
	for i := range clients {
		var err error
		if clients[i], err = dialBlocking(p.Address, p.Wire); err != nil {
			return err
		}
	}
	took, failed := make([][]time.Duration, p.Connections), make([]error, p.Connections)
	var gap time.Duration // between two requests of a client
	if p.PerSecond > 0 {
		gap = time.Duration(float64(p.Connections) / p.PerSecond * float64(time.Second))
	}
	start := time.Now()
	var work sync.WaitGroup
	for i, c := range clients {
		first := start.Add(gap * time.Duration(i) / time.Duration(p.Connections))
		work.Go(func() { took[i], failed[i] = c.steady(first, gap, start.Add(p.Length)) })
	}
	work.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(slices.Concat(took...))
}

// steady sends a request whenever one is due, without a gap at once, and returns how long the answers took from then:
// one that could not be sent in time because the one before was late has waited too.
func (c *client) steady(due time.Time, gap time.Duration, end time.Time) ([]time.Duration, error) {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return nil, err
	}
	var took []time.Duration
	for due.Before(end) {
		for wait := time.Until(due); wait > 0; wait = time.Until(due) {
			t := unix.NsecToTimespec(int64(wait))
			if err := unix.Nanosleep(&t, nil); err != nil && err != unix.EINTR {
				return nil, err
			}
		}
		if err := c.do(nil); err != nil {
			return nil, err
		}
		took = append(took, time.Since(due))
		if due = due.Add(gap); gap == 0 {
			due = time.Now()
		}
	}
	return took, nil
}

// dialBlocking connects a client that waits in the kernel, not in Go's poller.
func dialBlocking(address string, wire []byte) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		return nil, err
	}
	file.Fd() // makes it blocking
	return &client{file, bufio.NewReaderSize(file, 64<<10), wire}, nil
}
