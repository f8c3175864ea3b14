package synth

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// wire is the socket of one connection, on which packets get lost as the publisher's faults say.
type wire struct {
	net.PacketConn
	faults func() Faults
}

func newWire(faults func() Faults) (*wire, error) {
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return nil, fmt.Errorf("open a media socket: %w", err)
	}
	return &wire{conn, faults}, nil
}

func (w *wire) WriteTo(packet []byte, to net.Addr) (int, error) {
	faults := w.faults()
	// RFC 7983: STUN begins with 0 to 3, DTLS with 20 to 63, RTP and RTCP with 128 to 191.
	media := len(packet) > 0 && packet[0] >= 128 && packet[0] < 192
	if faults.Offline || media && faults.Loss > 0 && rand.Float64() < faults.Loss {
		return len(packet), nil
	}
	return w.PacketConn.WriteTo(packet, to)
}

func (w *wire) ReadFrom(packet []byte) (int, net.Addr, error) {
	for {
		n, from, err := w.PacketConn.ReadFrom(packet)
		if err != nil || !w.faults().Offline {
			return n, from, err
		}
	}
}
