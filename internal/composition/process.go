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

// process is one run of the composer program. The composition's goroutine owns it.
type process struct {
	cmd      *exec.Cmd
	conn     *wire.Conn
	messages chan wire.Message // closed after the last one; then wait for exited
	exited   chan struct{}     // closed when the program is gone and everything of it has been read
	err      error             // how it ended; read it after exited
	stop     context.CancelFunc
}

// launch starts the composer program with a socket at descriptor 3 and gives it its job.
func launch(program string, job wire.Job, log *slog.Logger) (*process, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("start the composer: %w", err)
	}
	defer theirs.Close()
	cmd := exec.Command(program)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "GOTRACEBACK=single"}
	cmd.ExtraFiles = []*os.File{theirs}
	// It leaves when its socket closes; the signal is for one that is stopped or hangs. A process group of its
	// own keeps the terminal's Ctrl-C away from it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("start the composer %s: %w", program, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &process{cmd: cmd, conn: wire.NewConn(ours), messages: make(chan wire.Message), exited: make(chan struct{}), stop: stop}
	started := make(chan error)
	go func() {
		defer close(p.exited)
		// Pdeathsig means the death of the thread that started the program: this one lasts as long as it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		log := log.With("pid", cmd.Process.Pid)
		var readers sync.WaitGroup
		readers.Go(func() { forwardLog(stderr, log) })
		readers.Go(func() { p.receive(ctx, log) })
		readers.Wait()
		p.err = cmd.Wait()
		p.conn.Close()
	}()
	if err := <-started; err != nil {
		stop()
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
func (p *process) receive(ctx context.Context, log *slog.Logger) {
	defer close(p.messages)
	for {
		m, err := p.conn.Receive()
		if err != nil {
			if err != io.EOF && ctx.Err() == nil {
				log.Error("the composer does not speak the protocol", "error", err)
			}
			p.signalKill()
			return
		}
		select {
		case p.messages <- m:
		case <-ctx.Done():
			return
		}
	}
}

// kill ends the program at once and waits until it is gone.
func (p *process) kill() {
	p.stop()
	p.signalKill()
	p.conn.Close()
	<-p.exited
}

// signalKill kills the program and whatever it has started, which could hold its log open.
func (p *process) signalKill() {
	// An error means that it is gone already: its id stays taken until exited.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
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
