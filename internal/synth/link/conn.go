package link

import (
	"container/heap"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxWaiting bounds the packets under way in one direction; more get lost, as in a router.
const maxWaiting = 4096

// Conn is a packet socket whose packets meet the conditions of two links: what is written those of one, what is read
// those of the other. Any goroutine may write and read. Read deadlines do not work.
type Conn struct {
	net.PacketConn
	up, down *line

	inbox  chan parcel
	closed chan struct{}
	once   sync.Once
	work   sync.WaitGroup
}

// parcel is a packet under way.
type parcel struct {
	packet []byte
	addr   net.Addr
	due    time.Time
	number uint64 // in order of sending
}

// Wrap puts links in front of a socket, which from then on belongs to the Conn. up and down are asked for each
// packet and must be safe for concurrent use; nil is a perfect link.
func Wrap(conn net.PacketConn, up, down func() Conditions) *Conn {
	c := &Conn{PacketConn: conn, inbox: make(chan parcel, 1024), closed: make(chan struct{})}
	c.up = c.newLine(up, func(p parcel) {
		_, _ = c.PacketConn.WriteTo(p.packet, p.addr) // a socket that broke tells its reader
	})
	c.down = c.newLine(down, func(p parcel) {
		select {
		case c.inbox <- parcel{packet: slices.Clone(p.packet), addr: p.addr}:
		default: // nobody reads fast enough: lost, as in a socket's buffer
		}
	})
	c.work.Go(c.receive)
	return c
}

// WriteTo sends a packet on its way. It reports no error for one that gets lost.
func (c *Conn) WriteTo(packet []byte, to net.Addr) (int, error) {
	if c.up.conditions == nil {
		return c.PacketConn.WriteTo(packet, to)
	}
	c.up.send(packet, to)
	return len(packet), nil
}

// ReadFrom returns the next packet that arrives.
func (c *Conn) ReadFrom(packet []byte) (int, net.Addr, error) {
	select {
	case p := <-c.inbox:
		return copy(packet, p.packet), p.addr, nil
	case <-c.closed:
		return 0, nil, net.ErrClosed
	}
}

// receive takes what the socket brings until it is closed.
func (c *Conn) receive() {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := c.PacketConn.ReadFrom(buffer)
		if err != nil {
			c.shut()
			return
		}
		c.down.send(buffer[:n], from)
	}
}

func (c *Conn) shut() { c.once.Do(func() { close(c.closed) }) }

// Close closes the socket; what is under way gets lost. It returns when all is released.
func (c *Conn) Close() error {
	c.shut()
	err := c.PacketConn.Close()
	c.work.Wait()
	return err
}

// line carries the packets of one direction. Its goroutine owns the heap of those that are under way.
type line struct {
	conditions func() Conditions
	deliver    func(parcel)
	arrivals   chan parcel
	waiting    atomic.Int64

	mu     sync.Mutex // guards path and number, and the order of packets that need not wait
	path   path
	number uint64
}

func (c *Conn) newLine(conditions func() Conditions, deliver func(parcel)) *line {
	l := &line{
		conditions: conditions, deliver: deliver, arrivals: make(chan parcel, maxWaiting),
		path: newPath(rand.Uint64(), time.Now()),
	}
	if conditions != nil {
		c.work.Go(func() { l.run(c.closed) })
	}
	return l
}

// send decides the packet's fate and has it delivered in time.
func (l *line) send(packet []byte, addr net.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	due, copies := [2]time.Time{now}, 1
	if l.conditions != nil {
		due, copies = l.path.fate(l.conditions(), isMedia(packet), now)
	}
	for _, at := range due[:copies] {
		l.number++
		p := parcel{packet, addr, at, l.number}
		switch {
		case !at.After(now) && l.waiting.Load() == 0:
			l.deliver(p)
		case l.waiting.Load() < maxWaiting:
			l.waiting.Add(1)
			p.packet = slices.Clone(packet)
			l.arrivals <- p // never blocks: it holds all that may wait
		}
	}
}

// run delivers packets when they are due.
func (l *line) run(closed <-chan struct{}) {
	var under parcels
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var next <-chan time.Time
		if len(under) > 0 {
			timer.Reset(time.Until(under[0].due))
			next = timer.C
		}
		select {
		case p := <-l.arrivals:
			heap.Push(&under, p)
		case <-next:
			l.deliver(heap.Pop(&under).(parcel))
			l.waiting.Add(-1)
		case <-closed:
			return
		}
	}
}

// parcels is a heap by due time, and by the order of sending where that is the same.
type parcels []parcel

func (h parcels) Len() int { return len(h) }
func (h parcels) Less(i, j int) bool {
	if c := h[i].due.Compare(h[j].due); c != 0 {
		return c < 0
	}
	return h[i].number < h[j].number
}
func (h parcels) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *parcels) Push(x any)   { *h = append(*h, x.(parcel)) }
func (h *parcels) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
