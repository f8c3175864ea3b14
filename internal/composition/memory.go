package composition

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// residentMemory is what a process has in memory, in bytes (proc(5), statm).
func residentMemory(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0, fmt.Errorf("read memory of process %d: statm is %q", pid, b)
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	return pages * uint64(os.Getpagesize()), nil
}

// dataHeadroom is what the data segment of a composer may have beyond its resident memory: stacks of threads and
// parts of heaps that were asked for and never touched.
const dataHeadroom = 1 << 30

// limitMemory is the backstop for a process whose memory grows faster than it is watched: the system refuses it
// more than this.
func limitMemory(pid int, resident uint64) error {
	data := min(resident, math.MaxInt64) + dataHeadroom
	limit := unix.Rlimit{Cur: data, Max: data}
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, &limit, nil); err != nil {
		return fmt.Errorf("limit memory of process %d: %w", pid, err)
	}
	return nil
}
