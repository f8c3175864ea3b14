package transcode

import (
	"log/slog"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// dataLimit is for all that a worker may ask the system for, in bytes. In use are 20 to 75 MB.
const dataLimit = 1 << 30

// Confine prepares this process to be a worker: its memory is limited, that which Go manages to goMemory bytes. Signals do
// not end it: the server decides when a worker ends, by ending its input, and a signal to all of the service must not take
// picture or sound from encoders that the server still hears.
func Confine(goMemory int64, log *slog.Logger) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
	debug.SetMemoryLimit(goMemory)
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: dataLimit, Max: dataLimit}); err != nil {
		log.Warn("the memory is not limited by the system", "error", err)
	}
}
