package stage

import (
	"bufio"
	"encoding/binary"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/stun/v4"
)

// Clients that misbehave on the media ports.

// framed carries datagrams over TCP (RFC 4571), until it is told not to read any more.
type framed struct {
	net.Conn
	in      *bufio.Reader
	stalled chan struct{} // closed when reading ends
	closed  chan struct{}
	once    sync.Once
}

func newFramed(conn net.Conn) *framed {
	return &framed{Conn: conn, in: bufio.NewReader(conn), stalled: make(chan struct{}), closed: make(chan struct{})}
}

func (f *framed) Read(b []byte) (int, error) {
	var length [2]byte
	if _, err := io.ReadFull(f.in, length[:]); err != nil {
		return 0, err
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if n > len(b) {
		return 0, io.ErrShortBuffer
	}
	_, err := io.ReadFull(f.in, b[:n])
	select {
	case <-f.stalled:
		<-f.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (f *framed) Write(b []byte) (int, error) { return f.Conn.Write(frame(b)) }

func (f *framed) Close() error {
	f.once.Do(func() { close(f.closed) })
	return f.Conn.Close()
}

// frame puts a datagram's length in front of it.
func frame(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }

// credentials finds the stage's ICE credentials in an answer.
func credentials(answer string) (ufrag, pwd string) {
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		if value, ok := strings.CutPrefix(line, "a=ice-ufrag:"); ok {
			ufrag = value
		}
		if value, ok := strings.CutPrefix(line, "a=ice-pwd:"); ok {
			pwd = value
		}
	}
	return ufrag, pwd
}

// TestSlowReader: a subscriber over TCP that says that it is there and reads nothing. Somebody else notices nothing.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *Server) { s.MaxBitRate = 1_000_000_000 })
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	stop := cam.roll(1)
	next(t, scr.video)
	stop()

	certificate, print := newCertificate(t)
	offer := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=recvonly\r\n" +
		"a=rtcp-mux\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=setup:passive\r\na=ice-ufrag:slow\r\na=ice-pwd:slowslowslowslowslowslow\r\na=fingerprint:sha-256 " + print + "\r\n"
	res, answer := r.do(t, "POST", "/whip/subscribe/alice", offer, "Content-Type", typeSDP, "Authorization", "Bearer stage1.slow.s")
	if res.StatusCode != 201 {
		t.Fatal(res.Status, answer)
	}
	conn, err := net.Dial("tcp", r.TCPAddress().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	ufrag, pwd := credentials(answer)
	wire := newFramed(conn)
	slow := newEncoder(wire, ufrag+":slow", pwd, "slowslowslowslowslowslow")
	defer slow.close()
	defer wire.Close() // first, since DTLS would wait to read
	slow.dtlsServer(t, certificate)
	r.observer.wait(t, SubscribeStarted, "slow", 1)
	close(wire.stalled)

	// Several times what fits into the buffers of the kernel and of the stage.
	const packets, size = 24_000, 1100
	sequence := slices.Max(slices.Collect(maps.Keys(cam.sent)))
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for n := range packets {
		sequence++
		payload := append([]byte{0x41, 0x9a}, make([]byte, size)...)
		if n == 0 {
			payload[0], payload[1] = 0x65, 0x88
		}
		_ = cam.video.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, Marker: true, SequenceNumber: sequence, Timestamp: uint32(sequence) * 3000}, Payload: payload})
		if n%20 == 0 {
			<-ticker.C
		}
	}
	defer cam.roll(sequence + 1)()
	scr.goesOn()
	if s := r.Stats(); s.Publishers != 1 {
		t.Errorf("%+v", s)
	}
}

// FuzzMedia sends any datagram, and any attributes of a STUN request to somebody else's session, over UDP and TCP: the session
// goes on.
func FuzzMedia(f *testing.F) {
	r := newRig(f, nil)
	certificate, print := newCertificate(f)
	victim, _ := r.encode(f, "victim", webrtcbinOffer(print), "gstu", "gstgstgstgstgstgstgstgst", certificate)
	f.Cleanup(victim.close)
	user := stun.NewUsername(victim.user)
	udp, err := net.Dial("udp", r.UDPAddress().String())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { udp.Close() })

	f.Add([]byte{})
	f.Add(stun.MustBuild(stun.TransactionID, stun.BindingRequest, user, stun.NewShortTermIntegrity("guessed"), stun.Fingerprint).Raw)
	f.Add(stun.MustBuild(stun.TransactionID, stun.BindingSuccess, stun.Fingerprint).Raw)
	f.Add([]byte{0, 37, 0, 0, 0x80, 0x2a, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0}) // USE-CANDIDATE, ICE-CONTROLLING
	f.Add([]byte{0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x65, 0x88})    // RTP
	f.Add([]byte{0x81, 201, 0, 1, 0, 0, 0, 3})                           // RTCP
	f.Add([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1})         // DTLS
	f.Fuzz(func(t *testing.T, data []byte) {
		data = data[:min(len(data), maxPacket)]
		request := stun.MustBuild(stun.TransactionID, stun.BindingRequest, user)
		request.Raw = append(request.Raw, data...)
		binary.BigEndian.PutUint16(request.Raw[2:], uint16(len(request.Raw)-20))
		tcp, err := net.Dial("tcp", r.TCPAddress().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = tcp.(*net.TCPConn).SetLinger(0) // or the ports would run out
		defer tcp.Close()
		for _, sent := range [][]byte{data, request.Raw} {
			_, _ = udp.Write(sent)
			_, _ = tcp.Write(frame(sent)) // fails when the stage hangs up first
		}
		_, _ = tcp.Write(data)
		victim.ask()
		select {
		case <-victim.answers:
		case <-time.After(patience):
			t.Fatal("the session does not answer any more")
		}
	})
}
