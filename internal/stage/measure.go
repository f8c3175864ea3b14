package stage

import (
	"context"
	"time"
)

const (
	measureInterval = time.Second
	// measureWindow is over how many intervals the limit counts: a key frame is no offence.
	measureWindow = 10
)

// measure finds out how much the publisher sends until ctx ends, and has it ended when that is too much.
func (p *publisher) measure(ctx context.Context) {
	ticker := time.NewTicker(measureInterval)
	defer ticker.Stop()
	sources := append(p.audio.layers[:1:1], p.video.layers...)
	before := make([]uint64, len(sources))
	var window [measureWindow]uint64 // bits, by interval
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		sum := uint64(0)
		for i, src := range sources {
			now := src.bytes.Load()
			bits := 8 * (now - before[i])
			src.bitRate.Store(bits)
			sum += bits
			before[i] = now
		}
		window[n%measureWindow] = sum
		total := uint64(0)
		for _, bits := range window {
			total += bits
		}
		if limit := p.server.maxBitRate(); total > uint64(limit)*measureWindow {
			refusal := refuse(BitrateExceeded, "the publisher sends %d kbit/s, more than the %d kbit/s allowed for all layers together", total/measureWindow/1000, limit/1000)
			p.stage.tell(ctx, publisherExceeded{p, refusal})
			return
		}
	}
}
