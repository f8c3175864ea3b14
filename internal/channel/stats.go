package channel

import (
	"slices"
	"strings"

	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/channel/rtmp"
	"github.com/footlight-live/footlight/internal/channel/srt"
	"github.com/footlight-live/footlight/internal/transcode/ladder"
)

// Stats is a snapshot for metrics.
type Stats struct {
	RTMP    rtmp.Stats
	SRT     srt.Stats
	Streams []StreamStats // by channel
}

// StreamStats counts what one live stream has done.
type StreamStats struct {
	Stream        Stream
	VideoBytes    uint64 // received
	AudioBytes    uint64
	DroppedSound  uint64 // access units of the present publisher that had no place in time
	Reconnects    uint64
	Parts         int64 // published
	MediaSequence int64 // of the newest segment
	Delay         hls.Delay
	Ladder        *ladder.Stats // nil: the channel has no ladder
}

// Stats returns a snapshot.
func (s *Server) Stats() Stats {
	st := Stats{RTMP: s.rtmp.Stats(), SRT: s.srt.Stats()}
	for _, l := range s.present() {
		st.Streams = append(st.Streams, l.stats())
	}
	slices.SortFunc(st.Streams, func(a, b StreamStats) int {
		return strings.Compare(a.Stream.ChannelARN, b.Stream.ChannelARN)
	})
	return st
}

// StreamStats counts what a channel's stream has done; false where there is none.
func (s *Server) StreamStats(channelARN string) (StreamStats, bool) {
	l := s.find(channelARN)
	if l == nil || l.over.Load() {
		return StreamStats{}, false
	}
	return l.stats(), true
}

// stats may be called from any goroutine.
func (l *live) stats() StreamStats {
	x := StreamStats{
		Stream:       l.stream(),
		VideoBytes:   l.counts.videoBytes.Load(),
		AudioBytes:   l.counts.audioBytes.Load(),
		DroppedSound: l.counts.droppedSound.Load(),
		Reconnects:   l.counts.reconnects.Load(),
	}
	if m := l.muxer.Load(); m != nil {
		x.MediaSequence, x.Parts = m.Position()
		x.Delay = m.Delay()
	}
	if t := l.coder.Load(); t != nil {
		x.Ladder = new(t.ladder.Stats())
	}
	return x
}
