package tryout

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"syscall"
)

// publisher is what `footlight-composer publish` reads of each synthetic participant.
// The encoders are C code, which lives in the composer program only.
type publisher struct {
	WHIPURL string `json:"whipUrl"`
	Token   string `json:"token"`
	Name    string `json:"name"`
	Index   int    `json:"index"`
}

// Publishers is the process that plays the synthetic participants.
type Publishers struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	Ended <-chan error // gets one value when the process is gone
}

// StartPublishers starts the process: a participant for each name, with the token of the same place. Tokens go through
// standard input only.
func StartPublishers(composer, whipURL string, names, tokens []string, log *slog.Logger) (*Publishers, error) {
	list := make([]publisher, len(names))
	for i := range names {
		list[i] = publisher{WHIPURL: whipURL, Token: tokens[i], Name: names[i], Index: i}
	}
	ended := make(chan error, 1)
	p := &Publishers{cmd: exec.Command(composer, "publish"), Ended: ended}
	// The terminal's Ctrl-C goes to the whole process group: this process is ended by us, in its turn.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the participants: %w", err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start the participants: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the participants: %w: build both programs with `make build`", err)
	}
	go func() {
		lines := bufio.NewScanner(stdout)
		last := ""
		for lines.Scan() {
			last = lines.Text()
			log.Info("participants", "line", last)
		}
		err := p.cmd.Wait()
		if err == nil {
			err = errors.New(last)
		}
		ended <- err
	}()
	if err := json.NewEncoder(p.stdin).Encode(list); err != nil {
		p.Close()
		return nil, fmt.Errorf("start the participants: %w", err)
	}
	return p, nil
}

// Close says goodbye to the stage for everybody and waits until the process is gone.
func (p *Publishers) Close() {
	p.stdin.Close()
	<-p.Ended
}
