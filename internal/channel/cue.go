package channel

import (
	"fmt"
	"time"

	"github.com/footlight-live/footlight/internal/channel/hls"
)

// AdBreak is a stretch of a stream that was marked for advertising.
type AdBreak struct {
	ID       string
	Start    time.Time // wall clock, as the playlist has it
	Duration time.Duration
}

// doRequest runs a function on the live channel's goroutine, while there is something to play.
type doRequest struct {
	do    func(*live) error
	reply chan error
}

// PutMetadata puts a text into the stream, at its live edge, as an ID3 tag. It returns ErrNotLive where nothing is playable.
func (s *Server) PutMetadata(channelARN, text string) error {
	return s.do("put metadata into the stream", channelARN, func(l *live) error {
		for _, r := range *l.renditions.Load() {
			r.muxer.WriteTag(hls.TextTag(text))
		}
		return nil
	})
}

// InsertAdBreak marks an ad break in the playlist, from the live edge on. It returns ErrNotLive where nothing is
// playable, and ErrInAdBreak while another one lasts.
func (s *Server) InsertAdBreak(channelARN, id string, duration time.Duration) (AdBreak, error) {
	b := AdBreak{ID: id, Duration: duration}
	err := s.do("insert an ad break into the stream", channelARN, func(l *live) error {
		m := l.muxer.Load()
		if m.InBreak() {
			return ErrInAdBreak
		}
		start := m.LiveEdge()
		for _, r := range *l.renditions.Load() {
			b.Start = r.muxer.MarkBreak(id, start, int64(duration.Seconds()*hls.ClockRate))
		}
		l.log.Info("ad break", "adBreak", id, "start", b.Start, "duration", duration)
		l.observe(Event{Kind: AdBreakInserted, AdBreak: &b})
		return nil
	})
	if err != nil {
		return AdBreak{}, err
	}
	return b, nil
}

func (s *Server) do(what, channelARN string, f func(*live) error) error {
	l := s.find(channelARN)
	if l == nil {
		return ErrNotLive
	}
	r := doRequest{do: f, reply: make(chan error, 1)}
	switch err := l.ask(s.ctx, r, r.reply); err {
	case nil, ErrNotLive, ErrInAdBreak:
		return err
	case errEnded:
		return ErrNotLive
	default:
		return fmt.Errorf("%s of %s: %w", what, channelARN, err)
	}
}

// act answers a doRequest.
func (l *live) act(r doRequest) error {
	if l.state != statePlaying && l.state != stateGap {
		return ErrNotLive
	}
	return r.do(l)
}
