package rtmp

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/footlight-live/footlight/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// sink takes everything.
type sink struct {
	units  chan Unit
	closed chan closing
}

type closing struct {
	goodbye bool
	reason  error
}

func newSink() *sink { return &sink{units: make(chan Unit, 1000), closed: make(chan closing, 1)} }

func (s *sink) Write(_ context.Context, u Unit) error {
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

// listen serves RTMP on loopback and returns its address.
func listen(t *testing.T, s *Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx, ln, nil); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return ln.Addr().String()
}

// client publishes with gortmplib.
func client(t *testing.T, address, path string) (*gortmplib.Client, error) {
	t.Helper()
	u, err := url.Parse("rtmp://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	c := &gortmplib.Client{URL: u, Publish: true}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := c.Initialize(ctx); err != nil {
		return nil, err
	}
	t.Cleanup(c.Close)
	return c, nil
}

func tracks() (video, audio *gortmplib.Track) {
	return &gortmplib.Track{Codec: &codecs.H264{SPS: sps, PPS: pps}},
		&gortmplib.Track{Codec: &codecs.MPEG4Audio{Config: &mpeg4audio.AudioSpecificConfig{
			Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2, ChannelCount: 2,
		}}}
}

func TestPublish(t *testing.T) {
	s, out := &Server{}, newSink()
	s.Publish = func(_ context.Context, r Request) (Publication, error) {
		if r.Key != "key1" || r.Encrypted {
			t.Errorf("request %+v", r)
		}
		return out, nil
	}
	c, err := client(t, listen(t, s), "/app/key1")
	if err != nil {
		t.Fatal(err)
	}
	video, audio := tracks()
	w := &gortmplib.Writer{Conn: c, Tracks: []*gortmplib.Track{video, audio}}
	if err := w.Initialize(); err != nil {
		t.Fatal(err)
	}
	var params, sound int
	for params+sound < 2 {
		switch u := next(t, out.units).(type) {
		case VideoParams:
			params++
			if !bytes.Equal(u.SPS[0], sps) {
				t.Error("another SPS")
			}
		case AudioParams:
			sound++
		}
	}
	// A message that we do not know is no reason to end.
	if err := c.Write(&message.UserControlSetBufferLength{BufferLength: 100}); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteH264(video, 100*time.Millisecond, 60*time.Millisecond, [][]byte{{0x65, 1}}); err != nil {
		t.Fatal(err)
	}
	if f := next(t, out.units).(VideoFrame); f.DTS != 60*time.Millisecond || f.PTS != 100*time.Millisecond || !f.Key {
		t.Errorf("frame %+v", f)
	}
	if err := w.WriteMPEG4Audio(audio, 64*time.Millisecond, []byte{9}); err != nil {
		t.Fatal(err)
	}
	if f := next(t, out.units).(AudioFrame); f.PTS != 64*time.Millisecond {
		t.Errorf("sound %+v", f)
	}
	if st := s.Stats(); st.Open != 1 || st.Accepted != 1 {
		t.Errorf("stats %+v", st)
	}
	if err := c.Write(&message.CommandAMF0{ChunkStreamID: 3, Name: "FCUnpublish", CommandID: 6, Arguments: []any{nil, "key1"}}); err != nil {
		t.Fatal(err)
	}
	if end := next(t, out.closed); !end.goodbye || end.reason != nil {
		t.Errorf("end %+v", end)
	}
}

func TestVanish(t *testing.T) {
	s, out := &Server{}, newSink()
	s.Publish = func(context.Context, Request) (Publication, error) { return out, nil }
	c, err := client(t, listen(t, s), "/app/key1")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if end := next(t, out.closed); end.goodbye || !strings.Contains(end.reason.Error(), "vanished") {
		t.Errorf("end %+v", end)
	}
}

func TestSilence(t *testing.T) {
	s, out := &Server{ReadTimeout: 50 * time.Millisecond}, newSink()
	s.Publish = func(context.Context, Request) (Publication, error) { return out, nil }
	if _, err := client(t, listen(t, s), "/app/key1"); err != nil {
		t.Fatal(err)
	}
	if end := next(t, out.closed); end.goodbye || !strings.Contains(end.reason.Error(), "no media for 50ms") {
		t.Errorf("end %+v", end)
	}
}

// lastStatus reads until the server hangs up and returns the last status code and description.
func lastStatus(c *gortmplib.Client) (code, description string) {
	for {
		m, err := c.Read()
		if err != nil {
			return code, description
		}
		if cmd, ok := m.(*message.CommandAMF0); ok && cmd.Name == "onStatus" && len(cmd.Arguments) > 1 {
			if o, ok := object(cmd.Arguments[1]); ok {
				code, _ = o.GetString("code")
				description, _ = o.GetString("description")
			}
		}
	}
}

func TestRefusal(t *testing.T) {
	s := &Server{}
	s.Publish = func(context.Context, Request) (Publication, error) {
		return nil, Refusal{Code: "NetStream.Publish.BadName", Reason: "no such key"}
	}
	address := listen(t, s)
	for _, path := range []string{"/app/key1", "/live/key1"} {
		_, err := client(t, address, path)
		if err == nil || !strings.Contains(err.Error(), "NetStream.Publish.BadName") {
			t.Errorf("%s: error %v", path, err)
		}
	}
}

func TestUnsupportedCodec(t *testing.T) {
	s, out := &Server{}, newSink()
	s.Publish = func(context.Context, Request) (Publication, error) { return out, nil }
	c, err := client(t, listen(t, s), "/app/key1")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(&message.AudioExCodedFrames{ChunkStreamID: 4, MessageStreamID: streamID, FourCC: message.FourCCOpus, Payload: []byte{1, 2}}); err != nil {
		t.Fatal(err)
	}
	end := next(t, out.closed)
	if unsupported := (UnsupportedError{}); !errors.As(end.reason, &unsupported) {
		t.Errorf("end %+v", end)
	}
	if code, text := lastStatus(c); code != "NetStream.Publish.Failed" || !strings.Contains(text, "send H.264 video and AAC audio") {
		t.Errorf("told %q %q", code, text)
	}
}

func TestCut(t *testing.T) {
	s, out := &Server{}, newSink()
	cut := make(chan func(error), 1)
	s.Publish = func(_ context.Context, r Request) (Publication, error) {
		cut <- r.Cut
		return out, nil
	}
	c, err := client(t, listen(t, s), "/app/key1")
	if err != nil {
		t.Fatal(err)
	}
	(<-cut)(errors.New("stopped by the operator"))
	next(t, out.closed)
	if code, text := lastStatus(c); code != "NetStream.Publish.Failed" || text != "stopped by the operator" {
		t.Errorf("told %q %q", code, text)
	}
}

func TestConnectionLimit(t *testing.T) {
	s := &Server{MaxConnections: 3}
	s.Publish = func(context.Context, Request) (Publication, error) { return newSink(), nil }
	address := listen(t, s)
	for range 3 {
		if _, err := client(t, address, "/app/key1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client(t, address, "/app/key1"); err == nil {
		t.Error("a fourth connection was let in")
	}
	if st := s.Stats(); st.Open != 3 || st.Refused != 1 {
		t.Errorf("stats %+v", st)
	}
}

// TestGarbage sends noise in every phase; a publisher beside it must not notice.
func TestGarbage(t *testing.T) {
	s := &Server{SetupTimeout: 500 * time.Millisecond}
	sinks := map[string]*sink{}
	for try := range 20 {
		sinks[fmt.Sprint("good", try)], sinks[fmt.Sprint("bad", try)] = newSink(), newSink()
	}
	s.Publish = func(_ context.Context, r Request) (Publication, error) { return sinks[r.Key], nil }
	address := listen(t, s)
	letIn := func(name string) (*gortmplib.Client, *sink) { // a busy machine may take longer than the SetupTimeout
		t.Helper()
		var last error
		for try := range 20 {
			key := fmt.Sprint(name, try)
			c, err := client(t, address, "/app/"+key)
			if err == nil {
				return c, sinks[key]
			}
			last = err
		}
		t.Fatal(last)
		panic("unreachable")
	}
	good, out := letIn("good")
	noise := make([]byte, 200<<10)
	rand.Read(noise)
	clean := append([]byte{3}, make([]byte, 1536+1536)...) // C0, C1, C2
	huge := []byte{0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff}
	deep := append([]byte{0x03, 0, 0, 0, 0, 0xff, 0xff, 20, 0, 0, 0, 0}, bytes.Repeat([]byte{0x0a, 0, 0, 0, 1}, 100)...)
	for name, bytes := range map[string][]byte{
		"noise": noise, "HTTP": []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "TLS": {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3},
		"noise after the handshake": append(append([]byte{}, clean...), noise...),
		"a huge chunk size":         append(append([]byte{}, clean...), huge...),
		"deep nesting":              append(append([]byte{}, clean...), deep...),
		"encrypted handshake":       append([]byte{6}, noise[:4000]...),
		"nothing":                   nil,
	} {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(60 * time.Second))
		nc.Write(bytes)
		if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the server does not hang up", name)
		}
		nc.Close()
	}
	// Noise from somebody who is let in.
	bad, _ := letIn("bad")
	bad.NetConn().Write(noise)
	bad.NetConn().(*net.TCPConn).CloseWrite() // noise may be the start of a message whose rest the server waits for
	io.Copy(io.Discard, bad.NetConn())

	video, _ := tracks()
	w := &gortmplib.Writer{Conn: good, Tracks: []*gortmplib.Track{video}}
	if err := w.Initialize(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, ok := next(t, out.units).(VideoParams); ok {
			break
		}
	}
	if len(out.closed) != 0 {
		t.Error("the good publisher was cut")
	}
}

// TestSlowloris sends the handshake byte by byte: the time for all of it is limited.
func TestSlowloris(t *testing.T) {
	s := &Server{SetupTimeout: 300 * time.Millisecond}
	nc, err := net.Dial("tcp", listen(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		io.Copy(io.Discard, nc)
	}()
	for i := 0; ; i++ {
		select {
		case <-gone:
			return
		case <-time.After(20 * time.Millisecond):
			nc.Write([]byte{3})
		}
		if i == 1000 {
			t.Fatal("still connected")
		}
	}
}

// FuzzConn plays any bytes to a connection after the handshake.
func FuzzConn(f *testing.F) {
	f.Add([]byte{0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0x10, 0})
	f.Add([]byte{0x03, 0, 0, 0, 0, 0, 12, 20, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		client, server := net.Pipe()
		go io.Copy(io.Discard, client)
		go func() {
			client.Write(append([]byte{3}, make([]byte, 1536+1536)...))
			client.Write(data)
			client.Close()
		}()
		s := &Server{Publish: func(context.Context, Request) (Publication, error) { return newSink(), nil }}
		s.serveConn(t.Context(), server, nil, slog.New(slog.DiscardHandler))
	})
}
