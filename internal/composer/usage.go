package composer

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
)

// usage measures what this process takes from the machine. The main loop owns it; the zero value is ready.
type usage struct {
	cpu  time.Duration // used up to the last measurement
	wall time.Time     // of the last measurement
}

// measure returns the cores in use since the call before, and the resident bytes now; 0 for what the system
// does not tell.
func (u *usage) measure() (cores float64, resident uint64) {
	now := time.Now()
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		cpu := time.Duration(r.Utime.Nano() + r.Stime.Nano())
		if passed := now.Sub(u.wall); !u.wall.IsZero() && passed > 0 {
			cores = float64(cpu-u.cpu) / float64(passed)
		}
		u.cpu, u.wall = cpu, now
	}
	return cores, residentBytes()
}

// residentBytes reads the second field of /proc/self/statm, in pages (proc(5)).
func residentBytes() uint64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(data)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
