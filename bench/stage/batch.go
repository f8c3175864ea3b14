package main

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is room for the datagrams that one call of the kernel brings, recvmmsg(2): most of what the load costs is calls.
type batch struct {
	headers [16]struct {
		unix.Msghdr
		length uint32
	}
	rooms [16]struct {
		data    [2048]byte
		part    unix.Iovec
		control [64]byte
		from    unix.RawSockaddrInet4
	}
}

func newBatch() *batch {
	in := new(batch)
	for i := range in.headers {
		h, r := &in.headers[i], &in.rooms[i]
		r.part.Base = &r.data[0]
		r.part.SetLen(len(r.data))
		h.Iov, h.Control, h.Name = &r.part, &r.control[0], (*byte)(unsafe.Pointer(&r.from))
		h.SetIovlen(1)
	}
	return in
}

// receive returns how many datagrams came, none if there is nothing.
func (in *batch) receive(fd int) int {
	for i := range in.headers {
		h := &in.headers[i]
		h.Namelen = uint32(unsafe.Sizeof(in.rooms[i].from))
		h.SetControllen(len(in.rooms[i].control))
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&in.headers[0])), uintptr(len(in.headers)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// datagram is one of those that came, with its control messages and where it came from, until the next call.
func (in *batch) datagram(i int) (b, control []byte, from netip.AddrPort) {
	h, r := &in.headers[i], &in.rooms[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&r.from.Port))[:])
	return r.data[:h.length], r.control[:h.Controllen], netip.AddrPortFrom(netip.AddrFrom4(r.from.Addr), port)
}
