package av

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLooseWaits looks at a thread that the runtime has made.
func TestLooseWaits(t *testing.T) {
	slack := make(chan int)
	go func() {
		runtime.LockOSThread()
		ns, _, _ := unix.Syscall(unix.SYS_PRCTL, unix.PR_GET_TIMERSLACK, 0, 0)
		slack <- int(ns)
	}()
	if ns := <-slack; ns != 500_000 {
		t.Errorf("waits may end %d ns late, want 500000", ns)
	}
}
