package stage

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// writerFunc is a function as a sink's writer.
type writerFunc func(*rtp.Header)

func (f writerFunc) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	f(h)
	return len(payload), nil
}

// TestLane has one lane serve many sinks: a packet goes to all in their order, a sink that is far behind has to share,
// and what was written is flushed on the way and released at the end.
func TestLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _ := newTestSource(t, true)
		track := newTrack(src)
		l := newLane()
		var did []string // by the lane, or while it sleeps
		note := func(what string) func() { return func() { did = append(did, what) } }
		l.hold, l.flush, l.release = note("hold"), note("flush"), note("release")
		gate := make(chan struct{}, 1)
		join := func(name string) *sink {
			k := newSink(track, writerFunc(func(h *rtp.Header) {
				gate <- struct{}{}
				did = append(did, fmt.Sprint(name, h.SequenceNumber))
				<-gate
			}), func([]rtcp.Packet) error { return nil }, testLog())
			k.attach(l)
			return k
		}
		a, b := join("a"), join("b")
		go l.run(t.Context())
		feed(src, 1, keyPayload(1))
		synctest.Wait()
		if want := []string{"hold", "a1", "b1", "release"}; !slices.Equal(did, want) {
			t.Errorf("one packet: %v, want %v", did, want)
		}

		did = nil
		gate <- struct{}{} // the lane stands in the first write
		feed(src, 2, deltaPayload(2))
		synctest.Wait()
		const n = 3 * turnPackets
		for seq := range uint16(n) {
			feed(src, 3+seq, deltaPayload(seq))
		}
		<-gate
		synctest.Wait()
		b3, a99 := slices.Index(did, "b3"), slices.Index(did, fmt.Sprint("a", n+2))
		if b3 < 0 || a99 < b3 {
			t.Errorf("the second sink waits for the end of the first: %v", did)
		}
		if len(did) != 2*(n+1)+2+2*n/flushEvery || did[len(did)-1] != "release" {
			t.Errorf("%d steps: %v", len(did), did)
		}

		did = nil
		a.detach()
		feed(src, n+3, deltaPayload(0))
		synctest.Wait()
		if want := []string{"hold", fmt.Sprint("b", n+3), "release"}; !slices.Equal(did, want) {
			t.Errorf("after one has left: %v, want %v", did, want)
		}
		b.detach()
	})
}

// TestBatchConnHold looks at what is sent while the socket is held.
func TestBatchConnHold(t *testing.T) {
	listen := func() *net.UDPConn {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadBuffer(4 << 20)
		return c
	}
	c, to := newBatchConn(listen(), newSpread(2)), listen()
	defer c.Close()
	defer to.Close()
	at := to.LocalAddr().(*net.UDPAddr).AddrPort()
	write := func(n int) {
		t.Helper()
		if _, err := c.WriteToAddrPort(datagram(1, n), at); err != nil {
			t.Fatal(err)
		}
	}
	waiting := func() (n int) {
		for _, s := range c.shards {
			s.mu.Lock()
			n += len(s.pending.parts)
			s.mu.Unlock()
		}
		return n
	}
	next := 0
	read := func(n int) {
		t.Helper()
		b := make([]byte, 2000)
		for range n {
			size, err := to.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			if string(b[:size]) != string(datagram(1, next)) {
				t.Fatalf("datagram %d is another one", next)
			}
			next++
		}
	}
	own := c.shards[c.index(at)]
	own.hold()
	write(0)
	write(1)
	if n := waiting(); n != 2 {
		t.Errorf("%d wait, want 2", n)
	}
	own.flush()
	read(2)
	write(2)
	own.release()
	read(1)
	write(3) // sent by the socket itself
	read(1)
	// Who holds and writes more than there is room for sends it: nobody else would.
	own.hold()
	for n := range maxPending + 10 {
		write(n)
	}
	own.release()
	eventually(t, "all is sent", func() bool { return waiting() == 0 })
}
