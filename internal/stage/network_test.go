package stage

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"
)

// restart restarts ICE as WHIP clients do, by a PATCH, and returns when the client is connected again.
func (c *client) restart() {
	t := c.t
	t.Helper()
	o, err := c.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(o); err != nil {
		t.Fatal(err)
	}
	<-gathered
	var frag strings.Builder
	seen := map[string]bool{}
	for line := range strings.Lines(c.pc.LocalDescription().SDP) {
		for _, key := range []string{"a=ice-ufrag", "a=ice-pwd", "a=candidate"} {
			if strings.HasPrefix(line, key) && !seen[line] {
				seen[line] = true
				frag.WriteString(line)
			}
		}
	}
	res, body := c.rig.do(t, "PATCH", c.location, frag.String(), "Content-Type", typeFragment, "If-Match", "*")
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != typeFragment || res.Header.Get("ETag") == c.etag {
		t.Fatalf("%s %v: %s", res.Status, res.Header, body)
	}
	c.etag = res.Header.Get("ETag")
	f, err := parseFragment([]byte(body))
	if err != nil || f.ufrag == "" || len(f.candidates) == 0 || c.etag != `"`+f.ufrag+`"` {
		t.Fatalf("answer %q: %v", body, err)
	}
	// The old answer with the new credentials and candidates.
	var answer strings.Builder
	for line := range strings.Lines(c.answer) {
		switch {
		case strings.HasPrefix(line, "a=ice-ufrag"):
			fmt.Fprintf(&answer, "a=ice-ufrag:%s\r\n", f.ufrag)
		case strings.HasPrefix(line, "a=ice-pwd"):
			fmt.Fprintf(&answer, "a=ice-pwd:%s\r\n", f.pwd)
		default:
			answer.WriteString(line)
		}
	}
	connected := make(chan struct{})
	c.pc.OnICEConnectionStateChange(func(s webrtc.ICEConnectionState) {
		if s == webrtc.ICEConnectionStateConnected {
			close(connected)
		}
	})
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.String()}); err != nil {
		t.Fatal(err)
	}
	closed(t, "ICE is connected again", connected)
	c.pc.OnICEConnectionStateChange(func(webrtc.ICEConnectionState) {})
}

// goesOn waits for packets that are newer than all that the screen has.
func (s *screen) goesOn() {
	s.t.Helper()
	last := next(s.t, s.video).SequenceNumber
	for len(s.video) > 0 {
		last = next(s.t, s.video).SequenceNumber
	}
	eventually(s.t, "newer packets come", func() bool { return int16(next(s.t, s.video).SequenceNumber-last) > 50 })
}

// TestChangeOfNetwork restarts ICE, at the same address and at another one: media goes on in the same sessions.
func TestChangeOfNetwork(t *testing.T) {
	r := newRig(t, nil)
	cam := r.publish(t, "stage1.alice.p", clientOptions{})
	scr := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{})
	defer cam.roll(1)()
	next(t, scr.video)

	cam.restart()
	scr.goesOn()
	for i, c := range []*client{cam.client, scr.client, cam.client} {
		c.conn.plug(t, netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i)}))
		c.restart()
		scr.goesOn()
	}
	if kinds := fmt.Sprint(r.observer.kinds()); kinds != "[SESSION_STARTED JOINED alice PUBLISH_STARTED alice SUBSCRIBE_STARTED bob]" {
		t.Errorf("a session ended: %v", kinds)
	}
}

// TestIPv6 publishes and subscribes where there is no IPv4, over UDP and over TCP. Over TCP the WebRTC stack uses no ::1, which it takes for
// an IPv4-compatible address.
func TestIPv6(t *testing.T) {
	loopback := ""
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		loopback = "::1"
		l.Close()
	}
	for _, c := range []struct {
		host string
		tcp  bool
	}{
		{loopback, false},
		{outerAddress(t, netip.Addr.Is6), false},
		{outerAddress(t, netip.Addr.Is6), true},
	} {
		t.Run(fmt.Sprintf("%s, TCP %v", c.host, c.tcp), func(t *testing.T) {
			at := net.JoinHostPort(c.host, "0")
			if c.host == "" {
				t.Skip("the machine has no such address")
			}
			r := newRig(t, func(s *Server) { s.UDPAddr, s.TCPAddr = at, at })
			cam := r.publish(t, "stage1.alice.p", clientOptions{host: c.host})
			defer cam.roll(1)()
			s := r.subscribe(t, "stage1.bob.s", "alice", clientOptions{host: c.host, tcp: c.tcp})
			checkVideo(t, cam, s, 100)
			next(t, s.audio)
			pair, err := s.pc.GetReceivers()[0].Transport().ICETransport().GetSelectedCandidatePair()
			if err != nil || pair.Remote.Address != c.host || (pair.Remote.Protocol == webrtc.ICEProtocolTCP) != c.tcp {
				t.Errorf("candidate pair %v, %v", pair, err)
			}
		})
	}
}

// outerAddress is an address of this machine that others would use, "" when it has none of the family.
func outerAddress(t *testing.T, family func(netip.Addr) bool) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := netip.AddrFromSlice(a.(*net.IPNet).IP); ok && ip.IsGlobalUnicast() && family(ip.Unmap()) {
			return ip.Unmap().String()
		}
	}
	return ""
}
