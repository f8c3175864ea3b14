package stage

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// canSegment says that the kernel may be asked to cut a message into datagrams (udp(7), UDP_SEGMENT, Linux 4.18).
const canSegment = true

// newSegmentControl makes the control message that asks for it.
func newSegmentControl() []byte {
	b := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	return b
}

func setSegmentSize(control []byte, size uint16) {
	binary.NativeEndian.PutUint16(control[unix.CmsgLen(0):], size)
}
