package channel

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/channel/rtmp"
	"github.com/footlight-live/footlight/internal/unit"
)

// Sink takes the frames of one publisher on one timeline, as a hls.Muxer does. One goroutine calls it.
type Sink interface {
	SetTracks(hls.Tracks) error
	WriteVideo(hls.VideoFrame) error
	WriteAudio(hls.AudioFrame) error
	Break() error
	// EndTime is where the newest frame ends, in ticks, and Wall the wall clock at time 0.
	EndTime() int64
	Wall() time.Time
}

// Recordings takes what is recorded: of channels, and what composers send for nothing else, over RTMP as to a channel.
type Recordings interface {
	// OpenRecording says where the media of a stream key goes, and how to say that no more comes. ErrUnknownStreamKey
	// is for a key that opens nothing; what other errors say is told to the publisher.
	OpenRecording(ctx context.Context, key string) (sink Sink, gone func(), err error)
	// RecordChannel says where the media of a channel's new publisher goes beside its viewers, and how to say that the
	// publisher is gone; nil: nowhere. The publisher waits for it.
	RecordChannel(ctx context.Context, c Channel) (t Tape, gone func())
}

// Tape takes the pictures of one publisher that are recorded. One goroutine calls it.
type Tape interface {
	// Picture says where the picture of a track goes, with the sound.
	Picture(track int) Sink
	// Lose says that no more comes of that picture, while the others go on.
	Lose(track int)
}

// RecordingKey begins the stream keys of recordings.
const RecordingKey = "rec_"

// recorded is a publisher whose media is recorded and nothing else. Its connection's goroutine owns it.
type recorded struct {
	feed feed
	sink Sink
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
	p := &recorded{sink: sink, gone: gone, log: s.log().With("remote", r.Remote)}
	p.feed.outlet = p
	return p, nil
}

// open implements outlet: one picture is recorded.
func (p *recorded) open(pictures []*picture, _ time.Time) error {
	pictures[0].sink = p.sink
	return nil
}

func (*recorded) join(*picture) error            { return nil }
func (*recorded) lead(*picture, []*picture) bool { return false }
func (*recorded) lose(*picture, error)           {}

// Write implements rtmp.Publication.
func (p *recorded) Write(_ context.Context, u unit.Unit) error { return p.feed.write(u, time.Now()) }

// Close implements rtmp.Publication.
func (p *recorded) Close(_ bool, reason error) {
	if err := p.feed.interrupt(); err != nil {
		p.log.Error("cannot break off a recording", "error", err)
	}
	p.log.Info("publisher of a recording gone", "reason", reasonText(reason))
	p.gone()
}

func isRecordingKey(key string) bool { return strings.HasPrefix(key, RecordingKey) }

// tapeMessage says where the media of a publisher goes beside the viewers.
type tapeMessage struct {
	in   *ingest
	tape Tape
	gone func()
}

// record tells a publisher's live channel where else its media goes. It comes before the first unit.
func (s *Server) record(ctx context.Context, in *ingest) {
	if s.Recordings == nil || !in.publisher.Channel.Recorded {
		return
	}
	if tape, gone := s.Recordings.RecordChannel(ctx, in.publisher.Channel); tape != nil {
		if in.live.send(ctx, tapeMessage{in, tape, gone}) != nil {
			gone()
		}
	}
}

// untape says that nothing more comes of the publisher. The disk is not waited for.
func (in *ingest) untape() {
	if in.gone != nil {
		go in.gone()
		in.gone = nil
	}
}

// tee gives frames to viewers and to a recording. Only the viewers' side can fail.
type tee struct {
	*hls.Muxer
	tape Sink
}

// recordOnly has those of the pictures recorded that the channel records, and no others.
func (in *ingest) recordOnly(pictures []*picture) {
	if in.tape == nil {
		return
	}
	for _, p := range in.feed.pictures {
		if !slices.Contains(pictures, p) {
			in.tape.Lose(p.track)
		}
	}
	in.record(pictures)
}

// record has pictures recorded, beside their viewers, that the channel records, and returns those that were not before.
func (in *ingest) record(pictures []*picture) (added []*picture) {
	if in.tape == nil {
		return nil
	}
	for _, p := range in.live.channel.recordedOf(pictures) {
		if m, ok := p.sink.(*hls.Muxer); ok {
			p.sink = tee{m, in.tape.Picture(p.track)}
			added = append(added, p)
		}
	}
	return added
}

// recordedOf chooses the pictures that are recorded: all, or those of the classes that the channel records. For a class that
// there is none of it is the largest.
func (c Channel) recordedOf(pictures []*picture) (chosen []*picture) {
	if len(c.RecordedSizes) == 0 || len(pictures) == 0 {
		return pictures
	}
	largest := slices.MaxFunc(pictures, func(a, b *picture) int {
		aw, ah := a.sets.size()
		bw, bh := b.sets.size()
		return aw*ah - bw*bh
	})
	for _, class := range c.RecordedSizes {
		found := false
		for _, p := range pictures {
			if classOf(p.sets.size()) == class {
				chosen, found = append(chosen, p), true
			}
		}
		if !found {
			chosen = append(chosen, largest)
		}
	}
	return chosen
}

// recordInstead has pictures recorded that stand for one that is gone: from their next key frames on.
func (in *ingest) recordInstead() {
	for _, p := range in.record(in.feed.open()) {
		_ = p.sink.(tee).tape.SetTracks(p.tracks) // a recording's failure is its own
	}
}

func (t tee) SetTracks(tracks hls.Tracks) error {
	return errors.Join(t.tape.SetTracks(tracks), t.Muxer.SetTracks(tracks))
}

func (t tee) WriteVideo(f hls.VideoFrame) error {
	return errors.Join(t.tape.WriteVideo(f), t.Muxer.WriteVideo(f))
}

func (t tee) WriteAudio(f hls.AudioFrame) error {
	return errors.Join(t.tape.WriteAudio(f), t.Muxer.WriteAudio(f))
}

func (t tee) Break() error { return errors.Join(t.tape.Break(), t.Muxer.Break()) }
