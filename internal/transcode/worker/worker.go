// Package worker is what runs in the audio process: it decodes AAC and encodes Opus. See package transcode.
package worker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/transcode"
)

const (
	// bitRate of the Opus that others hear, in bits per second: what IVS takes as AAC, 160 kbit/s, sounds no better.
	bitRate  = 96_000
	goMemory = 32 << 20 // bytes
)

// Process is the whole of "footlight-composer audio".
func Process(in io.Reader, out io.Writer, log *slog.Logger) error {
	transcode.Confine(goMemory, log)
	return Run(in, out, log)
}

// Run turns the units that it reads into packets until the input ends.
func Run(in io.Reader, out io.Writer, log *slog.Logger) error {
	encoder, err := av.NewOpusEncoder(bitRate)
	if err != nil {
		return err
	}
	defer encoder.Close()
	w := &worker{encoder: encoder, out: out, log: log, pcm: make([]float32, 2*av.MaxAACSamples)}
	defer w.close()
	r := bufio.NewReader(in)
	for {
		m, err := transcode.Read(r, transcode.MaxSound)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = w.take(m)
		}
		if err != nil {
			return err
		}
	}
}

type worker struct {
	encoder  *av.OpusEncoder
	decoder  *av.AACDecoder // nil before the first good configuration
	out      io.Writer
	log      *slog.Logger
	timeline timeline
	pcm      []float32 // of one unit
	packet   [1500]byte
	damaged  int
	warned   time.Time
}

// take handles one message. An error is of the streams: sound that cannot be decoded is passed over.
func (w *worker) take(m transcode.Message) error {
	switch m.Kind {
	case transcode.Config:
		w.close()
		var err error
		if w.decoder, err = open(m.Data); err != nil {
			w.log.Warn("the sound cannot be decoded", "error", err)
		}
		return nil
	case transcode.Unit:
		if err := w.decode(m); err != nil {
			w.complain(err)
			return transcode.Message{Kind: transcode.Packet, At: m.At}.Write(w.out)
		}
		return w.encode()
	}
	return fmt.Errorf("message %q is not for the worker", m.Kind)
}

func open(config []byte) (*av.AACDecoder, error) {
	var c mpeg4audio.AudioSpecificConfig
	if err := c.Unmarshal(config); err != nil {
		return nil, fmt.Errorf("read AAC parameters: %w", err)
	}
	return av.NewAACDecoder(config, c.SampleRate, int(c.ChannelConfig))
}

func (w *worker) decode(m transcode.Message) error {
	if w.decoder == nil {
		return errors.New("there is no decoder")
	}
	n, early, err := w.decoder.Decode(m.Data, w.pcm)
	if err == nil && n > 0 {
		w.timeline.add(samples(m.At)-int64(early), w.pcm[:2*n])
	}
	return err
}

// encode sends all whole packets.
func (w *worker) encode() error {
	for {
		at, pcm := w.timeline.take()
		if pcm == nil {
			return nil
		}
		n, err := w.encoder.Encode(pcm, w.packet[:])
		if err != nil {
			return err
		}
		m := transcode.Message{Kind: transcode.Packet, At: duration(at - int64(w.encoder.Delay())), Data: w.packet[:n]}
		if err := m.Write(w.out); err != nil {
			return err
		}
	}
}

func (w *worker) complain(err error) {
	w.damaged++
	if now := time.Now(); now.Sub(w.warned) >= time.Second {
		w.log.Warn("AAC could not be decoded", "units", w.damaged, "error", err)
		w.damaged, w.warned = 0, now
	}
}

func (w *worker) close() {
	if w.decoder != nil {
		w.decoder.Close()
		w.decoder = nil
	}
}
