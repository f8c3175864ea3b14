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

// measure finds out what the publisher sends until ctx ends, and has it ended when that is too much, or not allowed.
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
		refusal := offence(p.video.layers, p.server.maxLines())
		if limit := p.server.maxBitRate(); refusal == nil && total > uint64(limit)*measureWindow {
			refusal = refuse(BitrateExceeded, "the publisher sends %d kbit/s, more than the %d kbit/s allowed for all layers together", total/measureWindow/1000, limit/1000)
		}
		if refusal != nil && !p.grant.Hidden {
			p.stage.tell(ctx, publisherExceeded{p, refusal})
			return
		}
	}
}

// offence says what about the pictures is not allowed: they are too large, or there are B-frames.
func offence(layers []*source, lines int) *Error {
	for _, src := range layers {
		if src.reordered.Load() {
			return refuse(BFramePresent, "the publisher sends B-frames; turn them off in the encoder")
		}
		if is := src.pictures(); !is.within(lines) {
			return refuse(ResolutionExceeded, "the publisher sends pictures of %dx%d, more than the %dp allowed", is.width, is.height, lines)
		}
	}
	return nil
}

// within tells whether the shorter side is at most lines, and the longer one at most 16/9 of that.
func (s size) within(lines int) bool {
	return min(s.width, s.height) <= lines && 9*max(s.width, s.height) <= 16*lines
}
