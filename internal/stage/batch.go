package stage

import (
	"errors"
	"hash/maphash"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/net/ipv4"
)

const (
	// maxPending is how many datagrams wait for one shard. Who writes more waits.
	maxPending = 1024
	// maxMessages go to the kernel in one call.
	maxMessages = 128
	// A run of datagrams to one address is a single message for the kernel while it has at most this many segments
	// and bytes: below the least that Linux allows, and what an IP packet can say.
	maxRun, maxRunBytes = 60, 60_000
)

// batchConn is the UDP socket under pion's mux. What is written to it is sent in batches: one call of the kernel for many
// datagrams, and one pass through its network stack for the run of equally long ones that a picture is made of
// (UDP_SEGMENT). The lanes write many datagrams and have them sent themselves; others leave that to goroutines of the
// socket's own, or to the lane that is writing. All that is written while a batch is sent is in the next one: the busier
// the server is, the larger the batches are, so that a datagram costs less the more there are; when it is idle they wait
// for nothing.
//
// Datagrams to one address keep their order. Errors of the network are not told: to who sends, it is a loss.
type batchConn struct {
	*net.UDPConn
	spread
	shards []*shard
	work   sync.WaitGroup
}

// spread divides addresses among lanes, and among the shards of the sockets, each of which belongs to one lane.
type spread struct {
	seed maphash.Seed
	over int
}

func newSpread(over int) spread { return spread{maphash.MakeSeed(), over} }

// index is the lane, and the shard, for an address.
func (s spread) index(to netip.AddrPort) int {
	if s.over == 1 {
		return 0
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	return int(maphash.Comparable(s.seed, to) % uint64(s.over))
}

// shard sends the datagrams to its part of all addresses.
type shard struct {
	conn *net.UDPConn
	// whole says that the kernel refused to cut messages into datagrams; it is not asked again.
	whole *atomic.Bool

	mu      sync.Mutex
	changed sync.Cond // there is something pending that its goroutine is to send, or room, or the end
	pending batch
	called  bool // its goroutine is to send
	held    bool // the lane sends
	sending bool // somebody sends; taken and messages are his
	closed  bool

	taken    batch
	messages *messages
}

// batch is datagrams in the order in which they were written.
type batch struct {
	data  []byte
	parts []part
}

type part struct {
	to         netip.AddrPort
	start, end int // in data
}

// newBatchConn sends on the connection, which it owns from now on.
func newBatchConn(conn *net.UDPConn, s spread) *batchConn {
	c := &batchConn{UDPConn: conn, spread: s}
	whole := new(atomic.Bool)
	whole.Store(!canSegment)
	for range s.over {
		s := &shard{conn: another(conn), whole: whole, messages: newMessages()}
		s.changed.L = &s.mu
		c.shards = append(c.shards, s)
		c.work.Go(s.run)
	}
	return c
}

// another is the socket again, by a descriptor of its own: what is sent by one and the same, Go sends one after the other.
func another(conn *net.UDPConn) *net.UDPConn {
	f, err := conn.File()
	if err != nil {
		return conn
	}
	defer f.Close()
	c, err := net.FilePacketConn(f)
	if err != nil {
		return conn
	}
	return c.(*net.UDPConn)
}

// ReadFromAddrPort reads a datagram.
func (c *batchConn) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	return c.ReadFromUDPAddrPort(b)
}

// WriteTo queues a datagram.
func (c *batchConn) WriteTo(b []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, net.InvalidAddrError("not a UDP address")
	}
	return c.WriteToAddrPort(b, udp.AddrPort())
}

// WriteToAddrPort queues a datagram. It waits while too many are queued.
func (c *batchConn) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	s := c.shards[c.index(to)]
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending.parts) >= maxPending && !s.closed {
		if s.sending {
			s.changed.Wait()
		} else {
			s.empty()
		}
	}
	if s.closed {
		return 0, net.ErrClosed
	}
	start := len(s.pending.data)
	s.pending.data = append(s.pending.data, b...)
	s.pending.parts = append(s.pending.parts, part{to, start, start + len(b)})
	if !s.called && !s.sending && !s.held {
		s.called = true
		s.changed.Broadcast()
	}
	return len(b), nil
}

// Close closes the socket. What is queued is lost.
func (c *batchConn) Close() error {
	for _, s := range c.shards {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.changed.Broadcast()
	}
	err := c.UDPConn.Close()
	for _, s := range c.shards {
		if s.conn != c.UDPConn {
			err = errors.Join(err, s.conn.Close())
		}
	}
	c.work.Wait()
	return err
}

// run sends when it is called, until the end.
func (s *shard) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed {
		if s.called {
			s.called = false
			s.empty()
			continue
		}
		s.changed.Wait()
	}
}

// hold leaves what is written to who calls flush and, at the end, release.
func (s *shard) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

// flush sends what was written.
func (s *shard) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.empty()
}

// release ends what hold began, and sends what was written.
func (s *shard) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
	s.empty()
}

// empty sends all that is pending, if nobody does so already. The caller holds the lock, which is free meanwhile.
func (s *shard) empty() {
	if s.sending {
		return
	}
	s.sending = true
	for len(s.pending.parts) > 0 && !s.closed {
		full := len(s.pending.parts) >= maxPending
		s.taken, s.pending = s.pending, batch{s.taken.data[:0], s.taken.parts[:0]}
		s.mu.Unlock()
		if full {
			s.changed.Broadcast()
		}
		for rest := s.taken; len(rest.parts) > 0; {
			rest.parts = rest.parts[s.messages.fill(rest, !s.whole.Load()):]
			s.send(s.messages)
		}
		s.mu.Lock()
	}
	s.sending = false
}

// send hands messages to the kernel.
func (s *shard) send(m *messages) {
	for at := 0; at < len(m.ready); {
		n, err := ipv4.NewPacketConn(s.conn).WriteBatch(m.ready[at:], 0)
		at += max(n, 0)
		if err == nil {
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// The first message that was not sent is the one that the error is about.
		if at < len(m.ready) && len(m.ready[at].OOB) > 0 {
			s.whole.Store(true)
			for _, b := range m.ready[at].Buffers {
				_, _ = s.conn.WriteTo(b, m.ready[at].Addr)
			}
		}
		at++
	}
}

// messages are what one call of the kernel sends. Its memory is used again.
type messages struct {
	ready []ipv4.Message
	store [maxMessages]struct {
		addr    net.UDPAddr
		ip      [16]byte
		segment []byte // control message
		size    int    // of all segments but the last
		total   int
		ended   bool // by a segment that is shorter
	}
}

func newMessages() *messages {
	m := new(messages)
	for i := range m.store {
		m.store[i].segment = newSegmentControl()
	}
	m.ready = make([]ipv4.Message, 0, maxMessages)
	return m
}

// fill makes messages of the first parts of a batch and returns of how many. With segment set, a run of datagrams of
// one length to one address is one message, of which the last may be shorter.
func (m *messages) fill(b batch, segment bool) int {
	m.ready = m.ready[:0]
	for n, p := range b.parts {
		size, i := p.end-p.start, len(m.ready)
		if segment && n > 0 && b.parts[n-1].to == p.to {
			msg, s := &m.ready[i-1], &m.store[i-1]
			if !s.ended && size <= s.size && len(msg.Buffers) < maxRun && s.total+size <= maxRunBytes {
				msg.Buffers = append(msg.Buffers, b.data[p.start:p.end])
				msg.OOB = s.segment
				setSegmentSize(s.segment, uint16(s.size))
				s.total += size
				s.ended = size < s.size
				continue
			}
		}
		if i == maxMessages {
			return n
		}
		s := &m.store[i]
		s.size, s.total, s.ended = size, size, false
		if ip := p.to.Addr().Unmap(); ip.Is4() {
			four := ip.As4()
			s.addr.IP = s.ip[:copy(s.ip[:], four[:])]
		} else {
			s.ip = ip.As16()
			s.addr.IP = s.ip[:]
		}
		s.addr.Port, s.addr.Zone = int(p.to.Port()), p.to.Addr().Zone()
		m.ready = m.ready[:i+1]
		msg := &m.ready[i]
		msg.Buffers = append(msg.Buffers[:0], b.data[p.start:p.end])
		msg.OOB, msg.Addr = nil, &s.addr
	}
	return len(b.parts)
}
