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
	"github.com/footlight-live/footlight/internal/channel/srt"
)

// Server is the live side of all channels: RTMP and SRT in, LL-HLS out. Set the fields, then Start.
type Server struct {
	RTMPAddr  string      // host:port for RTMP, port 0 for any; "" for none
	RTMPSAddr string      // host:port for RTMPS; "" for none
	SRTAddr   string      // host:port for SRT, over UDP; "" for none
	TLS       *tls.Config // for RTMPS
	Directory Directory   // required
	Observer  Observer    // nil: nobody listens
	// Route finds who takes the publishers of a stream key that is not a channel's, or nil. It may be nil itself.
	Route    func(key string) func(context.Context, rtmp.Request) (rtmp.Publication, error)
	Gate     Gate     // nil: nobody watches a channel that is private or restricted
	Composer string   // the program that transcodes for channels with a Ladder; "": they cannot be published to
	Capacity Capacity // what that may take of the machine; nil: as much as it needs
	// Recordings takes the publishers whose stream key begins with RecordingKey; nil: there are none.
	Recordings Recordings
	// SessionKey seals the playback sessions, so that those of before a restart go on; nil: a new one at each start.
	SessionKey []byte
	Log        *slog.Logger

	MaxConnections int           // of RTMP, and of SRT; 0: 256
	SetupTimeout   time.Duration // see rtmp.Server; 0: 10 s
	ReadTimeout    time.Duration // see rtmp.Server; 0: 30 s
	Grace          time.Duration // for a vanished publisher to come back; 0: 10 s
	Longest        time.Duration // of a stream; 0: 48 h (spec/lowlatency.md §10)
	MaxStreams     int           // at once; 0: 100
	MaxViewers     int           // of all streams at once; 0: 15 000

	rtmp        rtmp.Server
	srt         srt.Server
	plain, safe net.Listener
	udp         *srt.Listener
	ctx         context.Context // of everything that runs
	cancel      context.CancelFunc
	running     sync.WaitGroup
	seals       seals

	mu    sync.Mutex
	lives map[string]*live // by channel ARN: the newest stream session
}

// Start listens and returns. Everything ends when ctx does, or with Close.
func (s *Server) Start(ctx context.Context) error {
	if err := s.listen(); err != nil {
		s.unlisten()
		return err
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
			if err := s.rtmp.Serve(s.ctx, l.ln, l.tls); err != nil {
				s.log().Error("RTMP stopped", "error", err)
			}
		})
	}
	if s.udp != nil {
		s.log().Info("SRT is listening", "address", s.udp.Addr().String())
		s.running.Go(func() {
			if err := s.srt.Serve(s.ctx, s.udp); err != nil {
				s.log().Error("SRT stopped", "error", err)
			}
		})
	}
	return nil
}

func (s *Server) listen() (err error) {
	if s.RTMPAddr != "" {
		if s.plain, err = net.Listen("tcp", s.RTMPAddr); err != nil {
			return fmt.Errorf("listen for RTMP on %s: %w", s.RTMPAddr, err)
		}
	}
	if s.RTMPSAddr != "" {
		if s.TLS == nil {
			return fmt.Errorf("listen for RTMPS on %s: no certificate", s.RTMPSAddr)
		}
		if s.safe, err = net.Listen("tcp", s.RTMPSAddr); err != nil {
			return fmt.Errorf("listen for RTMPS on %s: %w", s.RTMPSAddr, err)
		}
	}
	if s.SRTAddr != "" {
		if s.udp, err = srt.Listen(s.SRTAddr); err != nil {
			return fmt.Errorf("listen for SRT on %s: %w", s.SRTAddr, err)
		}
	}
	return nil
}

// unlisten gives back what listen has opened.
func (s *Server) unlisten() {
	for _, ln := range []net.Listener{s.plain, s.safe} {
		if ln != nil {
			ln.Close()
		}
	}
	if s.udp != nil {
		s.udp.Close()
	}
}

// begin sets up what Start needs apart from sockets.
func (s *Server) begin(ctx context.Context) {
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.lives = map[string]*live{}
	if s.seals.key = s.SessionKey; len(s.seals.key) == 0 {
		s.seals.key = make([]byte, 32)
		rand.Read(s.seals.key)
	}
	s.rtmp = rtmp.Server{
		Publish: s.publishRTMP, Log: s.log(),
		MaxConnections: s.MaxConnections, SetupTimeout: s.SetupTimeout, ReadTimeout: s.ReadTimeout,
	}
	s.srt = srt.Server{Publish: s.publishSRT, Log: s.log(), MaxConnections: s.MaxConnections, ReadTimeout: s.ReadTimeout}
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

// SRTAddress is where SRT really listens, or "".
func (s *Server) SRTAddress() string {
	if s.udp == nil {
		return ""
	}
	return s.udp.Addr().String()
}

func address(ln net.Listener) string {
	if ln == nil {
		return ""
	}
	return ln.Addr().String()
}

func (s *Server) log() *slog.Logger {
	return cmp.Or(s.Log, slog.Default()).With("component", "channel")
}

func (s *Server) grace() time.Duration   { return cmp.Or(s.Grace, 10*time.Second) }
func (s *Server) longest() time.Duration { return cmp.Or(s.Longest, 48*time.Hour) }
func (s *Server) maxStreams() int        { return cmp.Or(s.MaxStreams, 100) }
func (s *Server) maxViewers() int        { return cmp.Or(s.MaxViewers, 15_000) }

// errTooManyStreams refuses one more stream.
var errTooManyStreams = errors.New("too many streams")

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
			if s.count() >= s.maxStreams() {
				s.mu.Unlock()
				return errTooManyStreams
			}
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
		case err == nil || isRefusal(err):
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

// isRefusal tells whether a live channel has answered no.
func isRefusal(err error) bool {
	_, takeover := errors.AsType[takeoverError](err)
	return takeover || errors.Is(err, ErrAlreadyLive) || errors.Is(err, errPendingTakeover)
}

// count is the number of streams that have not ended. The caller holds mu.
func (s *Server) count() (n int) {
	for _, l := range s.lives {
		if !l.over.Load() {
			n++
		}
	}
	return n
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
