package composer

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/audio"
	"github.com/footlight-live/footlight/internal/composer/clock"
)

// audioBitRate is what channels take well: 96 to 320 kb/s are allowed (spec: composition §1).
const audioBitRate = 160_000

// sound mixes and encodes one AAC frame per 1024 samples of the composer's clock, for all outputs.
// Unlike the picture it leaves nothing out when the machine is too slow. Its goroutine is run.
type sound struct {
	clock   *clock.Clock
	cast    *atomic.Pointer[cast]
	outputs []*output
	live    *webcast // nil for none
	meters  *meters

	encoder *av.AACEncoder
	config  mpeg4audio.AudioSpecificConfig
	mixer   audio.Mixer
	playing []*audio.Timeline // those mixed last: who leaves plays to the end
	silent  silence
	ticked  atomic.Int64
}

// open makes the encoder; run closes it.
func (s *sound) open() error {
	encoder, err := av.NewAACEncoder(audioBitRate)
	if err != nil {
		return err
	}
	if err := s.config.Unmarshal(encoder.Config()); err != nil {
		encoder.Close()
		return fmt.Errorf("read the AAC configuration: %w", err)
	}
	s.encoder = encoder
	return nil
}

// run makes frames until ctx ends. Frame n holds the sound of 1024 samples from n*1024 - Delay on; its
// timestamp says so, so that the encoder's delay does not become a lip sync error.
func (s *sound) run(ctx context.Context) error {
	defer s.encoder.Close()
	defer s.live.close()
	pcm := make([]float32, 2*audio.Block)
	n := int64(0)
	for sleep(ctx, s.clock.Until(clock.Ticks(s.mixer.Next()+audio.Block, audio.Rate))) {
		began := s.clock.Now()
		s.ticked.Store(int64(began))
		s.gather()
		at := s.mixer.Next()
		s.mixer.Mix(pcm, s.playing)
		if err := s.live.listen(pcm, at); err != nil {
			return err
		}
		s.silent.listen(began, pcm, s.playing)
		coded, err := s.encoder.Encode(pcm)
		if err != nil {
			return fmt.Errorf("encode audio frame %d: %w", n, err)
		}
		if coded == nil {
			continue
		}
		now := s.clock.Now()
		s.meters.mix.add(now, now-began)
		pts := clock.Ticks(n*audio.Block-int64(s.encoder.Delay()), audio.Rate)
		n++
		if pts < 0 {
			continue // priming
		}
		p := &packet{pts: pts, data: bytes.Clone(coded), made: now}
		for _, o := range s.outputs {
			o.offer(p)
		}
	}
	return nil
}

// gather lists the timelines of everybody on stage, and of those who left as long as they have sound.
func (s *sound) gather() {
	now := s.cast.Load().timelines()
	for _, t := range s.playing {
		if t.Sounds() && !slices.Contains(now, t) {
			now = append(now, t)
		}
	}
	s.playing = now
}

// behind is how long ago a loop last ticked.
func behind(c *clock.Clock, ticked *atomic.Int64) time.Duration {
	return c.Now() - time.Duration(ticked.Load())
}
