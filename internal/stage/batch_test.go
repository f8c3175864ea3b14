package stage

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBatchConn has several writers send runs of datagrams of all lengths to several addresses: each comes whole, once
// and in the order of its writer, whether the kernel cuts messages or not.
func TestBatchConn(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		for _, whole := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s whole=%v", host, whole), func(t *testing.T) {
				listen := func() *net.UDPConn {
					c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
					if err != nil {
						t.Skip("no such address: ", err)
					}
					_ = c.SetReadBuffer(4 << 20)
					return c
				}
				c := newBatchConn(listen(), newSpread(2))
				defer c.Close()
				for _, s := range c.shards {
					s.whole.Store(whole || !canSegment)
				}
				const writers, datagrams = 5, 400
				var work sync.WaitGroup
				for w := range writers {
					to := listen()
					defer to.Close()
					at := to.LocalAddr().(*net.UDPAddr).AddrPort()
					work.Go(func() {
						for n := range datagrams {
							if _, err := c.WriteToAddrPort(datagram(w, n), at); err != nil {
								t.Error(err)
							}
							if n%50 == 49 {
								time.Sleep(time.Millisecond) // loopback drops what the reader has no room for
							}
						}
					})
					work.Go(func() {
						b := make([]byte, 2000)
						_ = to.SetReadDeadline(time.Now().Add(patience))
						for n := range datagrams {
							size, err := to.Read(b)
							if err != nil {
								t.Errorf("writer %d, datagram %d: %v", w, n, err)
								return
							}
							if want := datagram(w, n); string(b[:size]) != string(want) {
								t.Errorf("writer %d, datagram %d is another one: %d bytes, want %d", w, n, size, len(want))
								return
							}
						}
					})
				}
				work.Wait()
			})
		}
	}
}

// datagram is a datagram that no other is like. Most of a run have one length, as those of a picture.
func datagram(writer, n int) []byte {
	size := 1100
	if n%7 == 6 {
		size = 20 + n
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(writer + n + i)
	}
	binary.BigEndian.PutUint64(b, uint64(writer)<<32|uint64(n))
	return b
}

// TestBatchRuns looks at what the kernel is asked for.
func TestBatchRuns(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("[2001:db8::1]:2")
	var in batch
	add := func(to netip.AddrPort, size int) {
		start := len(in.data)
		in.data = append(in.data, make([]byte, size)...)
		in.parts = append(in.parts, part{to, start, start + size})
	}
	for range 3 {
		add(b, 500)
	}
	for range 3 {
		add(a, 1000)
	}
	add(a, 200)  // ends the run
	add(a, 1000) // begins another one
	add(a, 1100) // is longer
	m := newMessages()
	for _, c := range []struct {
		segment bool
		want    string
	}{
		{true, "[2001:db8::1]:2/3 192.0.2.1:1/4 192.0.2.1:1/1 192.0.2.1:1/1"},
		{false, strings.Repeat("[2001:db8::1]:2/1 ", 3) + strings.Repeat("192.0.2.1:1/1 ", 5) + "192.0.2.1:1/1"},
	} {
		if c.segment && !canSegment {
			continue
		}
		if n := m.fill(in, c.segment); n != len(in.parts) {
			t.Errorf("took %d parts of %d", n, len(in.parts))
		}
		got := ""
		for i, msg := range m.ready {
			if i > 0 {
				got += " "
			}
			got += fmt.Sprintf("%s/%d", msg.Addr, len(msg.Buffers))
			if (len(msg.OOB) > 0) != (len(msg.Buffers) > 1) {
				t.Errorf("message %d: %d buffers, control %v", i, len(msg.Buffers), msg.OOB)
			}
		}
		if got != c.want {
			t.Errorf("segment=%v:\n got %s\nwant %s", c.segment, got, c.want)
		}
	}
	for range 10 * maxMessages {
		add(b, 100)
		add(a, 100)
	}
	for rest := in; len(rest.parts) > 0; {
		n := m.fill(rest, true)
		if n == 0 {
			t.Fatal("takes nothing")
		}
		rest.parts = rest.parts[n:]
		for _, msg := range m.ready {
			if len(msg.Buffers) > maxRun {
				t.Errorf("a run of %d", len(msg.Buffers))
			}
		}
	}
}

// TestBatchConnClose ends writers that wait for room.
func TestBatchConnClose(t *testing.T) {
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	c := newBatchConn(udp, newSpread(2))
	to := udp.LocalAddr().(*net.UDPAddr).AddrPort()
	started, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			if n == 5000 {
				close(started)
			}
			if _, err := c.WriteToAddrPort(make([]byte, 1000), to); err != nil {
				return
			}
		}
	}()
	<-started
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	closed(t, "the writer hears of the end", ended)
}
