package composer

import (
	"context"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/audio"
	"github.com/footlight-live/footlight/internal/composer/clock"
)

// runAudio decodes an Opus track onto the participant's timeline until the packets end.
func (s *session) runAudio(ctx context.Context, packets <-chan rtpPacket) {
	decoder, err := av.NewOpusDecoder()
	if err != nil {
		s.log.Error("no audio decoder", "participant", s.id, "reason", err)
		return
	}
	defer decoder.Close()
	r := &audio.Receiver{Decoder: decoder, Timeline: s.timeline, Due: func(ts int64) time.Duration { return s.sync.Due(clock.Audio, ts) }}
	defer r.End()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var decoded, lost uint64
	for {
		select {
		case <-ctx.Done():
			return
		case p, ok := <-packets:
			if !ok {
				return
			}
			s.sync.Complete(clock.Audio, p.ts, p.arrival)
			r.Push(p.seq, p.ts, p.payload)
		case <-timer.C:
		}
		now := s.clock.Now()
		wait := time.Hour
		if again, waiting := r.Run(now); waiting {
			wait = max(again-now, time.Millisecond)
		}
		timer.Reset(wait)
		if r.Decoded() != decoded {
			s.mu.Lock()
			s.lastAudio, s.everAudio = now, true
			s.mu.Unlock()
		}
		s.decoded.Add(r.Decoded() - decoded)
		s.lost.Add(r.Lost() - lost)
		decoded, lost = r.Decoded(), r.Lost()
	}
}
