package srt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"github.com/footlight-live/footlight/internal/unit"
)

// Request is a publisher that asks to be let in.
type Request struct {
	Key       string
	Priority  string // as it came; empty for none
	Encrypted bool
	Remote    string // host:port
	// Unlock tries the passphrase of an encrypted connection. It must have been right before Publish lets one in.
	Unlock func(passphrase string) error
	// Cut ends the connection. Any goroutine may call it, at any time.
	Cut func(reason error)
}

// Publication takes what an accepted publisher sends. Only the connection's goroutine calls it.
type Publication interface {
	// Write takes one unit; it may block until ctx is done. An error ends the connection.
	Write(ctx context.Context, u unit.Unit) error
	// Close is called once, after the last Write. Goodbye says that the publisher ended the stream on purpose.
	Close(goodbye bool, reason error)
}

// Rejection is a code that a refused caller is told.
type Rejection gosrt.RejectionReason

// The rejections.
const (
	BadPassphrase = Rejection(gosrt.REJ_BADSECRET)
	NotEncrypted  = Rejection(gosrt.REJ_UNSECURE)
	BadRequest    = Rejection(gosrt.REJX_BAD_REQUEST)
	Unauthorized  = Rejection(gosrt.REJX_UNAUTHORIZED)
	Overload      = Rejection(gosrt.REJX_OVERLOAD)
	BadMode       = Rejection(gosrt.REJX_BAD_MODE)
	Conflict      = Rejection(gosrt.REJX_CONFLICT)
	Unavailable   = Rejection(gosrt.REJX_ISE)
)

// Refusal is an error with the code that tells a caller about it.
type Refusal struct {
	Code   Rejection
	Reason string // for the log: the protocol has no room for it
}

func (e Refusal) Error() string { return e.Reason }

// Server accepts SRT publishers. Set the fields before Serve.
type Server struct {
	// Publish decides about a publisher. A Refusal is told by its code; other errors as Unavailable.
	Publish func(ctx context.Context, r Request) (Publication, error)
	Log     *slog.Logger // nil: slog.Default()

	MaxConnections int           // 0: 256
	ReadTimeout    time.Duration // without media; 0: 30 s (spec/lowlatency.md §3)

	open     atomic.Int64
	accepted atomic.Uint64
	turned   atomic.Uint64
}

// Stats counts connections.
type Stats struct {
	Open     int64  // now
	Accepted uint64 // since the start
	Refused  uint64 // because there were too many
}

// Stats returns a snapshot.
func (s *Server) Stats() Stats {
	return Stats{Open: s.open.Load(), Accepted: s.accepted.Load(), Refused: s.turned.Load()}
}

// Serve accepts connections from ln until ctx is done, then waits for them to end. It closes ln.
func (s *Server) Serve(ctx context.Context, ln *Listener) error {
	log := cmp.Or(s.Log, slog.Default())
	defer context.AfterFunc(ctx, ln.Close)()
	defer ln.Close()
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		req, err := ln.accept()
		if errors.Is(err, errMalformed) {
			continue
		}
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, gosrt.ErrListenerClosed) {
				return nil
			}
			return fmt.Errorf("accept SRT connections: %w", err)
		}
		if s.open.Add(1) > int64(cmp.Or(s.MaxConnections, 256)) {
			s.open.Add(-1)
			s.turned.Add(1)
			req.Reject(gosrt.RejectionReason(Overload))
			continue
		}
		conns.Go(func() {
			defer s.open.Add(-1)
			s.serveRequest(ctx, ln, req, log.With("remote", req.RemoteAddr().String()))
		})
	}
}

// serveRequest decides about a caller, and runs its connection to the end.
func (s *Server) serveRequest(ctx context.Context, ln *Listener, req gosrt.ConnRequest, log *slog.Logger) {
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	p, err := s.publish(ctx, req, cut)
	if err != nil {
		code := Unavailable
		if refusal, ok := errors.AsType[Refusal](err); ok {
			code = refusal.Code
		}
		req.Reject(gosrt.RejectionReason(code))
		log.Info("connection refused", "code", uint32(code), "reason", err)
		return
	}
	ln.goodbyes.watch(req.SocketId())
	nc, err := req.Accept()
	if err != nil {
		ln.goodbyes.end(req.SocketId())
		p.Close(false, fmt.Errorf("accept the SRT connection: %w", err))
		return
	}
	s.accepted.Add(1)
	c := &conn{srt: nc, publication: p, timeout: cmp.Or(s.ReadTimeout, 30*time.Second)}
	err = c.run(ctx, cut)
	nc.Close()
	goodbye := ln.goodbyes.end(req.SocketId()) && errors.Is(err, io.EOF)
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case goodbye:
		err = nil
	case errors.Is(err, io.EOF):
		err = errors.New("the publisher vanished: nothing came from it any more")
	}
	p.Close(goodbye && err == nil, err)
	log.Info("connection closed", "reason", reasonText(err))
}

func (s *Server) publish(ctx context.Context, req gosrt.ConnRequest, cut func(error)) (Publication, error) {
	if v := req.Version(); v < 5 { // has no stream id
		return nil, Refusal{BadRequest, fmt.Sprintf("handshake version %d, want 5", v)}
	}
	key, priority, err := parseStreamID(req.StreamId())
	if err != nil {
		return nil, err
	}
	return s.Publish(ctx, Request{
		Key: key, Priority: priority, Encrypted: req.IsEncrypted(), Remote: req.RemoteAddr().String(),
		Unlock: req.SetPassphrase, Cut: cut,
	})
}

func reasonText(err error) string {
	if err == nil {
		return "the publisher said goodbye"
	}
	return err.Error()
}
