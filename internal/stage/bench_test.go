package stage

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// BenchmarkForward measures what one packet of a publisher costs with a number of subscribers, from the
// parsed header to the encrypted packet, without the system calls: per operation one packet of 1100
// bytes received and sent to each subscriber.
func BenchmarkForward(b *testing.B) {
	for _, subscribers := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			nothing := func([]rtcp.Packet) error { return nil }
			src := newSource(true, new(counters), nothing)
			defer src.close()
			t := newTrack(src)
			ctx, cancel := context.WithCancel(b.Context())
			lanes := newLanes(&network{spread: newSpread(runtime.GOMAXPROCS(0))})
			var work sync.WaitGroup
			for _, l := range lanes {
				work.Go(func() { l.run(ctx) })
			}
			for i := range subscribers {
				k := newSink(t, newSRTP(b), nothing, testLog())
				k.ssrc, k.payloadType = 42, 100
				k.attach(lanes[i%len(lanes)])
				defer k.detach()
			}
			raw, err := (&rtp.Packet{Header: rtp.Header{Version: 2}, Payload: append([]byte{0x65, 0x88}, make([]byte, 1098)...)}).Marshal()
			if err != nil {
				b.Fatal(err)
			}
			now := time.Now()
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			seq, sent := uint16(0), uint64(0)
			for b.Loop() {
				p := newPacket()
				n := copy(p.buf[:], raw)
				p.buf[2], p.buf[3] = byte(seq>>8), byte(seq)
				if err := p.parse(n); err != nil {
					b.Fatal(err)
				}
				src.receive(p, now)
				p.release()
				seq++
				sent++
				// Stay within the queues: this measures work, not waiting.
				for sent%(videoQueue/2) == 0 && src.counters.packetsSent.Load() < sent*uint64(subscribers) {
					runtime.Gosched()
				}
			}
			for src.counters.packetsSent.Load() < sent*uint64(subscribers) {
				runtime.Gosched()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sent)/float64(subscribers), "ns/packet/subscriber")
			if d := src.counters.packetsDropped.Load(); d > 0 {
				b.Errorf("%d packets dropped", d)
			}
			cancel()
			work.Wait()
		})
	}
}

// newSRTP returns an encrypting writer whose packets go nowhere.
func newSRTP(b *testing.B) rtpWriter {
	conn := newNowhere()
	session, err := srtp.NewSessionSRTP(conn, &srtp.Config{
		Profile: srtp.ProtectionProfileAeadAes128Gcm,
		Keys: srtp.SessionKeys{
			LocalMasterKey: make([]byte, 16), LocalMasterSalt: make([]byte, 12),
			RemoteMasterKey: make([]byte, 16), RemoteMasterSalt: make([]byte, 12),
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { session.Close() })
	w, err := session.OpenWriteStream()
	if err != nil {
		b.Fatal(err)
	}
	return w
}

// nowhere is a connection that takes everything and brings nothing.
type nowhere struct {
	net.Conn
	closed chan struct{}
}

func newNowhere() *nowhere { return &nowhere{closed: make(chan struct{})} }

func (n *nowhere) Read([]byte) (int, error) {
	<-n.closed
	return 0, io.EOF
}
func (n *nowhere) Write(b []byte) (int, error)     { return len(b), nil }
func (n *nowhere) SetReadDeadline(time.Time) error { return nil }
func (n *nowhere) Close() error                    { close(n.closed); return nil }
