package srt

import (
	"errors"
	"net"
	"sync"

	gosrt "github.com/datarhei/gosrt"
)

// Listener is an open UDP port.
type Listener struct {
	srt      gosrt.Listener
	goodbyes *goodbyes
}

// Listen opens a UDP port for SRT. Serve closes it.
func Listen(address string) (*Listener, error) {
	at, err := net.ResolveUDPAddr("udp", address) // the library takes no names
	if err != nil {
		return nil, err
	}
	l := &Listener{goodbyes: &goodbyes{said: map[uint32]bool{}}}
	config := gosrt.DefaultConfig()
	config.Logger = l.goodbyes
	if l.srt, err = gosrt.Listen("srt", at.String(), config); err != nil {
		return nil, err
	}
	return l, nil
}

// Addr is where the port really is.
func (l *Listener) Addr() net.Addr { return l.srt.Addr() }

// Close closes the port.
func (l *Listener) Close() { l.srt.Close() }

// errMalformed is a handshake that the library could not read.
var errMalformed = errors.New("malformed handshake")

// accept waits for a caller. gosrt 0.11.0 panics at handshakes with cut-off extensions, which anybody may send; it has
// taken no lock by then, and the goroutine is ours.
func (l *Listener) accept() (req gosrt.ConnRequest, err error) {
	defer func() {
		if recover() != nil {
			req, err = nil, errMalformed
		}
	}()
	return l.srt.Accept2()
}

// goodbyes knows which peers have sent a shutdown. The library says so in its log only: towards its caller a
// connection ends the same way when nothing comes any more.
type goodbyes struct {
	mu   sync.Mutex
	said map[uint32]bool // by socket id, of those that are watched
}

// shutdownTopic is what the library logs a received shutdown under.
const shutdownTopic = "control:recv:shutdown:dump"

func (g *goodbyes) watch(socket uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.said[socket] = false
}

// end stops watching and tells whether there was a goodbye.
func (g *goodbyes) end(socket uint32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	said := g.said[socket]
	delete(g.said, socket)
	return said
}

// HasTopic, Print, Listen and Close implement gosrt.Logger.
func (g *goodbyes) HasTopic(topic string) bool { return topic == shutdownTopic }

func (g *goodbyes) Print(topic string, socket uint32, _ int, _ func() string) {
	if topic != shutdownTopic {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, watched := g.said[socket]; watched {
		g.said[socket] = true
	}
}

func (g *goodbyes) Listen() <-chan gosrt.Log { return nil }
func (g *goodbyes) Close()                   {}
