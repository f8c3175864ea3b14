package channel

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
)

// Server is the live side of all channels: RTMP in, LL-HLS out. Set the fields, then Start.
type Server struct {
	RTMPAddr  string      // host:port for RTMP, port 0 for any; "" for none
	RTMPSAddr string      // host:port for RTMPS; "" for none
	TLS       *tls.Config // for RTMPS
	Directory Directory   // required
	Observer  Observer    // nil: nobody listens
	// Route finds who takes the publishers of a stream key that is not a channel's, or nil. It may be nil itself.
	Route func(key string) func(context.Context, rtmp.Request) (rtmp.Publication, error)
	Gate  Gate // nil: nobody watches a channel that is private or restricted
	// Recordings takes the publishers whose stream key begins with RecordingKey; nil: there are none.
	Recordings Recordings
	// SessionKey seals the playback sessions, so that those of before a restart go on; nil: a new one at each start.
	SessionKey []byte
	Log        *slog.Logger

	MaxConnections int           // RTMP connections; 0: 256
	SetupTimeout   time.Duration // see rtmp.Server; 0: 10 s
	ReadTimeout    time.Duration // see rtmp.Server; 0: 30 s
	Grace          time.Duration // for a vanished publisher to come back; 0: 10 s

	ingest      rtmp.Server
	plain, safe net.Listener
	ctx         context.Context // of everything that runs
	cancel      context.CancelFunc
	running     sync.WaitGroup
	seals       seals

	mu    sync.Mutex
	lives map[string]*live // by channel ARN: the newest stream session
}

// Start listens and returns. Everything ends when ctx does, or with Close.
func (s *Server) Start(ctx context.Context) error {
	var err error
	if s.RTMPAddr != "" {
		if s.plain, err = net.Listen("tcp", s.RTMPAddr); err != nil {
			return fmt.Errorf("listen for RTMP on %s: %w", s.RTMPAddr, err)
		}
	}
	if s.RTMPSAddr != "" {
		if s.TLS == nil {
			err = errors.New("no certificate")
		} else {
			s.safe, err = net.Listen("tcp", s.RTMPSAddr)
		}
		if err != nil {
			if s.plain != nil {
				s.plain.Close()
			}
			return fmt.Errorf("listen for RTMPS on %s: %w", s.RTMPSAddr, err)
		}
	}
	s.begin(ctx)
	for _, l := range []struct {
		ln  net.Listener
		tls *tls.Config
	}{{s.plain, nil}, {s.safe, s.TLS}} {
		if l.ln == nil {
			continue
		}
		s.log().Info("RTMP is listening", "address", l.ln.Addr().String(), "tls", l.tls != nil)
		s.running.Go(func() {
			if err := s.ingest.Serve(s.ctx, l.ln, l.tls); err != nil {
				s.log().Error("RTMP stopped", "error", err)
			}
		})
	}
	return nil
}

// begin sets up what Start needs apart from sockets.
func (s *Server) begin(ctx context.Context) {
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.lives = map[string]*live{}
	if s.seals.key = s.SessionKey; len(s.seals.key) == 0 {
		s.seals.key = make([]byte, 32)
		rand.Read(s.seals.key)
	}
	s.ingest = rtmp.Server{
		Publish: s.publish, Log: s.log(),
		MaxConnections: s.MaxConnections, SetupTimeout: s.SetupTimeout, ReadTimeout: s.ReadTimeout,
	}
}

// Close ends all streams and waits. Playlists get no end: a player that stays finds the stream after a restart.
func (s *Server) Close() error {
	if s.cancel != nil {
		s.cancel()
		s.running.Wait()
	}
	return nil
}

// RTMPAddress is where RTMP really listens, or "".
func (s *Server) RTMPAddress() string { return address(s.plain) }

// RTMPSAddress is where RTMPS really listens, or "".
func (s *Server) RTMPSAddress() string { return address(s.safe) }

func address(ln net.Listener) string {
	if ln == nil {
		return ""
	}
	return ln.Addr().String()
}

func (s *Server) log() *slog.Logger {
	return cmp.Or(s.Log, slog.Default()).With("component", "channel")
}

func (s *Server) grace() time.Duration { return cmp.Or(s.Grace, 10*time.Second) }

// publish decides about a publisher, on its connection's goroutine.
func (s *Server) publish(ctx context.Context, r rtmp.Request) (rtmp.Publication, error) {
	if s.Route != nil {
		if take := s.Route(r.Key); take != nil {
			return take(ctx, r)
		}
	}
	if isRecordingKey(r.Key) {
		return s.publishRecording(ctx, r)
	}
	p, err := s.Directory.ResolveStreamKey(ctx, r.Key)
	if errors.Is(err, ErrUnknownStreamKey) {
		s.log().Warn("publisher refused: unknown stream key", "remote", r.Remote)
		return nil, rtmp.Refusal{Code: "NetStream.Publish.BadName", Reason: "unknown stream key"}
	}
	if err != nil {
		s.log().Error("cannot look up a stream key", "remote", r.Remote, "error", err)
		return nil, rtmp.Refusal{Code: "NetStream.Publish.Failed", Reason: "the stream key cannot be checked now, try again"}
	}
	if !r.Encrypted && !p.AllowPlain {
		s.log().Warn("publisher refused: plain RTMP; publish with RTMPS, or set insecureIngest of the channel",
			"remote", r.Remote, "channel", p.Channel.ID, "rtmps", s.RTMPSAddress())
		return nil, rtmp.Refusal{
			Code:   "NetStream.Publish.BadName",
			Reason: "this channel takes RTMPS only: use rtmps://, or set insecureIngest of the channel",
		}
	}
	in := &ingest{publisher: p, identity: p.Source + "\x00" + r.Key, remote: r.Remote, cut: r.Cut}
	switch err := s.attach(ctx, in); {
	case errors.Is(err, ErrAlreadyLive):
		s.log().Warn("publisher refused: the channel has one", "remote", r.Remote, "channel", p.Channel.ID)
		return nil, rtmp.Refusal{Code: "NetStream.Publish.BadName", Reason: err.Error()}
	case err != nil:
		return nil, err
	}
	s.record(ctx, in)
	return in, nil
}

// attach gives a publisher to the channel's live stream, or to a new one.
func (s *Server) attach(ctx context.Context, in *ingest) error {
	arn := in.publisher.Channel.ARN
	for {
		s.mu.Lock()
		if s.ctx.Err() != nil {
			s.mu.Unlock()
			return errShutdown
		}
		l := s.lives[arn]
		if l == nil || l.over.Load() {
			first := time.Now().Unix()
			if l != nil {
				if x := l.muxer.Load(); x != nil {
					newest, _ := x.Position()
					first = max(first, newest+1)
				}
				l.cancel()
			}
			s.lives[arn] = newLive(s.ctx, s, in, first)
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		in.live = l
		reply := make(chan error, 1)
		switch err := l.ask(ctx, attachRequest{in, reply}, reply); {
		case err == nil || errors.Is(err, ErrAlreadyLive):
			return err
		case !errors.Is(err, errEnded):
			in.Close(false, err) // it may have been let in while nobody waited any more
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		default: // it ended meanwhile: begin a new one
		}
	}
}

// forget drops a stream session whose goroutine has ended.
func (s *Server) forget(l *live) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lives[l.channel.ARN] == l {
		delete(s.lives, l.channel.ARN)
	}
}

// find returns the newest stream session of a channel, which may have ended, or nil.
func (s *Server) find(channelARN string) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lives[channelARN]
}

// Stream returns the channel's stream, from the moment that a publisher is connected to the end.
func (s *Server) Stream(channelARN string) (Stream, bool) {
	l := s.find(channelARN)
	if l == nil || l.over.Load() {
		return Stream{}, false
	}
	return l.stream(), true
}

// Streams returns all streams, the newest first.
func (s *Server) Streams() []Stream {
	lives := s.present()
	streams := make([]Stream, 0, len(lives))
	for _, l := range lives {
		streams = append(streams, l.stream())
	}
	slices.SortFunc(streams, func(a, b Stream) int {
		return cmp.Or(b.StartTime.Compare(a.StartTime), strings.Compare(a.ID, b.ID))
	})
	return streams
}

// present returns the stream sessions that have not ended, in no order.
func (s *Server) present() []*live {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lives []*live
	for _, l := range s.lives {
		if !l.over.Load() {
			lives = append(lives, l)
		}
	}
	return lives
}

// Stop cuts the channel's publisher and ends the stream at once. The encoder may connect again.
// It returns ErrNotLive where there is no stream.
func (s *Server) Stop(channelARN, reason string) error {
	return s.stop(channelARN, stopRequest{reason: reason})
}

// Finish ends a stream that nobody will continue: one whose publisher vanished, or a composition's.
// An encoder that is publishing is left alone.
func (s *Server) Finish(channelARN string) {
	// Not being live is what the caller wants.
	_ = s.stop(channelARN, stopRequest{reason: "finished", finish: true})
}

func (s *Server) stop(channelARN string, r stopRequest) error {
	l := s.find(channelARN)
	if l == nil {
		return ErrNotLive
	}
	r.reply = make(chan error, 1)
	if err := l.ask(s.ctx, r, r.reply); err != nil {
		if errors.Is(err, ErrNotLive) || errors.Is(err, errEnded) {
			return ErrNotLive
		}
		return fmt.Errorf("stop stream of %s: %w", channelARN, err)
	}
	return nil
}
