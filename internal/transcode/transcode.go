// Package transcode turns AAC into Opus by a process of the composer program, "footlight-composer audio".
//
// Guarantees:
//   - The server never decodes: bytes of strangers meet C code in the process only.
//   - A process that crashes, hangs or talks nonsense is replaced; sound comes back and what came meanwhile is lost.
//   - The caller is never blocked: what a process cannot take in time is dropped and counted.
//   - The time of a packet is the time of its sound: what decoder, resampler and encoder delay is taken out.
//   - The process ends with the server, however that ends.
//
// The process reads messages (wire.go) from its standard input and writes them to its standard output; it logs to its
// standard error. Its side is package worker, which links C code and belongs into the composer program only.
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
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// queueLength is how many messages may wait for the process: about 1.4 s of sound.
	queueLength = 64
	// maxSilence is how many units may go unanswered, about 3 s of sound, before the process counts as hung.
	maxSilence = 150
	// writeTimeout bounds a write to a process that does not read.
	writeTimeout = 2 * time.Second
	// A process that lived for provenAfter is replaced at once, others after a wait that doubles.
	provenAfter  = 5 * time.Second
	firstBackOff = 100 * time.Millisecond
	lastBackOff  = 4 * time.Second
)

// Transcoder is one sound on its way from AAC to Opus. Set the fields, then Start. Its goroutine, run, owns the process.
type Transcoder struct {
	Program string // path of footlight-composer
	// Packet takes 20 ms of Opus. One goroutine calls it at a time; it must not block.
	Packet func(at time.Duration, opus []byte)
	Log    *slog.Logger // nil: slog.Default()

	queue    chan Message
	cancel   context.CancelFunc
	running  sync.WaitGroup
	dropped  atomic.Uint64
	restarts atomic.Uint64
	pid      atomic.Int64
}

// Start starts the process and returns.
func (t *Transcoder) Start() {
	t.queue = make(chan Message, queueLength)
	var ctx context.Context
	ctx, t.cancel = context.WithCancel(context.Background())
	t.running.Go(func() { t.run(ctx) })
}

// Close ends the process and waits for it.
func (t *Transcoder) Close() {
	t.cancel()
	t.running.Wait()
}

// Config tells what the units that follow are: an AudioSpecificConfig.
func (t *Transcoder) Config(config []byte) { t.put(Message{Kind: Config, Data: config}) }

// Unit takes one AAC access unit, which is not changed any more. It never blocks.
func (t *Transcoder) Unit(at time.Duration, unit []byte) {
	t.put(Message{Kind: Unit, At: at, Data: unit})
}

func (t *Transcoder) put(m Message) {
	select {
	case t.queue <- m:
	default:
		t.dropped.Add(1)
	}
}

// Dropped counts the messages that the process did not take in time, Restarts the processes that were replaced.
func (t *Transcoder) Dropped() uint64 { return t.dropped.Load() }

// Restarts is described at Dropped.
func (t *Transcoder) Restarts() uint64 { return t.restarts.Load() }

// PID is the process now, or 0.
func (t *Transcoder) PID() int { return int(t.pid.Load()) }

func (t *Transcoder) run(ctx context.Context) {
	// Pdeathsig means the death of the thread that started the program: this one lasts as long as it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	log := cmp.Or(t.Log, slog.Default())
	var config []byte
	wait := firstBackOff
	for {
		began := time.Now()
		err := t.converse(ctx, &config, log)
		if ctx.Err() != nil {
			return
		}
		t.restarts.Add(1)
		log.Error("the audio process is gone and will be replaced", "reason", err)
		if time.Since(began) > provenAfter {
			wait = firstBackOff
			continue
		}
		if t.discard(ctx, &config, wait) != nil {
			return
		}
		wait = min(2*wait, lastBackOff)
	}
}

// discard passes over what comes for a while; it keeps the configuration.
func (t *Transcoder) discard(ctx context.Context, config *[]byte, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case m := <-t.queue:
			t.dropped.Add(1)
			if m.Kind == Config {
				*config = m.Data
			}
		}
	}
}

// converse runs one process until it fails or ctx ends.
func (t *Transcoder) converse(ctx context.Context, config *[]byte, log *slog.Logger) error {
	p, err := launch(t.Program, log)
	if err != nil {
		return err
	}
	t.pid.Store(int64(p.cmd.Process.Pid))
	var answered atomic.Bool
	heard := make(chan error, 1)
	go func() { heard <- t.hear(p.out, &answered) }()
	defer func() {
		t.pid.Store(0)
		p.end()
		<-heard
	}()
	if *config != nil {
		if err := p.say(Message{Kind: Config, Data: *config}); err != nil {
			return err
		}
	}
	silent := 0
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-heard:
			heard <- err
			return err
		case m := <-t.queue:
			if m.Kind == Config {
				*config = m.Data
			} else if silent++; answered.Swap(false) {
				silent = 0
			}
			if silent > maxSilence {
				return errors.New("it does not answer")
			}
			if err := p.say(m); err != nil {
				return err
			}
		}
	}
}

// hear takes what the process says until its end.
func (t *Transcoder) hear(out io.Reader, answered *atomic.Bool) error {
	r := bufio.NewReader(out)
	for {
		m, err := Read(r)
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("it ended")
		case err != nil:
			return err
		case m.Kind != Packet:
			return fmt.Errorf("it does not speak the protocol: message %q", m.Kind)
		}
		answered.Store(true)
		if len(m.Data) > 0 {
			t.Packet(m.At, m.Data)
		}
	}
}

// process is one run of the program.
type process struct {
	cmd *exec.Cmd
	in  *os.File // its standard input
	out io.Reader
	log sync.WaitGroup
}

func launch(program string, log *slog.Logger) (*process, error) {
	fail := func(err error) (*process, error) {
		return nil, fmt.Errorf("start the audio process %s: %w", program, err)
	}
	theirs, in, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	defer theirs.Close()
	p := &process{cmd: exec.Command(program, "audio"), in: in}
	p.cmd.Stdin = theirs
	p.cmd.Env = []string{"PATH=/usr/bin:/bin", "GOTRACEBACK=single"}
	// It leaves when its input ends; the signal is for one that hangs. A process group of its own keeps the terminal's
	// Ctrl-C away from it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stderr, err := p.cmd.StderrPipe()
	if err == nil {
		p.out, err = p.cmd.StdoutPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		in.Close()
		return fail(err)
	}
	log = log.With("pid", p.cmd.Process.Pid)
	p.log.Go(func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			log.Warn("audio process: " + lines.Text())
		}
		io.Copy(io.Discard, stderr) // a line too long for the scanner must not block the process
	})
	return p, nil
}

func (p *process) say(m Message) error {
	// A pipe of this kind takes deadlines; if it did not, the write would only block for longer.
	_ = p.in.SetWriteDeadline(time.Now().Add(writeTimeout))
	return m.Write(p.in)
}

// end ends the process and waits until it is gone.
func (p *process) end() {
	// It may be gone already; its id stays taken until Wait.
	_ = p.cmd.Process.Kill()
	p.in.Close()
	p.log.Wait()
	_ = p.cmd.Wait() // killed, or the reason has been told
}
