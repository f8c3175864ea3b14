package transcode

import (
	"fmt"
	"log/slog"
	"time"
)

// The kinds of messages of "footlight-composer audio", beside Config: an AudioSpecificConfig (ISO/IEC 14496-3 section
// 1.6.2.1) of the units that follow.
const (
	Unit   Kind = 'u' // one AAC access unit
	Packet Kind = 'p' // one Opus packet; without data: a unit could not be used
)

// MaxSound is the most bytes of a sound's messages: an AAC access unit of two channels has at most 1536, with room for
// what encoders put beside the sound.
const MaxSound = 4096

// queueLength is how many messages may wait for the process: about 1.4 s of sound.
const queueLength = 64

// Transcoder is one sound on its way from AAC to Opus. Set the fields, then Start.
type Transcoder struct {
	Program string // path of footlight-composer
	// Packet takes 20 ms of Opus. One goroutine calls it at a time; it must not block.
	Packet func(at time.Duration, opus []byte)
	Log    *slog.Logger // nil: slog.Default()

	process Process
}

// Start starts the process and returns.
func (t *Transcoder) Start() {
	t.process = Process{
		Program: t.Program, Args: []string{"audio"}, Queue: queueLength, MaxAnswer: MaxSound, Log: t.Log, Hear: t.hear,
		Remember: func(before []Message, m Message) []Message {
			if m.Kind == Config {
				return []Message{m}
			}
			return before
		},
	}
	t.process.Start()
}

// Close ends the process and waits for it.
func (t *Transcoder) Close() { t.process.Close() }

// Dropped counts the messages that no process took in time, Restarts the processes that were replaced.
func (t *Transcoder) Dropped() uint64 { return t.process.Dropped() }

// Restarts is described at Dropped.
func (t *Transcoder) Restarts() uint64 { return t.process.Restarts() }

// PID is the process now, or 0.
func (t *Transcoder) PID() int { return t.process.PID() }

// Config tells what the units that follow are.
func (t *Transcoder) Config(config []byte) { t.process.Say(Message{Kind: Config, Data: config}) }

// Unit takes one AAC access unit, which is not changed any more. It never blocks.
func (t *Transcoder) Unit(at time.Duration, unit []byte) {
	t.process.Say(Message{Kind: Unit, At: at, Data: unit})
}

func (t *Transcoder) hear(m Message) error {
	if m.Kind != Packet {
		return fmt.Errorf("message %q", m.Kind)
	}
	if len(m.Data) > 0 {
		t.Packet(m.At, m.Data)
	}
	return nil
}
