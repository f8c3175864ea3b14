package composer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/footlight-live/footlight/internal/composer/wire"
)

// memoryLimit is for what Go manages; pictures live in C memory and are bounded by count. garbage is how much of it
// may be garbage, in percent of what is in use: a composer makes little, so that collecting it twice as often as by
// default costs nothing that can be measured and saves 10 MiB with twelve participants.
const (
	memoryLimit = 128 << 20
	garbage     = 50
)

// socketFD is where the server's socket is (package wire).
const socketFD = 3

// Process runs a composer on the socket that the server handed down. Logs go to stderr as JSON, where the
// server picks them up.
func Process() error {
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})).With("component", "composer")
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(garbage)
	file := os.NewFile(socketFD, "server")
	if file == nil {
		return ErrNoSocket
	}
	socket, err := net.FileConn(file)
	// FileConn works on a copy of the descriptor.
	file.Close()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoSocket, err)
	}
	conn := wire.NewConn(socket)
	defer conn.Close()
	// The server decides when a composer ends. A signal to its whole process group, as systemd sends, must not end
	// the channel's stream: the composer would say goodbye for good.
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
	c := &Composer{Conn: conn, Log: log}
	if err := c.Run(context.Background()); err != nil {
		if errors.Is(err, ErrServerGone) {
			log.Warn("composer ends", "reason", err)
		} else {
			log.Error("composer ends", "reason", err)
		}
		return err
	}
	return nil
}

// ErrNoSocket says that nobody started this process as a composer.
var ErrNoSocket = errors.New("no socket at file descriptor 3: footlight serve starts composers, they are not started by hand")
