package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// maxLine bounds one message. A heartbeat of 12 participants has about 8 kB; the images of a scene, 16 MiB at most,
// take a third more as base64.
const maxLine = 24 << 20

// writeTimeout bounds a Send, so that a peer that hangs never holds up the sender.
const writeTimeout = 2 * time.Second

// Conn is one end of the socket. Send may be called from any goroutine, Receive from one.
type Conn struct {
	rw io.ReadWriteCloser
	r  *bufio.Reader
	mu sync.Mutex // serialises Send
}

// NewConn speaks the protocol over rw and owns it from now on.
func NewConn(rw io.ReadWriteCloser) *Conn {
	return &Conn{rw: rw, r: bufio.NewReaderSize(rw, 16<<10)}
}

// Send writes one message. It blocks for at most two seconds where the socket supports deadlines.
func (c *Conn) Send(m Message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d, ok := c.rw.(interface{ SetWriteDeadline(time.Time) error }); ok {
		// A socket without deadlines merely blocks for longer.
		_ = d.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
	if _, err := c.rw.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	return nil
}

// Receive reads the next message. It returns io.EOF when the peer has closed, and another error for
// anything that is not a message: after that the connection is of no more use.
func (c *Conn) Receive() (Message, error) {
	var line []byte
	for {
		part, err := c.r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return Message{}, errors.New("receive message: line too long")
		}
		if err == nil {
			return Decode(line)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return Message{}, io.EOF
		}
		return Message{}, fmt.Errorf("receive message: %w", err)
	}
}

// Close ends the connection; a Receive that waits returns.
func (c *Conn) Close() error { return c.rw.Close() }

// Decode reads one line. Exactly one member must be set.
func Decode(line []byte) (Message, error) {
	var m Message
	d := json.NewDecoder(bytes.NewReader(line))
	if err := d.Decode(&m); err != nil {
		return Message{}, fmt.Errorf("decode message: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Message{}, errors.New("decode message: more than one value on a line")
	}
	n := 0
	for _, set := range []bool{m.Job != nil, m.Scene != nil, m.Stop != nil, m.Ready != nil, m.Heartbeat != nil, m.Destination != nil, m.Stopped != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return Message{}, fmt.Errorf("decode message: want exactly one member, got %d", n)
	}
	return m, nil
}
