package channel

import (
	"context"
	"errors"
	"time"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
	"github.com/footlight-live/footlight/internal/channel/srt"
)

// refusal turns a publisher away, in the words of each protocol.
type refusal struct {
	rtmp   string
	srt    srt.Rejection
	reason string
}

func (r refusal) Error() string { return r.reason }

const (
	badName = "NetStream.Publish.BadName"
	failed  = "NetStream.Publish.Failed"
)

var (
	refusedKey        = refusal{badName, srt.Unauthorized, "unknown stream key"}
	refusedNow        = refusal{failed, srt.Unavailable, "the stream key cannot be checked now, try again"}
	refusedPlain      = refusal{badName, srt.NotEncrypted, "this channel takes RTMPS only: use rtmps://, or set insecureIngest of the channel"}
	refusedNoPhrase   = refusal{badName, srt.NotEncrypted, "this channel takes SRT with its passphrase only, unless insecureIngest of the channel is set"}
	refusedPhrase     = refusal{badName, srt.BadPassphrase, "wrong passphrase"}
	refusedBroadcasts = refusal{failed, srt.Overload, "there are as many streams as the quota allows"}
)

// arrival is a publisher at the door, whatever it speaks.
type arrival struct {
	key, priority string
	remote        string
	cut           func(error)
}

// publishRTMP decides about a publisher, on its connection's goroutine.
func (s *Server) publishRTMP(ctx context.Context, r rtmp.Request) (rtmp.Publication, error) {
	if s.Route != nil {
		if take := s.Route(r.Key); take != nil {
			return take(ctx, r)
		}
	}
	if isRecordingKey(r.Key) {
		return s.publishRecording(ctx, r)
	}
	in, err := s.enterPublisher(ctx, arrival{r.Key, r.Priority, r.Remote, r.Cut}, func(p Publisher) error {
		if !r.Encrypted && !p.AllowPlain {
			return refusedPlain
		}
		return nil
	})
	if refused, ok := errors.AsType[refusal](err); ok {
		return nil, rtmp.Refusal{Code: refused.rtmp, Reason: refused.reason}
	}
	if err != nil {
		return nil, err
	}
	return in, nil
}

// publishSRT does the same for SRT.
func (s *Server) publishSRT(ctx context.Context, r srt.Request) (srt.Publication, error) {
	in, err := s.enterPublisher(ctx, arrival{r.Key, r.Priority, r.Remote, r.Cut}, func(p Publisher) error {
		switch {
		case r.Encrypted && (p.Passphrase == "" || r.Unlock(p.Passphrase) != nil):
			return refusedPhrase
		case !r.Encrypted && !p.AllowPlain:
			return refusedNoPhrase
		}
		return nil
	})
	if refused, ok := errors.AsType[refusal](err); ok {
		return nil, srt.Refusal{Code: refused.srt, Reason: refused.reason}
	}
	if err != nil {
		return nil, err
	}
	return in, nil
}

// enterPublisher lets a publisher in whose stream key is right, and who passes permit. Otherwise the error is a refusal, or
// says that the server ends.
func (s *Server) enterPublisher(ctx context.Context, a arrival, permit func(Publisher) error) (*ingest, error) {
	log := s.log().With("remote", a.remote)
	p, err := s.Directory.ResolveStreamKey(ctx, a.key)
	if errors.Is(err, ErrUnknownStreamKey) {
		log.Warn("publisher refused: unknown stream key")
		return nil, refusedKey
	}
	if err != nil {
		log.Error("cannot look up a stream key", "error", err)
		return nil, refusedNow
	}
	log = log.With("channel", p.Channel.ID)
	if err := permit(p); err != nil {
		log.Warn("publisher refused", "reason", err)
		return nil, err
	}
	in := &ingest{publisher: p, identity: p.Source + "\x00" + a.key, remote: a.remote, cut: a.cut}
	if in.priority, err = parsePriority(a.priority); err == nil {
		err = s.attach(ctx, in)
	} else if l := s.find(p.Channel.ARN); l != nil {
		l.tell(func() { l.refuseTakeover(err.(takeoverError)) })
	}
	switch takeover, ok := errors.AsType[takeoverError](err); {
	case ok:
		return nil, refusal{badName, srt.Conflict, takeover.Error()}
	case errors.Is(err, ErrAlreadyLive) || errors.Is(err, errPendingTakeover):
		log.Warn("publisher refused: the channel has one")
		return nil, refusal{badName, srt.Conflict, err.Error()}
	case errors.Is(err, errTooManyStreams):
		breach := Breach{ConcurrentBroadcasts, int64(s.maxStreams()), 1, "active streams"}
		log.Warn("publisher refused", "reason", breach)
		if s.Observer != nil {
			s.Observer.Observe(Event{
				Kind: ConcurrentBroadcasts, Time: time.Now(), ChannelName: p.Channel.Name,
				Stream: Stream{ChannelARN: p.Channel.ARN}, Breach: &breach,
			})
		}
		return nil, refusedBroadcasts
	case err != nil:
		return nil, err
	}
	s.record(ctx, in)
	return in, nil
}
