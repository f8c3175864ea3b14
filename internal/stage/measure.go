package stage

import (
	"context"
	"slices"
	"time"
)

const (
	measureInterval = time.Second
	// measureWindow is over how many intervals the limit counts: a key frame is no offence.
	measureWindow = 10
	// maxPacketRate is four times what the most bits take in packets of the usual size: a packet costs the stage as
	// much as another one, however small it is.
	maxPacketRate = 4000 // a second
	// minBSlices is how many B slices a check must find before they are believed: encoders with B-frames send more, even at 10
	// pictures a second, while of random packets less than one in 300 looks like one.
	minBSlices = 4
)

// measure finds out what the publisher sends until ctx ends, and has it ended when that is too much, or not allowed.
func (p *publisher) measure(ctx context.Context) {
	ticker := time.NewTicker(measureInterval)
	defer ticker.Stop()
	before := make(map[*source]uint64)
	var window [measureWindow]uint64 // bits, by interval
	var layers []layerState
	var packets [measureWindow]uint64
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if now := p.video.states(time.Now()); !slices.EqualFunc(now, layers, layerState.same) {
			layers = now
			p.stage.tell(ctx, layersChanged{})
		}
		sum, count := uint64(0), uint64(0)
		for _, src := range slices.Concat(p.audio.layers(), p.video.layers()) {
			now := src.bytes.Load()
			bits := 8 * (now - before[src])
			src.bitRate.Store(bits)
			sum += bits
			before[src] = now
			count += src.packets.Load()
		}
		// The count of one window ago is in the place that is about to be used again.
		if in := count - packets[n%measureWindow]; n >= measureWindow && in > maxPacketRate*measureWindow {
			refusal := refuse(BitrateExceeded, "the publisher sends %d packets a second, more than the %d allowed", in/measureWindow, maxPacketRate)
			p.stage.tell(ctx, publisherExceeded{p, refusal})
			return
		}
		packets[n%measureWindow] = count
		window[n%measureWindow] = sum
		total := uint64(0)
		for _, bits := range window {
			total += bits
		}
		refusal := p.server.offence(p.video.layers())
		if limit := p.server.maxBitRate(); refusal == nil && total > uint64(limit)*measureWindow {
			refusal = refuse(BitrateExceeded, "the publisher sends %d kbit/s, more than the %d kbit/s allowed for all layers together", total/measureWindow/1000, limit/1000)
		}
		if refusal != nil && !p.grant.Hidden {
			p.stage.tell(ctx, publisherExceeded{p, refusal})
			return
		}
	}
}

// offence says what about the pictures is not allowed: they are too large, or there have been B-frames since it was last
// asked.
func (s *Server) offence(layers []*source) *Error {
	for _, src := range layers {
		if src.bSlices.Swap(0) >= minBSlices {
			return refuse(BFramePresent, "the publisher sends B-frames; turn them off in the encoder")
		}
		is := src.pictures()
		if e := s.CheckPicture(is.width, is.height); e != nil {
			return e
		}
	}
	return nil
}

// CheckPicture returns the publish error of pictures of a size that publishers may not send; nil where they may: the shorter side
// is at most MaxLines, and the longer one at most 16/9 of that.
func (s *Server) CheckPicture(width, height int) *Error {
	if lines := s.maxLines(); min(width, height) > lines || 9*max(width, height) > 16*lines {
		return refuse(ResolutionExceeded, "the publisher sends pictures of %dx%d, more than the %dp allowed", width, height, lines)
	}
	return nil
}
