package transcode

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxSilence is how long a question may go unanswered before a process counts as hung.
	maxSilence = 3 * time.Second
	// writeTimeout bounds a write to a process that does not read.
	writeTimeout = 2 * time.Second
	// A process that lived for provenAfter is replaced at once, others after a wait that doubles.
	provenAfter  = 5 * time.Second
	firstBackOff = 100 * time.Millisecond
	lastBackOff  = 4 * time.Second
)

// Process keeps one process of the composer program running and speaks with it. Set the fields, then Start. Its
// goroutine, run, owns the process.
type Process struct {
	Program string   // path of footlight-composer
	Args    []string // what it is to be, "audio" for example
	Queue   int      // how many messages may wait for it
	// Hear takes what the process says. One goroutine calls it at a time; it must not block for long. An error says that
	// this is not the protocol.
	Hear func(Message) error
	// MaxAnswer is the most bytes of data that a message from the process has.
	MaxAnswer int
	// Remember returns what a new process is to hear first after the one before heard m, given what that was before m.
	Remember func(before []Message, m Message) []Message
	Log      *slog.Logger // nil: slog.Default()

	queue    chan Message
	cancel   context.CancelFunc
	running  sync.WaitGroup
	dropped  atomic.Uint64
	restarts atomic.Uint64
	pid      atomic.Int64
	memory   []Message    // what Remember has returned
	asked    atomic.Int64 // when the oldest question was asked that nothing has answered, in Unix nanoseconds; 0: none
}

// Start starts the process and returns.
func (p *Process) Start() {
	p.queue = make(chan Message, p.Queue)
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	p.running.Go(func() { p.run(ctx) })
}

// Close ends the process and waits for it, and for Hear.
func (p *Process) Close() {
	p.cancel()
	p.running.Wait()
}

// Say sends a message, whose data is not changed any more. It never blocks; false: there is no room.
func (p *Process) Say(m Message) bool {
	select {
	case p.queue <- m:
		return true
	default:
		p.dropped.Add(1)
		return false
	}
}

// Dropped counts the messages that no process took in time, Restarts the processes that were replaced.
func (p *Process) Dropped() uint64 { return p.dropped.Load() }

// Restarts is described at Dropped.
func (p *Process) Restarts() uint64 { return p.restarts.Load() }

// PID is the process now, or 0.
func (p *Process) PID() int { return int(p.pid.Load()) }

func (p *Process) run(ctx context.Context) {
	// Pdeathsig means the death of the thread that started the program: this one lasts as long as it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	log := cmp.Or(p.Log, slog.Default())
	wait := firstBackOff
	for {
		began := time.Now()
		err := p.converse(ctx, log)
		if ctx.Err() != nil {
			return
		}
		p.restarts.Add(1)
		log.Error("a media process is gone and will be replaced", "process", p.Args[0], "reason", err)
		if time.Since(began) > provenAfter {
			wait = firstBackOff
			continue
		}
		// What it heard may be what ended it: the next one hears of that no more than how to read what follows.
		p.memory = slices.DeleteFunc(p.memory, func(m Message) bool { return m.Kind != Config })
		if p.discard(ctx, wait) != nil {
			return
		}
		wait = min(2*wait, lastBackOff)
	}
}

// discard passes over what comes for a while.
func (p *Process) discard(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case m := <-p.queue:
			p.dropped.Add(1)
			p.memory = p.Remember(p.memory, m)
		}
	}
}

// converse runs one process until it fails or ctx ends.
func (p *Process) converse(ctx context.Context, log *slog.Logger) error {
	c, err := p.launch(log)
	if err != nil {
		return err
	}
	p.pid.Store(int64(c.cmd.Process.Pid))
	p.asked.Store(0)
	heard := make(chan error, 1)
	go func() { heard <- p.hear(c.out) }()
	defer func() {
		p.pid.Store(0)
		c.end()
		<-heard
	}()
	for _, m := range p.memory {
		if err := c.say(m); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-heard:
			heard <- err
			return err
		case m := <-p.queue:
			p.memory = p.Remember(p.memory, m)
			if m.Kind != Config {
				now := time.Now().UnixNano()
				if !p.asked.CompareAndSwap(0, now) && now-p.asked.Load() > int64(maxSilence) {
					return errors.New("it does not answer")
				}
			}
			if err := c.say(m); err != nil {
				return err
			}
		}
	}
}

// hear takes what the process says until its end.
func (p *Process) hear(out io.Reader) error {
	r := bufio.NewReader(out)
	for {
		m, err := Read(r, p.MaxAnswer)
		if errors.Is(err, io.EOF) {
			return errors.New("it ended")
		}
		if err == nil {
			p.asked.Store(0)
			err = p.Hear(m)
		}
		if err != nil {
			return fmt.Errorf("it does not speak the protocol: %w", err)
		}
	}
}

// child is one run of the program.
type child struct {
	cmd *exec.Cmd
	in  *os.File // its standard input
	out io.Reader
	log sync.WaitGroup
}

func (p *Process) launch(log *slog.Logger) (*child, error) {
	fail := func(err error) (*child, error) {
		return nil, fmt.Errorf("start %s %s: %w", p.Program, p.Args[0], err)
	}
	theirs, in, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	defer theirs.Close()
	c := &child{cmd: exec.Command(p.Program, p.Args...), in: in}
	c.cmd.Stdin = theirs
	c.cmd.Env = []string{"PATH=/usr/bin:/bin", "GOTRACEBACK=single"}
	// It leaves when its input ends; the signal is for one that hangs. A process group of its own keeps the terminal's
	// Ctrl-C away from it.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stderr, err := c.cmd.StderrPipe()
	if err == nil {
		c.out, err = c.cmd.StdoutPipe()
	}
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		in.Close()
		return fail(err)
	}
	log = log.With("pid", c.cmd.Process.Pid)
	c.log.Go(func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			log.Warn(p.Args[0] + " process: " + lines.Text())
		}
		io.Copy(io.Discard, stderr) // a line too long for the scanner must not block the process
	})
	return c, nil
}

func (c *child) say(m Message) error {
	// A pipe of this kind takes deadlines; if it did not, the write would only block for longer.
	_ = c.in.SetWriteDeadline(time.Now().Add(writeTimeout))
	return m.Write(c.in)
}

// end ends the process and waits until it is gone.
func (c *child) end() {
	// It may be gone already; its id stays taken until Wait.
	_ = c.cmd.Process.Kill()
	c.in.Close()
	c.log.Wait()
	_ = c.cmd.Wait() // killed, or the reason has been told
}
