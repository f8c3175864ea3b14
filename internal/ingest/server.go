package ingest

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
	"github.com/footlight-live/footlight/internal/stage"
)

// Credential is who a stream key lets in.
type Credential struct {
	ConfigurationID string
	AllowPlain      bool // RTMP will do; else it must be RTMPS
	// Grant is of the participant that others see. Its StageID is empty while the configuration has no stage.
	Grant stage.Grant
	// Stream is which of two physical streams the key is for, and Physical its participant. Physical is nil without
	// redundant ingest.
	Stream   int
	Physical *stage.Grant
}

// ErrUnknownKey is for a stream key that opens nothing.
var ErrUnknownKey = errors.New("unknown stream key")

// Directory answers for the ingest configurations. The control plane implements it.
type Directory interface {
	// ResolveIngestKey returns ErrUnknownKey for a key that opens nothing; where only its secret is wrong, the credential
	// tells whose it would have been.
	ResolveIngestKey(ctx context.Context, key string) (Credential, error)
}

// Server holds all live ingest configurations. Set the fields, then Start.
type Server struct {
	Directory Directory     // required
	Stages    *stage.Server // required
	Composer  string        // path of footlight-composer, for sound
	Log       *slog.Logger  // nil: slog.Default()

	// Silence is how long an encoder may send nothing before its connection is cut; 0: 4 s. Grace is how long it may then
	// take to come back; 0: 5 s. Together they are less than 10 s. Complete is how long it may take to send both sound and
	// a key frame; 0: 10 s.
	Silence, Grace, Complete time.Duration

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	lives map[string]*live // by configuration id
}

// Start makes the server ready. It runs until ctx ends, or Close.
func (s *Server) Start(ctx context.Context) {
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.lives = map[string]*live{}
	s.Silence, s.Grace, s.Complete = cmp.Or(s.Silence, 4*time.Second), cmp.Or(s.Grace, 5*time.Second), cmp.Or(s.Complete, 10*time.Second)
}

// Close ends all ingest and waits.
func (s *Server) Close() {
	if s.cancel != nil {
		s.mu.Lock()
		s.cancel() // nothing is begun from here on
		s.mu.Unlock()
		s.running.Wait()
	}
}

func (s *Server) log() *slog.Logger {
	return cmp.Or(s.Log, slog.Default()).With("component", "ingest")
}

var (
	errEnded    = errors.New("the ingest has ended")
	errShutdown = errors.New("the server is shutting down")
)

// Publish decides about an encoder, on its connection's goroutine.
func (s *Server) Publish(ctx context.Context, r rtmp.Request) (rtmp.Publication, error) {
	c, err := s.Directory.ResolveIngestKey(ctx, r.Key)
	log := s.log().With("remote", r.Remote, "ingest", c.ConfigurationID)
	if errors.Is(err, ErrUnknownKey) {
		log.Warn("encoder refused: unknown stream key")
		if c.Grant.StageID != "" {
			s.Stages.ReportPublishError(ctx, c.Grant, protocol(r), &stage.Error{Code: stage.InvalidStreamKey, Message: "the secret of the stream key is wrong"})
		}
		return nil, refusal("unknown stream key")
	}
	if err != nil {
		log.Error("cannot look up a stream key", "error", err)
		return nil, rtmp.Refusal{Code: "NetStream.Publish.Failed", Reason: "the stream key cannot be checked now, try again"}
	}
	if c.Grant.StageID == "" {
		log.Warn("encoder refused: the ingest configuration has no stage")
		return nil, refusal("the ingest configuration has no stage: set its stageArn")
	}
	in := &connection{key: r.Key, credential: c, protocol: protocol(r), remote: r.Remote, cut: r.Cut}
	if !r.Encrypted && !c.AllowPlain {
		in.refused = &stage.Error{Code: stage.InvalidProtocol, Message: "this ingest configuration takes RTMPS only: use rtmps://, or one with ingestProtocol RTMP"}
	}
	if err := s.attach(ctx, in); err != nil {
		if e, ok := errors.AsType[*stage.Error](err); ok {
			log.Warn("encoder refused", "code", e.Code, "reason", e.Message)
			err = refusal(e.Message)
		}
		return nil, err
	}
	return in, nil
}

func refusal(reason string) error {
	return rtmp.Refusal{Code: "NetStream.Publish.BadName", Reason: reason}
}

func protocol(r rtmp.Request) string {
	if r.Encrypted {
		return "RTMPS"
	}
	return "RTMP"
}

// attach gives a connection to its configuration's goroutine, which it starts if there is none.
func (s *Server) attach(ctx context.Context, in *connection) error {
	id := in.credential.ConfigurationID
	for {
		s.mu.Lock()
		if s.ctx.Err() != nil {
			s.mu.Unlock()
			return errShutdown
		}
		l := s.lives[id]
		if l == nil {
			l = newLive(s, id)
			s.lives[id] = l
			s.running.Go(func() {
				l.run(s.ctx)
				s.forget(l)
			})
		}
		s.mu.Unlock()
		in.live = l
		reply := make(chan error, 1)
		err := l.ask(ctx, attachRequest{in, reply}, reply)
		if !errors.Is(err, errEnded) {
			if err != nil && ctx.Err() != nil {
				in.Close(false, err) // it may have been let in while nobody waited any more
			}
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.done: // it ended meanwhile: begin anew
			s.forget(l)
		}
	}
}

func (s *Server) forget(l *live) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lives[l.id] == l {
		delete(s.lives, l.id)
	}
}

func (s *Server) find(id string) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lives[id]
}

// Active tells whether an encoder publishes with a configuration, or may still come back.
func (s *Server) Active(configurationID string) bool {
	l := s.find(configurationID)
	return l != nil && l.active.Load()
}

// Stop ends what encoders publish with a configuration, if they do. The encoders are told the reason, and others that
// they left when it returns.
func (s *Server) Stop(configurationID, reason string) {
	if l := s.find(configurationID); l != nil {
		reply := make(chan error, 1)
		_ = l.ask(s.ctx, stopRequest{reason, reply}, reply) // fails only when it has ended
	}
}
