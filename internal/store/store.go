package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Answers that callers tell apart with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("already exists")
	// ErrLocked is returned by Open while another server uses the directory.
	ErrLocked = errors.New("the data directory is in use by another server")
)

// Options say where the records live.
type Options struct {
	// Dir is the data directory of the embedded server; it is created when missing. Unused with URL.
	Dir string
	// URL of an external NATS server or cluster with JetStream, for example nats://host:4222.
	// Empty runs the server inside this process, reachable by nobody else: it opens no port.
	URL string
	Log *slog.Logger // nil discards
}

// Store is an open connection to the records. Safe for concurrent use.
type Store struct {
	log    *slog.Logger
	server *server.Server // nil with an external URL
	lock   *dirLock       // nil with an external URL
	conn   *nats.Conn
	js     jetstream.JetStream

	mirrors sync.WaitGroup // who follow buckets until the connection is closed
}

// connectTimeout bounds the wait for the embedded server's recovery and for an external server's answer.
const connectTimeout = 30 * time.Second

// Open starts or reaches the server. Errors name the directory or the URL; ErrLocked is one of them.
func Open(ctx context.Context, opts Options) (*Store, error) {
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{log: log.With("component", "store")}
	if err := s.open(ctx, opts); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, opts Options) error {
	connect := []nats.Option{
		nats.Name("footlight"),
		nats.MaxReconnects(-1),
		nats.Timeout(connectTimeout),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.log.Warn("nats reported an error", "error", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				s.log.Warn("connection to nats lost, reconnecting", "error", err)
			}
		}),
	}
	if opts.URL == "" {
		var err error
		if s.lock, err = lockDir(opts.Dir); err != nil {
			return err
		}
		if s.server, err = startEmbedded(opts.Dir, s.log); err != nil {
			return err
		}
		connect = append(connect, nats.InProcessServer(s.server))
	}
	conn, err := nats.Connect(opts.URL, connect...)
	if err != nil {
		return fmt.Errorf("store: connect to nats at %s: %w", where(opts), err)
	}
	s.conn = conn
	if s.js, err = jetstream.New(conn); err != nil {
		return fmt.Errorf("store: use jetstream at %s: %w", where(opts), err)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if _, err := s.js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("store: use jetstream at %s: %w", where(opts), err)
	}
	return nil
}

func where(opts Options) string {
	if opts.URL != "" {
		return opts.URL
	}
	return opts.Dir
}

// Ping returns nil while the store answers and can write. It waits no longer than ctx, and 5 s at most.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := s.js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("store: ping: %w", err)
	}
	if s.server == nil {
		return nil
	}
	// After one write that failed, as on a full disk, the embedded server takes no more for that stream until it starts again.
	if h := s.server.Healthz(nil); h.Error != "" {
		return fmt.Errorf("store: %s: make room on the disk, then start footlight again", h.Error)
	}
	return nil
}

// Close ends the connection and the embedded server and frees the directory. Every acknowledged write is
// already on disk. It may be called once, after the last use of every bucket.
func (s *Store) Close() {
	if s.conn != nil {
		s.conn.Close()
	}
	s.mirrors.Wait()
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
	}
	if s.lock != nil {
		s.lock.release()
	}
}
