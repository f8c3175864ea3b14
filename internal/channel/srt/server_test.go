package srt

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	gosrt "github.com/datarhei/gosrt"
	"go.uber.org/goleak"

	"github.com/footlight-live/footlight/internal/leak"
	"github.com/footlight-live/footlight/internal/unit"
)

func TestMain(m *testing.M) {
	// gosrt's clients, which only tests have, may leave their reader behind, waiting to tell its end to nobody.
	leak.Main(m, goleak.IgnoreAnyFunction("github.com/datarhei/gosrt.Dial.func1"))
}

const phrase = "0123456789abcdef"

// sink takes everything.
type sink struct {
	units  chan unit.Unit
	closed chan closing
}

type closing struct {
	goodbye bool
	reason  error
}

func newSink() *sink { return &sink{units: make(chan unit.Unit, 10000), closed: make(chan closing, 1)} }

func (s *sink) Write(_ context.Context, u unit.Unit) error {
	s.units <- u
	return nil
}

func (s *sink) Close(goodbye bool, reason error) { s.closed <- closing{goodbye, reason} }

func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(60 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// listen serves SRT on loopback and returns its address.
func listen(t *testing.T, s *Server) string {
	t.Helper()
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx, ln); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return ln.Addr().String()
}

// dial connects as an encoder does.
func dial(t *testing.T, address, streamID, passphrase string) (gosrt.Conn, error) {
	t.Helper()
	config := gosrt.DefaultConfig()
	config.StreamId, config.Passphrase = streamID, passphrase
	config.ConnectionTimeout = 20 * time.Second
	return gosrt.Dial("srt", address, config)
}

// send writes MPEG-TS in datagrams of seven packets.
func send(t *testing.T, c gosrt.Conn, data []byte) {
	t.Helper()
	if err := write(c, data); err != nil {
		t.Fatal(err)
	}
}

func write(c gosrt.Conn, data []byte) error {
	for len(data) > 0 {
		n := min(len(data), 7*188)
		if _, err := c.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// publish sends two seconds of a stream ten times a second until its result is called: SRT leaves out what is late.
func publish(t *testing.T, c gosrt.Conn) (stop func()) {
	t.Helper()
	const frames = 50
	enough, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := int64(0); ; i++ {
			if err := write(c, stream(t, frames, i*frames*3600, true)); err != nil {
				t.Errorf("publishing: %v", err)
				return
			}
			select {
			case <-enough:
				return
			case <-tick.C:
			}
		}
	}()
	return func() { close(enough); <-done }
}

// locked lets in who knows the passphrase.
func locked(out *sink, seen chan<- Request) func(context.Context, Request) (Publication, error) {
	return func(_ context.Context, r Request) (Publication, error) {
		if !r.Encrypted {
			return nil, Refusal{NotEncrypted, "not encrypted"}
		}
		if err := r.Unlock(phrase); err != nil {
			return nil, Refusal{BadPassphrase, err.Error()}
		}
		if seen != nil {
			seen <- r
		}
		return out, nil
	}
}

func TestPublish(t *testing.T) {
	s, out, seen := &Server{}, newSink(), make(chan Request, 1)
	s.Publish = locked(out, seen)
	c, err := dial(t, listen(t, s), "#!::u=key1,priority=3", phrase)
	if err != nil {
		t.Fatal(err)
	}
	if r := next(t, seen); r.Key != "key1" || r.Priority != "3" || !strings.HasPrefix(r.Remote, "127.0.0.1:") {
		t.Errorf("request %+v", r)
	}
	send(t, c, stream(t, 50, 0, true))
	frames := 0
	for frames < 40 {
		if _, ok := next(t, out.units).(unit.VideoFrame); ok {
			frames++
		}
	}
	if st := s.Stats(); st.Open != 1 || st.Accepted != 1 {
		t.Errorf("stats %+v", st)
	}
	c.Close()
	if end := next(t, out.closed); !end.goodbye || end.reason != nil {
		t.Errorf("end %+v", end)
	}
}

func TestRefusals(t *testing.T) {
	s, out := &Server{}, newSink()
	s.Publish = locked(out, nil)
	address := listen(t, s)
	for name, c := range map[string]struct {
		id, phrase string
		code       Rejection
	}{
		"wrong passphrase": {"key1", "another-passphrase", BadPassphrase},
		"no passphrase":    {"key1", "", NotEncrypted},
		"a player":         {"#!::m=request,u=key1", phrase, BadMode},
		"no key":           {"#!::r=x", phrase, BadRequest},
	} {
		conn, err := dial(t, address, c.id, c.phrase)
		if err == nil {
			conn.Close()
			t.Errorf("%s: let in", name)
			continue
		}
		t.Logf("%s: %v", name, err)
	}
	if len(out.units) != 0 || len(out.closed) != 0 {
		t.Error("a refused publisher was heard")
	}
}

func TestSilence(t *testing.T) {
	s, out := &Server{ReadTimeout: 50 * time.Millisecond}, newSink()
	s.Publish = locked(out, nil)
	c, err := dial(t, listen(t, s), "key1", phrase)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if end := next(t, out.closed); end.goodbye || !strings.Contains(end.reason.Error(), "no media for 50ms") {
		t.Errorf("end %+v", end)
	}
}

func TestCut(t *testing.T) {
	s, out, seen := &Server{}, newSink(), make(chan Request, 1)
	s.Publish = locked(out, seen)
	c, err := dial(t, listen(t, s), "key1", phrase)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stopped := errors.New("stopped by the operator")
	next(t, seen).Cut(stopped)
	if end := next(t, out.closed); end.goodbye || !errors.Is(end.reason, stopped) {
		t.Errorf("end %+v", end)
	}
}

func TestConnectionLimit(t *testing.T) {
	s, out := &Server{MaxConnections: 1}, newSink()
	s.Publish = locked(out, nil)
	address := listen(t, s)
	c, err := dial(t, address, "key1", phrase)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if other, err := dial(t, address, "key2", phrase); err == nil {
		other.Close()
		t.Error("a second connection was let in")
	}
	if st := s.Stats(); st.Open != 1 || st.Refused != 1 {
		t.Errorf("stats %+v", st)
	}
}

// handshake renders an SRT handshake as a caller sends it: the induction, or with a cookie the conclusion.
func handshake(kind uint32, cookie uint32, extensions []byte) []byte {
	b := make([]byte, 16+48)
	binary.BigEndian.PutUint32(b, 0x80000000) // control packet, handshake
	cif := b[16:]
	version, field := uint32(4), uint32(2)
	if cookie != 0 {
		version, field = 5, 5 // with HSREQ and CONFIG
	}
	binary.BigEndian.PutUint32(cif, version)
	binary.BigEndian.PutUint32(cif[4:], field)
	binary.BigEndian.PutUint32(cif[12:], 1500)
	binary.BigEndian.PutUint32(cif[16:], 8192)
	binary.BigEndian.PutUint32(cif[20:], kind)
	binary.BigEndian.PutUint32(cif[24:], 77)
	binary.BigEndian.PutUint32(cif[28:], cookie)
	return append(b, extensions...)
}

// cookie asks a server for the cookie that a conclusion must bring.
func cookie(t testing.TB, c net.Conn) uint32 {
	t.Helper()
	answer := make([]byte, 1500)
	for range 20 { // over UDP either way may be lost
		c.Write(handshake(1, 0, nil))
		c.SetReadDeadline(time.Now().Add(3 * time.Second))
		if n, err := c.Read(answer); err == nil && n >= 64 {
			return binary.BigEndian.Uint32(answer[16+28:])
		}
	}
	t.Fatal("no answer to the induction")
	return 0
}

// TestGarbage sends noise in every phase; a publisher beside it must not notice.
func TestGarbage(t *testing.T) {
	s, out := &Server{}, newSink()
	s.Publish = func(ctx context.Context, r Request) (Publication, error) {
		if r.Key == "bad" {
			return newSink(), r.Unlock(phrase)
		}
		return locked(out, nil)(ctx, r)
	}
	address := listen(t, s)
	good, err := dial(t, address, "key1", phrase)
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	c, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	noise := make([]byte, 1400)
	value := cookie(t, c)
	for i := range 300 {
		rand.Read(noise)
		c.Write(noise[:i*4])
		c.Write(handshake(1, 0, noise[:i]))
		c.Write(handshake(0xffffffff, value, noise[:i*2]))
		noise[0], noise[1] = 0x80, byte(i)
		c.Write(noise[:16+i])
	}
	// Wait until the noise has been dealt with: its answers end.
	for answer := make([]byte, 1500); ; {
		c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		if _, err := c.Read(answer); err != nil {
			break
		}
	}
	cookie(t, c)
	// Noise from somebody who is let in.
	bad, err := dial(t, address, "bad", phrase)
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	for range 200 {
		rand.Read(noise)
		bad.Write(noise[:1316])
	}
	defer publish(t, good)()
	for frames := 0; frames < 40; {
		if _, ok := next(t, out.units).(unit.VideoFrame); ok {
			frames++
		}
	}
	if len(out.closed) != 0 {
		t.Error("the good publisher was cut")
	}
}

// TestMalformedHandshake: this one made the library panic.
func TestMalformedHandshake(t *testing.T) {
	s, out := &Server{}, newSink()
	s.Publish = locked(out, nil)
	address := listen(t, s)
	c, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	value := cookie(t, c)
	for range 3 {
		c.Write(handshake(0xffffffff, value, []byte{0, 1}))
	}
	cookie(t, c) // it still answers
}

// hsreq is what a caller of today says of itself, and the stream id "key1".
var hsreq = []byte{0, 1, 0, 3, 0, 1, 4, 1, 0, 0, 0, 0xbf, 0, 120, 0, 120, 0, 5, 0, 1, '1', 'y', 'e', 'k'}

// FuzzDatagram sends any datagram, any extensions of a handshake with the right cookie, and anything to an open
// connection: nothing may end the server.
func FuzzDatagram(f *testing.F) {
	s := &Server{Log: slog.New(slog.DiscardHandler)}
	s.Publish = func(_ context.Context, r Request) (Publication, error) {
		if r.Encrypted {
			return newSink(), r.Unlock(phrase)
		}
		return newSink(), nil
	}
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Serve(ctx, ln) })
	c, err := net.Dial("udp", ln.Addr().String())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		c.Close()
		cancel()
		wg.Wait()
	})
	f.Add([]byte{})
	f.Add(hsreq)
	f.Add(append(hsreq[:len(hsreq):len(hsreq)], 0, 3, 0, 2, 0x12, 0x20, 0x29, 0x01, 0, 0, 0, 0))
	f.Add(append([]byte{0x80, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0x80, 0, 0, 1, 0, 0, 0, 9)) // NAK
	f.Add(append([]byte{0xff, 0xff, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0x12, 0x20, 0x29, 0x01)) // key material
	value := cookie(f, c)
	f.Fuzz(func(t *testing.T, data []byte) {
		c.Write(data)
		c.Write(handshake(0xffffffff, value, data))
		c.Write(handshake(0xffffffff, value, hsreq))
		answer := make([]byte, 1500)
		for range 10 {
			c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			n, err := c.Read(answer)
			if err != nil {
				break
			}
			// An accepted handshake names the socket.
			if n >= 64 && binary.BigEndian.Uint32(answer) == 0x80000000 && binary.BigEndian.Uint32(answer[16+20:]) == 0xffffffff {
				socket := answer[16+24 : 16+28]
				packet := append(make([]byte, 0, 16+len(data)), data...)
				for len(packet) < 16 {
					packet = append(packet, 0)
				}
				copy(packet[12:], socket)
				c.Write(packet)
				goodbye := make([]byte, 20)
				goodbye[0], goodbye[1] = 0x80, 5
				copy(goodbye[12:], socket)
				c.Write(goodbye)
				break
			}
		}
		cookie(t, c) // it still answers
	})
}
