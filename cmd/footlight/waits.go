package main

import (
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// looseness is how late a timed wait may end. Go's runtime looks after its threads in naps of 20 µs while anything
	// runs, which Linux makes 70 µs by its own looseness of 50 µs; with ten times that, a server takes a fifth less
	// processor time, and composers, which do the same (common.c in internal/av), a tenth less. Media is woken by
	// packets, not by time, and what is timed counts in milliseconds.
	looseness = 500 * time.Microsecond

	// startedLoose is set in the environment of a program that has started itself anew.
	startedLoose = "FOOTLIGHT_LOOSE_WAITS"
)

// loosenWaits makes timed waits of this process end up to looseness late, so that it wakes up less often. Threads take
// that from the one that made them, and the runtime made its own before any of our code ran: so the program starts
// itself anew, in the same process. Where that fails, all goes on as it was.
func loosenWaits() {
	if os.Getenv(startedLoose) != "" {
		os.Unsetenv(startedLoose)
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(looseness), 0, 0, 0) == nil {
		_ = syscall.Exec(self, os.Args, append(os.Environ(), startedLoose+"=1"))
	}
}
