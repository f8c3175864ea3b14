package stage

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

const (
	// relayCredentials are good for this long: within it a client must ask for its relays. Those that it has then
	// live on.
	relayCredentials = time.Hour
	relayRealm       = "footlight"
	// maxRelays is how many relays one participant may have: three (UDP, TCP, TLS) for each of the others on a full
	// stage, twice while it reconnects.
	maxRelays = 6 * (defaultPublishers + 1)
	// maxRelayConns bounds the TCP connections, and relayPatience how long one may say nothing at first.
	maxRelayConns = 4096
	relayPatience = 10 * time.Second
)

// relay is a TURN server (RFC 8656) for clients whose network lets only such traffic through: UDP, TCP and TLS on one port.
// It relays to the media ports of the stage and to nothing else, so that it is of no use to anybody else.
type relay struct {
	server  *turn.Server
	secret  []byte
	tls     bool
	port    uint16
	media   []netip.Addr // where the stage's sockets are
	sockets []io.Closer

	mu     sync.Mutex
	relays map[string]int // by participant
}

// startRelay listens. config is nil for no TLS. The relays themselves are on the first of the media addresses.
func (s *Server) startRelay(ctx context.Context, public []netip.Addr) (*relay, error) {
	hosts, port, err := resolve(s.TURNAddr)
	if err != nil {
		return nil, fmt.Errorf("listen for TURN on %s: %w", s.TURNAddr, err)
	}
	r := &relay{
		secret: make([]byte, 20), tls: s.TURNTLS != nil, relays: make(map[string]int),
		media: append(slices.Clone(s.network.wanted), public...),
	}
	_, _ = rand.Read(r.secret) // never fails
	at := net.IP(s.network.udpAt[0].Addr().AsSlice())
	relays := relayAddresses{&turn.RelayAddressGeneratorStatic{RelayAddress: at, Address: at.String()}}
	config := turn.ServerConfig{
		Realm: relayRealm, LoggerFactory: s.pionLog, AuthHandler: r.authenticate,
		QuotaHandler: func(user, _ string, _ net.Addr) bool { return r.count(user, 0) < maxRelays },
		EventHandler: turn.EventHandler{
			OnAllocationCreated: func(_, _ net.Addr, _, user, _ string, _ net.Addr, _ int) { r.count(user, 1) },
			OnAllocationDeleted: func(_, _ net.Addr, _, user, _ string) { r.count(user, -1) },
		},
	}
	permitted := func(_ net.Addr, peer net.IP) bool {
		host, ok := netip.AddrFromSlice(peer)
		return ok && slices.Contains(r.media, host.Unmap())
	}
	fail := func(err error) (*relay, error) {
		for _, c := range r.sockets {
			err = errors.Join(err, c.Close())
		}
		return nil, fmt.Errorf("listen for TURN: %w", err)
	}
	for _, host := range hosts {
		udp, err := new(net.ListenConfig).ListenPacket(ctx, "udp", netip.AddrPortFrom(host, port).String())
		if err != nil {
			return fail(err)
		}
		port = udp.LocalAddr().(*net.UDPAddr).AddrPort().Port() // the others follow the first
		r.sockets = append(r.sockets, udp)
		tcp, err := new(net.ListenConfig).Listen(ctx, "tcp", netip.AddrPortFrom(host, port).String())
		if err != nil {
			return fail(err)
		}
		r.sockets = append(r.sockets, tcp)
		config.PacketConnConfigs = append(config.PacketConnConfigs, turn.PacketConnConfig{
			PacketConn: udp, RelayAddressGenerator: relays, PermissionHandler: permitted,
		})
		config.ListenerConfigs = append(config.ListenerConfigs, turn.ListenerConfig{
			Listener: newRelayListener(tcp, s.TURNTLS, maxRelayConns), RelayAddressGenerator: relays, PermissionHandler: permitted,
		})
	}
	r.port = port
	if r.server, err = turn.NewServer(config); err != nil {
		return fail(err)
	}
	return r, nil
}

// close ends the relay and lets go of its clients.
func (r *relay) close() error { return r.server.Close() }

// servers are what a participant is told of the relay, with credentials of its own: an expiry and its name, and their
// authentication code (draft-uberti-behave-turn-rest-00).
func (r *relay) servers(host, participantID string, now time.Time) []ICEServer {
	user := strconv.FormatInt(now.Add(relayCredentials).Unix(), 10) + ":" + participantID
	at := net.JoinHostPort(host, strconv.Itoa(int(r.port)))
	urls := []string{"turn:" + at + "?transport=udp", "turn:" + at + "?transport=tcp"}
	if r.tls {
		urls = append(urls, "turns:"+at+"?transport=tcp")
	}
	var out []ICEServer
	for _, url := range urls {
		out = append(out, ICEServer{URL: url, Username: user, Credential: r.password(user)})
	}
	return out
}

func (r *relay) password(user string) string {
	mac := hmac.New(sha1.New, r.secret)
	mac.Write([]byte(user))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// authenticate takes names that servers has given out. Once a client has its relay it may keep it.
func (r *relay) authenticate(a *turn.RequestAttributes) (user string, key []byte, ok bool) {
	expiry, user, ok := strings.Cut(a.Username, ":")
	until, err := strconv.ParseInt(expiry, 10, 64)
	if !ok || err != nil || a.Method == stun.MethodAllocate && time.Now().Unix() > until {
		return "", nil, false
	}
	return user, turn.GenerateAuthKey(a.Username, a.Realm, r.password(a.Username)), true
}

// count adds to a participant's relays and returns how many there are.
func (r *relay) count(user string, add int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.relays[user] + add
	if n <= 0 {
		delete(r.relays, user)
	} else {
		r.relays[user] = n
	}
	return n
}

// relayAddresses makes relays for UDP only.
type relayAddresses struct {
	*turn.RelayAddressGeneratorStatic
}

var errNoTCPRelay = errors.New("no relaying to TCP")

func (relayAddresses) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errNoTCPRelay
}

func (relayAddresses) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) {
	return nil, errNoTCPRelay
}

// relayListener takes TURN over TCP and over TLS on one port.
type relayListener struct {
	net.Listener
	config *tls.Config // nil without TLS
	room   chan struct{}
	closed chan struct{}

	mu    sync.Mutex
	conns map[net.Conn]bool // nil once it is closed
}

func newRelayListener(l net.Listener, config *tls.Config, room int) *relayListener {
	return &relayListener{
		Listener: l, config: config, room: make(chan struct{}, room), closed: make(chan struct{}), conns: make(map[net.Conn]bool),
	}
}

// Accept waits for a connection, and for room when there are too many.
func (l *relayListener) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err == nil && !l.add(conn) {
		_ = conn.Close()
		err = net.ErrClosed
	}
	if err != nil {
		<-l.room
		return nil, err
	}
	_ = conn.SetReadDeadline(time.Now().Add(relayPatience))
	return &relayConn{Conn: conn, wire: conn, config: l.config, left: sync.OnceFunc(func() { l.remove(conn) })}, nil
}

// add keeps a connection for Close. It reports false when that was called already.
func (l *relayListener) add(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		return false
	}
	l.conns[conn] = true
	return true
}

func (l *relayListener) remove(conn net.Conn) {
	l.mu.Lock()
	delete(l.conns, conn)
	l.mu.Unlock()
	<-l.room
}

// Close ends Accept and every connection, which the TURN server does not do itself.
func (l *relayListener) Close() error {
	l.mu.Lock()
	conns := l.conns
	l.conns = nil
	l.mu.Unlock()
	if conns == nil {
		return nil
	}
	close(l.closed)
	for conn := range conns {
		_ = conn.Close()
	}
	return l.Listener.Close()
}

// relayConn finds out with its first byte whether the client speaks TLS. The TURN server reads before it writes, on one
// goroutine at a time.
type relayConn struct {
	net.Conn // of the server: the wire, or TLS over it
	wire     net.Conn
	config   *tls.Config
	known    bool
	left     func()
}

// Read reads what the client sent, within TLS if it speaks that.
func (c *relayConn) Read(b []byte) (int, error) {
	if c.known || len(b) == 0 {
		return c.Conn.Read(b)
	}
	n, err := io.ReadFull(c.wire, b[:1])
	if err != nil {
		return n, err
	}
	c.known = true
	if c.config == nil || b[0] != 22 { // a TLS handshake record (RFC 8446 section 5.1); STUN begins with 0 or 1
		return n, c.wire.SetReadDeadline(time.Time{})
	}
	secure := tls.Server(&replayed{Conn: c.wire, first: b[0]}, c.config)
	if err := secure.Handshake(); err != nil {
		return 0, err
	}
	c.Conn = secure
	if err := c.wire.SetReadDeadline(time.Time{}); err != nil {
		return 0, err
	}
	return secure.Read(b)
}

// Close closes the connection.
func (c *relayConn) Close() error {
	c.left()
	return c.wire.Close()
}

// replayed gives the first byte of a connection once more.
type replayed struct {
	net.Conn
	first byte
	done  bool
}

func (r *replayed) Read(b []byte) (int, error) {
	if r.done || len(b) == 0 {
		return r.Conn.Read(b)
	}
	b[0], r.done = r.first, true
	return 1, nil
}
