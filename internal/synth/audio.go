package synth

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/synth/signal"
)

const (
	packetSamples = signal.SampleRate / 50 // 20 ms
	// opusDelay is what libopus looks ahead with its audio application at 48 kHz: 2.5 ms for the
	// transform's overlap and 4 ms for delay compensation. A decoder's sample n is the encoder's n-312.
	opusDelay = 312
)

// sendAudio encodes and sends sound until ctx ends: a packet leaves when its last sample is due.
func (s *session) sendAudio(ctx context.Context) error {
	p := s.publisher
	encoder, err := av.NewOpusEncoder(p.Audio)
	if err != nil {
		return err
	}
	defer encoder.Close()
	pcm := make([]float32, 2*packetSamples)
	packet := make([]byte, 1500)
	for first := signal.SampleAt(p.now()); ; first += packetSamples {
		// After a stall of more than a second the sound goes on from now: nobody wants the old one.
		if late := signal.SampleAt(p.now()) - first; late > signal.SampleRate {
			first += late / packetSamples * packetSamples
		}
		if err := p.sleepUntil(ctx, signal.TimeOf(first+packetSamples)); err != nil {
			return err
		}
		faults := p.currentFaults()
		if faults.Silent || faults.PauseAudio {
			continue
		}
		if p.currentMuted().Audio {
			clear(pcm)
		} else {
			signal.FillSound(pcm, p.Index, first+opusDelay)
		}
		n, err := encoder.Encode(pcm, packet)
		if err != nil {
			return fmt.Errorf("encode sample %d: %w", first, err)
		}
		payload := packet[:n]
		if faults.Garbage {
			payload = noise(1 + rand.IntN(200))
		}
		if err := s.audio.write(s.audio.clock.base+uint32(first), false, payload); err != nil {
			return err
		}
	}
}
