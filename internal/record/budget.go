package record

import (
	"sync/atomic"
	"syscall"
)

// budget is what all recordings together may keep in the spool. Safe for concurrent use.
type budget struct {
	limit   int64  // bytes
	reserve int64  // bytes of the file system that are left free
	dir     string // on that file system
	used    atomic.Int64
}

func (b *budget) add(n int64) { b.used.Add(n) }

// Pressure is how full the spool is.
type Pressure int

// The degrees: at Tight no more thumbnails are taken, at Full no more media.
const (
	Roomy Pressure = iota
	Tight
	Full
)

func (p Pressure) String() string { return [...]string{"roomy", "nearly full", "full"}[p] }

// tightShare is where the spool counts as nearly full, resumeShare where media is taken again after it was full.
const (
	tightShare  = 0.8
	resumeShare = 0.95
)

// pressure looks at what is used and at the disk.
func (b *budget) pressure() Pressure {
	used, free := float64(b.used.Load()), b.free()
	limit := float64(b.limit)
	switch {
	case used >= limit || free < b.reserve:
		return Full
	case used >= tightShare*limit || free < 2*b.reserve:
		return Tight
	}
	return Roomy
}

// resumes tells whether there is room again after the spool was full: somewhat more than one part of it.
func (b *budget) resumes() bool {
	return float64(b.used.Load()) < resumeShare*float64(b.limit) && b.free() >= b.reserve+b.reserve/8
}

// free is what is left of the file system, in bytes; plenty when it does not say.
func (b *budget) free() int64 {
	var s syscall.Statfs_t
	if syscall.Statfs(b.dir, &s) != nil {
		return 1 << 62
	}
	return int64(s.Bavail) * s.Bsize
}
