package stage

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"weak"

	"github.com/coder/websocket"
)

// Clients that say something and then nothing more.

// collected waits until the garbage collector has taken all of what ended.
func collected[T any](t *testing.T, what string, gone []weak.Pointer[T]) {
	t.Helper()
	eventually(t, what+" are collected", func() bool {
		runtime.GC()
		for _, p := range gone {
			if p.Value() != nil {
				return false
			}
		}
		return true
	})
}

// onStage runs a function on a stage's goroutine.
type onStage func(*stage)

func (f onStage) apply(st *stage) { f(st) }

// tight is a listener whose connections hardly buffer what is sent.
type tight struct{ net.Listener }

func (l tight) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return conn, err
}

// stall opens an events socket, and then neither reads nor writes.
func stall(t *testing.T, address, stageID, token string) {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
		})
	}}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET /events/%s HTTP/1.1\r\nHost: stage\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: %s\r\n\r\n", stageID, token); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("open a socket: %v %v", res, err)
	}
}

// awaitOthers reads until the stage has exactly these people and perhaps slow, whose end may come at any time.
func awaitOthers(t *testing.T, conn *websocket.Conn, want string) stageState {
	t.Helper()
	for {
		s, err := read(t, conn)
		if err != nil {
			t.Fatalf("socket ended (%v) before %q", err, want)
		}
		if strings.ReplaceAll(s.people(), " slow", "") == want {
			return s
		}
	}
}

// TestStalledSocket: a client that does not read is closed. The others hear of everything meanwhile.
func TestStalledSocket(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	web := httptest.NewUnstartedServer(r.Handler())
	web.Listener = tight{web.Listener}
	web.Start()
	defer web.Close()
	long := "=" + strings.Repeat("x", 1<<10)

	bob := r.mustOpen(t, "stage1.bob.s"+long)
	awaitPeople(t, bob, "bob")
	stall(t, web.Listener.Addr().String(), "stage1", "stage1.slow.s"+long)
	awaitPeople(t, bob, "bob slow")
	var ended []weak.Pointer[socket]
	if err := r.lookup("stage1").post(t.Context(), onStage(func(st *stage) {
		ended = append(ended, weak.Make(st.participants["slow"].socket.(*socket)))
	})); err != nil {
		t.Fatal(err)
	}
	// Many times what fits into the buffers of the kernel.
	for range 20 {
		ann := r.mustOpen(t, "stage1.ann.s"+long)
		s := awaitOthers(t, bob, "bob ann")
		for _, p := range s.Payload.Participants {
			if "="+p.Attributes["name"] != long {
				t.Fatalf("%s has lost its attributes: %v", p.ID, p.Attributes)
			}
		}
		goodbye(ann)
		awaitOthers(t, bob, "bob")
	}
	if e := r.observer.wait(t, Left, "slow", 1); e.Reason == "" {
		t.Error("no reason")
	}
	eventually(t, "one socket is left", func() bool { return r.Stats().Sockets == 1 })
	collected(t, "sockets", ended)
}

// TestSubscribersThatNeverConnect: offers whose clients are not heard of again end soon, are in no number and no event,
// and leave nothing.
func TestSubscribersThatNeverConnect(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes as long as clients have to connect")
	}
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	defer cam.roll(1)()
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	next(t, scr.video)
	watcher := r.mustOpen(t, "stage1.carol.s")
	send(t, watcher, `{"type":"HELLO","ext":1}`)
	var told, most atomic.Int32
	go func() { // until the socket ends with the test
		for {
			s, err := read(t, watcher)
			if err != nil {
				return
			}
			for _, p := range s.Payload.Participants {
				if p.Subscribers != nil {
					told.Store(int32(*p.Subscribers))
					most.Store(max(most.Load(), told.Load()))
				}
			}
		}
	}()

	const ghosts = 20
	offer := r.newScreen(t, clientOptions{}).offer()
	var ended []weak.Pointer[subscriber]
	for i := range ghosts {
		res, answer := r.do(t, "POST", "/whip/subscribe/alice", offer, "Content-Type", typeSDP, "Authorization", fmt.Sprintf("Bearer stage1.ghost%d.s", i))
		if res.StatusCode != http.StatusCreated {
			t.Fatal(res.Status, answer)
		}
		_, id, _ := strings.Cut(res.Header.Get("Location"), "/sessions/")
		u, _ := r.resource(id)
		ended = append(ended, weak.Make(u.subscriber))
	}
	eventually(t, "they have ended", func() bool {
		next(t, scr.video) // the picture goes on
		return r.Stats().Subscribers == 1
	})
	collected(t, "subscribers", ended)

	r.subscribe(t, "stage1.dave.s", "alice", clientOptions{})
	eventually(t, "two subscribers are told of", func() bool { return told.Load() == 2 })
	if n := most.Load(); n != 2 {
		t.Errorf("%d subscribers were told of", n)
	}
	for _, kind := range r.observer.kinds() {
		if strings.Contains(kind, "ghost") {
			t.Errorf("the event %s", kind)
		}
	}
}
