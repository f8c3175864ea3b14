package stage

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
	"github.com/pion/webrtc/v4"
)

// testTLS is the configuration of a server called 127.0.0.1.
func testTLS(t *testing.T) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// relays reads the ICE servers of a Link header the way the strictest client does: entries are joined without a space.
func relays(t *testing.T, link string) []webrtc.ICEServer {
	t.Helper()
	entry := regexp.MustCompile(`^<(turns?:[^>]+)>; rel="ice-server"; username="([^"]+)"; credential="([^"]+)"; credential-type="password"$`)
	var out []webrtc.ICEServer
	for e := range strings.SplitSeq(link, ",") {
		m := entry.FindStringSubmatch(e)
		if m == nil {
			t.Fatalf("Link entry %q", e)
		}
		out = append(out, webrtc.ICEServer{URLs: []string{m[1]}, Username: m[2], Credential: m[3]})
	}
	return out
}

// freePort is an address of loopback whose port is free over UDP and over TCP. Of port 0 the server takes what is free over UDP.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := udp.LocalAddr().String()
		tcp, err := net.Listen("tcp", at)
		udp.Close()
		if err == nil {
			tcp.Close()
			return at
		}
	}
	t.Fatal("no port is free")
	return ""
}

func newRelayRig(t *testing.T) (*rig, []webrtc.ICEServer) {
	t.Helper()
	r := newRig(t, func(s *Server) {
		s.TURNAddr, s.TURNTLS = freePort(t), testTLS(t)
	})
	res, _ := r.do(t, http.MethodOptions, "/whip/subscribe/cam", "", "Authorization", "Bearer stage.viewer.s")
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	servers := relays(t, res.Header.Get("Link"))
	if len(servers) != 3 {
		t.Fatalf("ICE servers %v", servers)
	}
	return r, servers
}

// TestRelay has subscribers that can reach nothing but the TURN server, over UDP and over TCP.
func TestRelay(t *testing.T) {
	t.Parallel()
	r, servers := newRelayRig(t)
	cam := r.publish(t, "stage.cam.p", clientOptions{})
	defer cam.roll(1)()
	for _, server := range servers[:2] {
		s := r.newScreen(t, clientOptions{relay: &server})
		if res, body := s.connect("/whip/subscribe/cam", "stage.viewer.s"); res != nil {
			t.Fatalf("%s: %s", res.Status, body)
		}
		next(t, s.video)
		next(t, s.audio)
		pair, err := s.pc.GetReceivers()[0].Transport().ICETransport().GetSelectedCandidatePair()
		if err != nil || pair == nil || pair.Local.Typ != webrtc.ICECandidateTypeRelay {
			t.Errorf("%s: candidate pair %v, %v", server.URLs, pair, err)
		}
		s.close()
	}
}

// dialRelay connects a TURN client.
func dialRelay(t *testing.T, s webrtc.ICEServer, secure bool) *turn.Client {
	t.Helper()
	_, at, _ := strings.Cut(s.URLs[0], ":")
	at, _, _ = strings.Cut(at, "?")
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	c, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: at, STUNServerAddr: at, Conn: turn.NewSTUNConn(conn), Username: s.Username, Password: s.Credential.(string),
		LoggerFactory: &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); conn.Close() })
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRelayLimits: the relay is for clients with fresh credentials and for the stage's media, and for nothing else.
func TestRelayLimits(t *testing.T) {
	t.Parallel()
	r, servers := newRelayRig(t)
	for _, secure := range []bool{false, true} {
		conn, err := dialRelay(t, servers[2], secure).Allocate()
		if err != nil {
			t.Fatalf("TLS %v: %v", secure, err)
		}
		if _, err := conn.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(r.UDPAddress())); err != nil {
			t.Errorf("TLS %v: to the stage: %v", secure, err)
		}
		if _, err := conn.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 53}); err == nil {
			t.Errorf("TLS %v: relays to anybody", secure)
		}
		conn.Close()
	}
	wrong := servers[0]
	wrong.Credential = "guessed"
	old := r.relay.servers("127.0.0.1", "viewer", time.Now().Add(-2*relayCredentials))[0]
	late := webrtc.ICEServer{URLs: []string{old.URL}, Username: old.Username, Credential: old.Credential}
	for what, s := range map[string]webrtc.ICEServer{"a wrong password": wrong, "an old password": late} {
		if conn, err := dialRelay(t, s, false).Allocate(); err == nil {
			conn.Close()
			t.Errorf("%s gets a relay", what)
		}
	}
	for range maxRelays {
		r.relay.count("viewer", 1)
	}
	if conn, err := dialRelay(t, servers[0], false).Allocate(); err == nil {
		conn.Close()
		t.Error("there is no limit")
	}

	res, _ := r.do(t, http.MethodOptions, "/whip", "")
	if link := res.Header.Get("Link"); res.StatusCode != http.StatusOK || link != "" {
		t.Errorf("without a token: %s, Link %q", res.Status, link)
	}
	if res, _ := r.do(t, http.MethodOptions, "/whip", "", "Authorization", "Bearer "+string(TokenExpired)); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("with an expired token: %s", res.Status)
	}

	// Whoever connects and says nothing, or nonsense, does not keep the server from closing.
	for _, says := range []string{"", "\x16\x03\x01nonsense", "GET / HTTP/1.1\r\n\r\n"} {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strings.Split(strings.Split(servers[0].URLs[0], "?")[0], ":")[2]))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(says)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRelayEnds: clients over TCP and TLS are let go of, and a relay with too many of them ends too.
func TestRelayEnds(t *testing.T) {
	t.Parallel()
	r, servers := newRelayRig(t)
	_, at, _ := strings.Cut(servers[1].URLs[0], ":")
	at, _, _ = strings.Cut(at, "?")
	var conns []net.Conn
	for _, secure := range []bool{false, true} {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if secure {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		}
		// It is answered, so that it has time from now on.
		if _, err := conn.Write(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 20)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for _, conn := range conns {
		_, err := io.Copy(io.Discard, conn)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			t.Error("a client stays connected")
		}
	}

	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	full := newRelayListener(tcp, nil, 0)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, err := full.Accept(); err == nil {
			t.Error("there was room")
		}
	}()
	if err := full.Close(); err != nil {
		t.Error(err)
	}
	closed(t, "the full relay ends", ended)
}

// relayOnly has a client use a TURN server and nothing else.
func relayOnly(e *webrtc.SettingEngine) {
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.DisableActiveTCP(true)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeTCP4})
}
