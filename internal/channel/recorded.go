package channel

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/channel/rtmp"
)

// Sink takes the frames of one publisher on one timeline, as a hls.Muxer does. One goroutine calls it.
type Sink interface {
	SetTracks(hls.Tracks) error
	WriteVideo(hls.VideoFrame) error
	WriteAudio(hls.AudioFrame) error
	Break() error
	// EndTime is where the newest frame ends, in ticks.
	EndTime() int64
}

// Recordings takes what composers send to be recorded, over RTMP as to a channel.
type Recordings interface {
	// OpenRecording says where the media of a stream key goes, and how to say that no more comes. ErrUnknownStreamKey
	// is for a key that opens nothing; what other errors say is told to the publisher.
	OpenRecording(ctx context.Context, key string) (sink Sink, gone func(), err error)
}

// RecordingKey begins the stream keys of recordings.
const RecordingKey = "rec_"

// recorded is a publisher whose media is recorded and nothing else. Its connection's goroutine owns it.
type recorded struct {
	feed feed
	gone func()
	log  *slog.Logger
}

// publishRecording decides about a publisher with a stream key of a recording.
func (s *Server) publishRecording(ctx context.Context, r rtmp.Request) (rtmp.Publication, error) {
	err := ErrUnknownStreamKey
	var sink Sink
	var gone func()
	if s.Recordings != nil {
		sink, gone, err = s.Recordings.OpenRecording(ctx, r.Key)
	}
	if errors.Is(err, ErrUnknownStreamKey) {
		s.log().Warn("publisher refused: unknown stream key", "remote", r.Remote)
		return nil, rtmp.Refusal{Code: "NetStream.Publish.BadName", Reason: "unknown stream key"}
	}
	if err != nil {
		s.log().Error("cannot record", "remote", r.Remote, "error", err)
		return nil, rtmp.Refusal{Code: "NetStream.Publish.Failed", Reason: err.Error()}
	}
	now := time.Now()
	return &recorded{gone: gone, log: s.log().With("remote", r.Remote),
		feed: feed{open: func(int64, time.Time) Sink { return sink }, wall: now}}, nil
}

// Write implements rtmp.Publication.
func (p *recorded) Write(_ context.Context, u rtmp.Unit) error { return p.feed.write(u, time.Now()) }

// Close implements rtmp.Publication.
func (p *recorded) Close(_ bool, reason error) {
	if err := p.feed.interrupt(); err != nil {
		p.log.Error("cannot break off a recording", "error", err)
	}
	p.log.Info("publisher of a recording gone", "reason", reasonText(reason))
	p.gone()
}

func isRecordingKey(key string) bool { return strings.HasPrefix(key, RecordingKey) }
