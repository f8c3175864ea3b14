package demo

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress shows each step of the demo: what is being done while it runs, then how long it took.
// On a terminal the line is rewritten in place; elsewhere only the finished line is printed.
type progress struct {
	out      io.Writer
	terminal bool
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// step runs f under a name and reports it. The error is returned as it is.
func (p *progress) step(name string, f func() error) error {
	start := time.Now()
	if p.terminal {
		fmt.Fprintf(p.out, "  … %s", name)
	}
	err := f()
	mark, again := "✓", ""
	if err != nil {
		mark = "✗"
	}
	if p.terminal {
		again = "\r\x1b[K"
	}
	fmt.Fprintf(p.out, "%s  %s %-50s %5.1f s\n", again, mark, name, time.Since(start).Seconds())
	return err
}
