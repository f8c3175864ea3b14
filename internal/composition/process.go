package composition

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"github.com/footlight-live/footlight/internal/composer/wire"
)

// process is one run of a composer. The composition's goroutine owns it.
type process struct {
	pid      int
	conn     *wire.Conn
	messages chan wire.Message      // closed after the last one; then wait for exited
	exited   chan struct{}          // closed when the program is gone and everything of it has been read
	err      error                  // how it ended; read it after exited
	signal   func()                 // ends the program at once, without waiting
	resident func() (uint64, error) // bytes of memory

	ctx  context.Context // of receive
	stop context.CancelFunc
}

// newProcess is a process that speaks over a connection, and is run by whoever closes exited at its end.
func newProcess(conn io.ReadWriteCloser) *process {
	p := &process{conn: wire.NewConn(conn), messages: make(chan wire.Message, 64), exited: make(chan struct{})}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// memoryTunables make the C library give large blocks, which pictures are, back to the system at once when somebody
// leaves (without this it kept nine tenths of what twelve decoders of 720p had), and keep few heaps for small ones.
const memoryTunables = "glibc.malloc.mmap_threshold=262144:glibc.malloc.arena_max=2"

// launch starts the composer program with a socket at descriptor 3 and gives it its job.
func launch(program string, job wire.Job, maxMemory uint64, log *slog.Logger) (*process, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("start the composer: %w", err)
	}
	defer theirs.Close()
	cmd := exec.Command(program)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "GOTRACEBACK=single", "GLIBC_TUNABLES=" + memoryTunables}
	cmd.ExtraFiles = []*os.File{theirs}
	// It leaves when its socket closes; the signal is for one that is stopped or hangs. A process group of its
	// own keeps the terminal's Ctrl-C away from it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("start the composer %s: %w", program, err)
	}
	p := newProcess(ours)
	started := make(chan error)
	go func() {
		defer close(p.exited)
		// Pdeathsig means the death of the thread that started the program: this one lasts as long as it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		// It ends the program and whatever that has started, which could hold its log open. An error means that it is
		// gone already: its id stays taken until exited.
		p.signal = func() { _ = syscall.Kill(-p.pid, syscall.SIGKILL) }
		p.resident = func() (uint64, error) { return residentMemory(p.pid) }
		started <- nil
		log := log.With("pid", p.pid)
		if err := limitMemory(p.pid, maxMemory); err != nil {
			log.Warn("the composer's memory is watched, but not limited by the system", "error", err)
		}
		var readers sync.WaitGroup
		readers.Go(func() { forwardLog(stderr, log) })
		readers.Go(func() { p.receive(log) })
		readers.Wait()
		p.err = cmd.Wait()
		p.conn.Close()
	}()
	if err := <-started; err != nil {
		p.stop()
		ours.Close()
		return nil, fmt.Errorf("start the composer %s: %w", program, err)
	}
	if err := p.conn.Send(wire.Message{Job: &job}); err != nil {
		p.kill()
		return nil, fmt.Errorf("give the composer its job: %w", err)
	}
	return p, nil
}

// socketPair returns our end as a connection and the child's end as a file.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "composer")
	file := os.NewFile(uintptr(fds[0]), "server")
	defer file.Close() // FileConn works on a copy
	ours, err := net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	return ours, theirs, nil
}

// receive passes on what the composer says, until it closes its end or talks nonsense: then it is ended.
func (p *process) receive(log *slog.Logger) {
	defer close(p.messages)
	for {
		m, err := p.conn.Receive()
		if err != nil {
			if err != io.EOF && p.ctx.Err() == nil {
				log.Error("the composer does not speak the protocol", "error", err)
			}
			p.signal()
			return
		}
		select {
		case p.messages <- m:
		case <-p.ctx.Done():
			return
		}
	}
}

// kill ends the program at once and waits until it is gone.
func (p *process) kill() {
	p.stop()
	p.signal()
	p.conn.Close()
	<-p.exited
}

// forwardLog turns the composer's JSON log lines into ours.
func forwardLog(r io.Reader, log *slog.Logger) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var line map[string]any
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			log.Warn("composer: " + lines.Text())
			continue
		}
		var level slog.Level
		text, _ := line["level"].(string)
		if level.UnmarshalText([]byte(text)) != nil {
			level = slog.LevelInfo
		}
		message, _ := line["msg"].(string)
		for _, key := range []string{"time", "level", "msg", "component", "composition"} {
			delete(line, key)
		}
		var args []any
		for key, value := range line {
			args = append(args, key, value)
		}
		log.Log(context.Background(), level, "composer: "+message, args...)
	}
	io.Copy(io.Discard, r) // a line too long for the scanner must not block the composer
}
