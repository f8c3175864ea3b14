package transcode

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Kind says what a message is. Each process has its own kinds.
type Kind byte

// Config is how to read what follows, for processes that have to be told. All other kinds of messages to a process want
// an answer.
const Config Kind = 'c'

// header is a message's kind, its time in nanoseconds and the length of its data, big-endian.
const header = 1 + 8 + 4

// Message is what server and process say to each other. At is a time on the server's clock, of the first sample or of
// the picture.
type Message struct {
	Kind Kind
	At   time.Duration
	Data []byte
}

// Write writes a message in one piece.
func (m Message) Write(w io.Writer) error {
	b := make([]byte, 0, header+len(m.Data))
	b = append(b, byte(m.Kind))
	b = binary.BigEndian.AppendUint64(b, uint64(m.At))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Data)))
	if _, err := w.Write(append(b, m.Data...)); err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	return nil
}

// Read reads a message of at most so many bytes of data, which it owns. It returns io.EOF at the end of the stream, and
// another error for what is no message: after that the stream is of no more use.
func Read(r io.Reader, most int) (Message, error) {
	var h [header]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		if err == io.EOF {
			return Message{}, io.EOF
		}
		return Message{}, fmt.Errorf("read message: %w", err)
	}
	m := Message{Kind: Kind(h[0]), At: time.Duration(binary.BigEndian.Uint64(h[1:]))}
	size := binary.BigEndian.Uint32(h[9:])
	if uint64(size) > uint64(most) {
		return Message{}, fmt.Errorf("read message: %d bytes of data, at most %d", size, most)
	}
	m.Data = make([]byte, size)
	if _, err := io.ReadFull(r, m.Data); err != nil {
		return Message{}, fmt.Errorf("read message: %w", err)
	}
	return m, nil
}
