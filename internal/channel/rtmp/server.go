package rtmp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Request is a publisher that asks to be let in.
type Request struct {
	Key       string // the stream key, without the query that may follow it
	Priority  string // of the query, as it came; empty for none
	Encrypted bool   // RTMPS
	Remote    string // host:port
	// Cut ends the connection with a reason that the publisher is told. Any goroutine may call it, at any time.
	Cut func(reason error)
}

// Publication takes what an accepted publisher sends. Only the connection's goroutine calls it.
type Publication interface {
	// Write takes one unit; it may block until ctx is done. An error ends the connection and is told to the publisher.
	Write(ctx context.Context, u Unit) error
	// Close is called once, after the last Write. Goodbye says that the publisher ended the stream on purpose.
	Close(goodbye bool, reason error)
}

// Refusal is an error with the status code that tells an RTMP client about it.
type Refusal struct {
	Code   string // for example NetStream.Publish.BadName
	Reason string // for a human
}

func (e Refusal) Error() string { return e.Reason }

// Server accepts RTMP publishers. Set the fields before Serve.
type Server struct {
	// Publish decides about a publisher. A Refusal is told to it as it is; other errors are told as NetStream.Publish.Failed.
	Publish func(ctx context.Context, r Request) (Publication, error)
	Log     *slog.Logger // nil: slog.Default()

	MaxConnections int           // over all listeners; 0: 256
	SetupTimeout   time.Duration // from TCP connect to publish; 0: 10 s
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
// With tlsConfig it speaks RTMPS.
func (s *Server) Serve(ctx context.Context, ln net.Listener, tlsConfig *tls.Config) error {
	log := cmp.Or(s.Log, slog.Default())
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer ln.Close()
	var conns sync.WaitGroup
	defer conns.Wait()
	var lastWarning time.Time
	for {
		nc, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accept RTMP connections: %w", err)
			}
			// Out of file descriptors, most likely: it passes when connections end.
			log.Warn("cannot accept a connection", "error", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		if s.open.Add(1) > int64(cmp.Or(s.MaxConnections, 256)) {
			s.open.Add(-1)
			s.turned.Add(1)
			nc.Close()
			if time.Since(lastWarning) > time.Second {
				lastWarning = time.Now()
				log.Warn("too many RTMP connections: refusing more", "open", s.open.Load(), "refused", s.turned.Load())
			}
			continue
		}
		s.accepted.Add(1)
		conns.Go(func() {
			defer s.open.Add(-1)
			s.serveConn(ctx, nc, tlsConfig, log.With("remote", nc.RemoteAddr().String()))
		})
	}
}

// serveConn runs one connection to its end.
func (s *Server) serveConn(ctx context.Context, nc net.Conn, tlsConfig *tls.Config, log *slog.Logger) {
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(cmp.Or(s.SetupTimeout, 10*time.Second)))
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	// An expired read deadline, unlike a close, leaves a moment to tell the publisher why.
	defer context.AfterFunc(ctx, func() { nc.SetReadDeadline(time.Unix(1, 0)) })()

	stream := nc
	if tlsConfig != nil {
		tc := tls.Server(nc, tlsConfig)
		if err := tc.HandshakeContext(ctx); err != nil {
			log.Info("connection closed", "reason", fmt.Errorf("TLS handshake: %w", err))
			return
		}
		stream = tc
	}
	c := &conn{server: s, net: stream, encrypted: tlsConfig != nil, log: log}
	reason := c.run(ctx, cut)
	if ctx.Err() != nil {
		reason = context.Cause(ctx)
	}
	nc.SetDeadline(time.Now().Add(time.Second))
	if reason != nil && c.tellFailure(reason) {
		// Closing with unread data resets the connection, and a reset overtakes what was just told:
		// give the peer a moment to read it and hang up.
		nc.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		io.CopyN(io.Discard, stream, 4<<20)
	}
	stream.Close()
	log.Info("connection closed", "published", c.published, "reason", reasonText(reason))
}

func reasonText(err error) string {
	if err == nil {
		return "the publisher said goodbye"
	}
	return err.Error()
}
