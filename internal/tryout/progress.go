package tryout

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Progress shows each step of something: what is being done while it runs, then how long it took.
// On a terminal the line is rewritten in place; elsewhere only the finished line is printed.
type Progress struct {
	out      io.Writer
	terminal bool
}

// NewProgress writes to out.
func NewProgress(out io.Writer) *Progress {
	p := &Progress{out: out}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// Step runs f under a name and reports it. The error is returned as it is.
func (p *Progress) Step(name string, f func() error) error {
	return p.Find(name, func() (string, error) { return "", f() })
}

// NotTried is the error of a step that does not apply, with the reason. It is shown as such, and is no failure.
type NotTried string

func (n NotTried) Error() string { return "not tried: " + string(n) }

// Find runs f under a name and reports what it found. The error is returned as it is, but for NotTried.
func (p *Progress) Find(name string, f func() (string, error)) error {
	start := time.Now()
	if p.terminal {
		fmt.Fprintf(p.out, "  … %s", name)
	}
	found, err := f()
	mark, again := "✓", ""
	if why, ok := errors.AsType[NotTried](err); ok {
		mark, found, err = "–", why.Error(), nil
	} else if err != nil {
		mark = "✗"
	}
	if p.terminal {
		again = "\r\x1b[K"
	}
	line := fmt.Sprintf("  %s %-50s %5.1f s   %s", mark, name, time.Since(start).Seconds(), found)
	fmt.Fprintln(p.out, again+strings.TrimRight(line, " "))
	return err
}
