package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// socketBuffer is asked of the kernel for each media socket, in bytes: a key frame of many publishers
// at once must fit while the process is off the processor.
const socketBuffer = 8 << 20

// tcpBacklog bounds what waits in memory for one client on TCP, in bytes: about 1 s of video. More
// only makes it later; what does not fit is lost and repaired like any loss.
const tcpBacklog = 256 << 10

// network is the sockets that carry all media: one UDP port and one TCP port, on each address that
// they are bound to, shared by all sessions by their ICE user fragment.
type network struct {
	udp   *ice.MultiUDPMuxDefault
	tcp   *ice.TCPMuxDefault
	udpAt []netip.AddrPort
	tcpAt []netip.AddrPort
	spread
	batch  []*batchConn // under udp
	wanted []netip.Addr // addresses that sockets are bound to
	// machine is the list of interfaces that each ICE agent would otherwise make and keep for itself.
	machine transport.Net
}

// listen binds both ports. A host that is empty or unspecified means every address of the machine,
// loopback included.
func listen(ctx context.Context, udpAddr, tcpAddr string, log logging.LoggerFactory) (*network, error) {
	machine, err := stdnet.NewNet()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	n := &network{machine: machine, spread: newSpread(min(runtime.GOMAXPROCS(0), maxLanes))}
	if err := n.listenUDP(ctx, udpAddr, log); err != nil {
		return nil, err
	}
	if err := n.listenTCP(ctx, tcpAddr, log); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func (n *network) listenUDP(ctx context.Context, address string, log logging.LoggerFactory) error {
	hosts, port, err := resolve(address)
	if err != nil {
		return fmt.Errorf("listen for media on UDP %s: %w", address, err)
	}
	var muxes []ice.UDPMux
	for _, host := range hosts {
		conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp", netip.AddrPortFrom(host, port).String())
		if err != nil {
			for _, m := range muxes {
				err = errors.Join(err, m.Close())
			}
			return fmt.Errorf("listen for media on UDP: %w", err)
		}
		udp := conn.(*net.UDPConn)
		// Best effort: the kernel grants what net.core.rmem_max and wmem_max allow.
		_ = udp.SetReadBuffer(socketBuffer)
		_ = udp.SetWriteBuffer(socketBuffer)
		at := udp.LocalAddr().(*net.UDPAddr).AddrPort()
		port = at.Port() // all addresses share the port that the first one got
		n.udpAt = append(n.udpAt, netip.AddrPortFrom(at.Addr().Unmap(), port))
		n.wanted = append(n.wanted, host)
		batch := newBatchConn(udp, n.spread)
		n.batch = append(n.batch, batch)
		muxes = append(muxes, ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: batch, Logger: log.NewLogger("udp")}))
	}
	n.udp = ice.NewMultiUDPMuxDefault(muxes...)
	return nil
}

func (n *network) listenTCP(ctx context.Context, address string, log logging.LoggerFactory) error {
	hosts, _, err := resolve(address)
	if err != nil {
		return fmt.Errorf("listen for media on TCP %s: %w", address, err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen for media on TCP: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	for _, host := range hosts {
		n.tcpAt = append(n.tcpAt, netip.AddrPortFrom(host, port))
		if !slices.Contains(n.wanted, host) {
			n.wanted = append(n.wanted, host)
		}
	}
	n.tcp = ice.NewTCPMuxDefault(ice.TCPMuxParams{
		Listener: l, Logger: log.NewLogger("tcp"),
		ReadBufferSize: 4, WriteBufferSize: tcpBacklog,
		FirstStunBindTimeout: 10 * time.Second, AliveDurationForConnFromStun: 10 * time.Second,
	})
	return nil
}

// shards does something with the part of each UDP socket that belongs to one lane.
func (n *network) shards(lane int, do func(*shard)) {
	for _, c := range n.batch {
		do(c.shards[lane])
	}
}

// bound says whether the sockets are bound to this address. It keeps the ICE agents from offering others.
func (n *network) bound(ip net.IP) bool {
	host, ok := netip.AddrFromSlice(ip)
	return ok && slices.Contains(n.wanted, host.Unmap())
}

func (n *network) close() error {
	var errs []error
	if n.tcp != nil {
		errs = append(errs, n.tcp.Close())
	}
	if n.udp != nil {
		errs = append(errs, n.udp.Close())
	}
	return errors.Join(errs...)
}

// resolve splits host:port and lists the addresses that the host means.
func resolve(address string) ([]netip.Addr, uint16, error) {
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, 0, err
	}
	at := tcp.AddrPort()
	if host := at.Addr().Unmap(); host.IsValid() && !host.IsUnspecified() {
		return []netip.Addr{host}, at.Port(), nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, 0, fmt.Errorf("list interface addresses: %w", err)
	}
	var hosts []netip.Addr
	for _, a := range addrs {
		ipnet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		host, ok := netip.AddrFromSlice(ipnet.IP)
		// Link-local addresses need a zone, which a candidate cannot carry.
		if host = host.Unmap(); !ok || host.IsLinkLocalUnicast() || slices.Contains(hosts, host) {
			continue
		}
		if at.Addr().Is4() && !host.Is4() {
			continue
		}
		hosts = append(hosts, host)
	}
	if len(hosts) == 0 {
		return nil, 0, errors.New("the machine has no address")
	}
	// Loopback last: a client that takes only the first candidate is rarely on this machine.
	slices.SortStableFunc(hosts, func(a, b netip.Addr) int {
		return boolInt(a.IsLoopback()) - boolInt(b.IsLoopback())
	})
	return hosts, at.Port(), nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// candidates lists the host candidates of every session as attribute values (RFC 8839 section 5.1,
// RFC 6544 section 4.5), UDP before TCP and public addresses first. The public addresses are where a
// router in front forwards both ports unchanged.
func (n *network) candidates(public []netip.Addr) []string {
	var udp, tcp []netip.AddrPort
	for _, host := range public {
		udp = append(udp, netip.AddrPortFrom(host, n.udpAt[0].Port()))
		tcp = append(tcp, netip.AddrPortFrom(host, n.tcpAt[0].Port()))
	}
	var out []string
	for i, at := range unique(append(udp, n.udpAt...)) {
		// Priority of RFC 8445 section 5.1.2.1: type preference 126 (host), local preference, component 1.
		priority := 126<<24 + (65535-i)<<8 + 255
		out = append(out, fmt.Sprintf("candidate:%d 1 udp %d %s %d typ host", len(out)+1, priority, at.Addr(), at.Port()))
	}
	for i, at := range unique(append(tcp, n.tcpAt...)) {
		// Direction preference 4 (passive) of RFC 6544 section 4.2 in the upper three bits.
		priority := 90<<24 + (4<<13+8191-i)<<8 + 255
		out = append(out, fmt.Sprintf("candidate:%d 1 tcp %d %s %d typ host tcptype passive", len(out)+1, priority, at.Addr(), at.Port()))
	}
	return out
}

func unique(in []netip.AddrPort) []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range in {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}
