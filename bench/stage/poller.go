package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// poller reads the sockets of all subscribers on one goroutine and counts their RTP packets by the header, which SRTP
// leaves in the clear, so that a subscriber costs as little as it can: what is measured is the server. Everything
// else (STUN, DTLS, RTCP), and the media of probes, goes to pion.
type poller struct {
	epoll int
	pause time.Duration // between two looks, so that many packets are read at once

	mu    sync.Mutex
	ports map[int32]*port
	ended chan struct{}
	done  atomic.Bool
}

func newPoller(pause time.Duration) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make epoll: %w", err)
	}
	p := &poller{epoll: fd, pause: pause, ports: make(map[int32]*port), ended: make(chan struct{})}
	go p.run()
	return p, nil
}

func (p *poller) close() {
	p.done.Store(true)
	<-p.ended
	_ = unix.Close(p.epoll)
}

func (p *poller) run() {
	defer close(p.ended)
	events, in := make([]unix.EpollEvent, 256), newBatch()
	for !p.done.Load() {
		n, err := unix.EpollWait(p.epoll, events, 100)
		if err != nil && err != unix.EINTR {
			return
		}
		for _, e := range events[:max(n, 0)] {
			p.mu.Lock()
			at := p.ports[e.Fd]
			p.mu.Unlock()
			if at != nil {
				at.drain(in)
			}
		}
		time.Sleep(p.pause)
	}
}

// port is the UDP socket of one subscriber, for pion's UDP mux.
type port struct {
	fd      int
	local   *net.UDPAddr
	poller  *poller
	probe   bool // its media goes to pion, with the time of arrival
	in      chan datagram
	closed  chan struct{}
	once    sync.Once
	rtp     counter
	arrival [1 << 16]int64 // of probes: when the kernel took the packet, in Unix nanoseconds, by sequence number
}

type datagram struct {
	data []byte
	from net.Addr
}

// counter counts the packets of the first stream that comes.
type counter struct {
	mu             sync.Mutex
	ssrc           uint32
	highest, first int64
	received       int64
	bytes          int64
}

func (c *counter) add(b []byte) {
	sequence := uint16(b[2])<<8 | uint16(b[3])
	ssrc := uint32(b[8])<<24 | uint32(b[9])<<16 | uint32(b[10])<<8 | uint32(b[11])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += int64(len(b))
	if c.ssrc == 0 {
		c.ssrc, c.first, c.highest = ssrc, int64(sequence), int64(sequence)
		c.received = 1
		return
	}
	if ssrc != c.ssrc {
		return
	}
	c.received++
	if d := int16(sequence - uint16(c.highest)); d > 0 {
		c.highest += int64(d)
	}
}

// read returns how many packets should have come and how many did.
func (c *counter) read() (expected, received int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ssrc == 0 {
		return 0, 0
	}
	return c.highest - c.first + 1, c.received
}

func (p *poller) listen(probe bool) (*port, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make socket: %w", err)
	}
	at := &port{fd: fd, poller: p, probe: probe, in: make(chan datagram, 4096), closed: make(chan struct{})}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, fmt.Errorf("bind: %w", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return nil, fmt.Errorf("name socket: %w", err)
	}
	in4 := name.(*unix.SockaddrInet4)
	at.local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)))
	p.mu.Lock()
	p.ports[int32(fd)] = at
	p.mu.Unlock()
	return at, unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// drain reads all that is there.
func (p *port) drain(in *batch) {
	for {
		n := in.receive(p.fd)
		for i := range n {
			p.take(in.datagram(i))
		}
		if n < len(in.headers) {
			return
		}
	}
}

// take counts a datagram, or passes it to pion. control has the time of arrival.
func (p *port) take(b, control []byte, from netip.AddrPort) {
	if media(b) {
		p.rtp.add(b)
		if !p.probe {
			return
		}
		p.arrival[uint16(b[2])<<8|uint16(b[3])] = stamp(control)
	}
	select {
	case p.in <- datagram{bytes.Clone(b), net.UDPAddrFromAddrPort(from)}:
	default: // as a full socket buffer would
	}
}

// media tells RTP from what else comes on the port (RFC 7983 section 7, RFC 5761 section 4).
func media(b []byte) bool {
	return len(b) >= 12 && b[0]>>6 == 2 && (b[1] < 192 || b[1] > 223)
}

// stamp finds the kernel's time of arrival.
func stamp(oob []byte) int64 {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return int64(le64(m.Data))*int64(time.Second) + int64(le64(m.Data[8:]))
		}
	}
	return 0
}

func le64(b []byte) uint64 {
	var v uint64
	for i := range 8 {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}

func (p *port) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-p.in:
		return copy(b, d.data), d.from, nil
	case <-p.closed:
		return 0, nil, net.ErrClosed
	}
}

func (p *port) WriteTo(b []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, os.ErrInvalid
	}
	at := &unix.SockaddrInet4{Port: udp.Port}
	copy(at.Addr[:], udp.IP.To4())
	if err := unix.Sendto(p.fd, b, 0, at); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (p *port) Close() error {
	p.once.Do(func() {
		p.poller.mu.Lock()
		delete(p.poller.ports, int32(p.fd))
		p.poller.mu.Unlock()
		close(p.closed)
		_ = unix.Close(p.fd)
	})
	return nil
}

func (p *port) LocalAddr() net.Addr              { return p.local }
func (p *port) SetDeadline(time.Time) error      { return nil }
func (p *port) SetReadDeadline(time.Time) error  { return nil }
func (p *port) SetWriteDeadline(time.Time) error { return nil }
