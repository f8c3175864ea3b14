package transcode

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Kind says what a message is.
type Kind byte

// The kinds of messages. Config and Unit go to the worker, Packet comes from it.
const (
	Config Kind = 'c' // AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1) of the units that follow
	Unit   Kind = 'u' // one AAC access unit
	Packet Kind = 'p' // one Opus packet; without data: a unit could not be used
)

// MaxData is the most bytes that a message carries: an AAC access unit of two channels has at most 1536, with room for
// what encoders put beside the sound.
const MaxData = 4096

// header is a message's kind, its time in nanoseconds and the length of its data, big-endian.
const header = 1 + 8 + 2

// Message is what server and worker say to each other. At is the time of the first sample, on the server's clock.
type Message struct {
	Kind Kind
	At   time.Duration
	Data []byte
}

// Write writes a message in one piece.
func (m Message) Write(w io.Writer) error {
	if len(m.Data) > MaxData {
		return fmt.Errorf("write message: %d bytes of data, at most %d", len(m.Data), MaxData)
	}
	b := make([]byte, 0, header+len(m.Data))
	b = append(b, byte(m.Kind))
	b = binary.BigEndian.AppendUint64(b, uint64(m.At))
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Data)))
	if _, err := w.Write(append(b, m.Data...)); err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	return nil
}

// Read reads a message that owns its data. It returns io.EOF at the end of the stream, and another error for what is no
// message: after that the stream is of no more use.
func Read(r io.Reader) (Message, error) {
	var h [header]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		if err == io.EOF {
			return Message{}, io.EOF
		}
		return Message{}, fmt.Errorf("read message: %w", err)
	}
	m := Message{Kind: Kind(h[0]), At: time.Duration(binary.BigEndian.Uint64(h[1:]))}
	size := int(binary.BigEndian.Uint16(h[9:]))
	switch {
	case m.Kind != Config && m.Kind != Unit && m.Kind != Packet:
		return Message{}, fmt.Errorf("read message: unknown kind %#02x", h[0])
	case size > MaxData:
		return Message{}, fmt.Errorf("read message: %d bytes of data, at most %d", size, MaxData)
	}
	m.Data = make([]byte, size)
	if _, err := io.ReadFull(r, m.Data); err != nil {
		return Message{}, fmt.Errorf("read message: %w", err)
	}
	return m, nil
}
