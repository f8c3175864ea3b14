package stage

import (
	"cmp"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/logging"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// client is a real WebRTC client of the stage.
type client struct {
	t        testing.TB
	rig      *rig
	pc       *webrtc.PeerConnection
	conn     *cable
	location string
	etag     string
	answer   string
	ended    chan struct{} // closed when the connection is over
}

// clientOptions are the ways in which test clients differ.
type clientOptions struct {
	drop func(outgoing bool, h *rtp.Header) bool // packets that get lost on the wire
	tcp  bool
	host string // address of the client, 127.0.0.1 by default
	// relay is a TURN server over which everything goes.
	relay *webrtc.ICEServer
}

// newClient makes a peer connection with the usual codecs of browsers, NACK and nothing else.
func (r *rig) newClient(t testing.TB, opt clientOptions) *client {
	t.Helper()
	media := new(webrtc.MediaEngine)
	if err := media.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	registry := new(interceptor.Registry)
	if opt.drop != nil {
		registry.Add(lossyFactory{opt.drop})
	}
	if err := webrtc.ConfigureNackWithOptions(media, registry, []nack.GeneratorOption{nack.GeneratorInterval(20 * time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, rig: r, ended: make(chan struct{})}
	var e webrtc.SettingEngine
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.LoggerFactory = pionLog{log: testLog()}
	var config webrtc.Configuration
	host := netip.MustParseAddr(cmp.Or(opt.host, "127.0.0.1"))
	if opt.relay != nil {
		relayOnly(&e)
		config.ICEServers, config.ICETransportPolicy = []webrtc.ICEServer{*opt.relay}, webrtc.ICETransportPolicyRelay
	} else if opt.tcp {
		e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6})
		e.SetIPFilter(func(ip net.IP) bool { return ip.Equal(host.AsSlice()) })
	} else {
		c.conn = new(cable)
		c.conn.plug(t, host)
		e.SetICEUDPMux(c.conn)
		e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
		t.Cleanup(func() { c.conn.Close() })
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(e))
	var err error
	if c.pc, err = api.NewPeerConnection(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	var once sync.Once
	c.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateClosed || s == webrtc.PeerConnectionStateFailed {
			once.Do(func() { close(c.ended) })
		}
	})
	return c
}

func (c *client) close() { _ = c.pc.GracefulClose() }

// offer makes an offer with all candidates.
func (c *client) offer() string {
	c.t.Helper()
	o, err := c.pc.CreateOffer(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(o); err != nil {
		c.t.Fatal(err)
	}
	<-gathered
	return c.pc.LocalDescription().SDP
}

// connect posts the offer; unless it is answered with 201 it returns the response.
func (c *client) connect(path, token string) (*http.Response, string) {
	c.t.Helper()
	res, body := c.rig.do(c.t, "POST", path, c.offer(), "Content-Type", typeSDP, "Authorization", "Bearer "+token)
	if res.StatusCode != http.StatusCreated {
		return res, body
	}
	c.location, c.etag, c.answer = res.Header.Get("Location"), res.Header.Get("ETag"), body
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: body}); err != nil {
		c.t.Fatal(err)
	}
	return nil, ""
}

// camera is a client that publishes made-up H.264 and Opus packets.
type camera struct {
	*client
	video, audio *webrtc.TrackLocalStaticRTP
	sender       *webrtc.RTPSender
	plis         atomic.Int32
	pliTimes     chan time.Time
	wantKey      atomic.Bool

	mu   sync.Mutex
	sent map[uint16][]byte // video payloads by sequence number
}

// publish connects a camera and waits until the stage says that it publishes.
func (r *rig) publish(t testing.TB, token string, opt clientOptions) *camera {
	t.Helper()
	c := r.newCamera(t, opt)
	g, _ := testAdmission{}.Admit(t.Context(), token)
	before := 0
	for _, k := range r.observer.kinds() {
		if k == string(PublishStarted)+" "+g.ParticipantID {
			before++
		}
	}
	if res, body := c.connect("/whip", token); res != nil {
		t.Fatalf("publish: %s: %s", res.Status, body)
	}
	r.observer.wait(t, PublishStarted, g.ParticipantID, before+1)
	return c
}

func (r *rig) newCamera(t testing.TB, opt clientOptions) *camera {
	t.Helper()
	c := &camera{client: r.newClient(t, opt), sent: make(map[uint16][]byte), pliTimes: make(chan time.Time, 100)}
	c.video = c.add(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"})
	c.audio = c.add(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2})
	return c
}

func (c *camera) add(codec webrtc.RTPCodecCapability) *webrtc.TrackLocalStaticRTP {
	track, err := webrtc.NewTrackLocalStaticRTP(codec, codec.MimeType[:5], "camera")
	if err != nil {
		c.t.Fatal(err)
	}
	sender, err := c.pc.AddTrack(track)
	if err != nil {
		c.t.Fatal(err)
	}
	if codec.MimeType == webrtc.MimeTypeH264 {
		c.sender = sender
	}
	go func() {
		for {
			pkts, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range pkts {
				if _, ok := p.(*rtcp.PictureLossIndication); ok {
					c.plis.Add(1)
					c.wantKey.Store(true)
					select {
					case c.pliTimes <- time.Now():
					default:
					}
				}
			}
		}
	}()
	return track
}

// Payloads that begin a key frame and that do not.
func keyPayload(seq uint16) []byte {
	return append([]byte{0x65, 0x88}, body(seq)...)
}

func deltaPayload(seq uint16) []byte {
	return append([]byte{0x41, 0x9a}, body(seq)...)
}

// body is between 100 and 1100 bytes that tell packets apart.
func body(seq uint16) []byte {
	b := make([]byte, 100+int(seq)*7%1000)
	for i := range b {
		b[i] = byte(int(seq)*31 + i*i)
	}
	binary.BigEndian.PutUint16(b, seq)
	return b
}

// sendVideo writes one video packet, a key frame if one is wanted.
func (c *camera) sendVideo(seq uint16) {
	payload := deltaPayload(seq)
	if c.wantKey.CompareAndSwap(true, false) {
		payload = keyPayload(seq)
	}
	c.mu.Lock()
	c.sent[seq] = payload
	c.mu.Unlock()
	_ = c.video.WriteRTP(&rtp.Packet{ // the end of the connection is the test's business
		Header:  rtp.Header{Version: 2, Marker: true, SequenceNumber: seq, Timestamp: uint32(seq) * 3000},
		Payload: payload,
	})
}

func (c *camera) sendAudio(seq uint16) {
	_ = c.audio.WriteRTP(&rtp.Packet{
		Header:  rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: uint32(seq) * 960},
		Payload: body(seq)[:100],
	})
}

// roll sends video and audio from the given sequence number on, every 5 ms, until stop is called.
func (c *camera) roll(first uint16) (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for seq := first; ; seq++ {
			c.sendVideo(seq)
			c.sendAudio(seq)
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(done); <-stopped })
}

// screen is a client that subscribes.
type screen struct {
	*client
	video, audio chan *rtp.Packet
	reports      chan *rtcp.SenderReport
	videoTrack   chan *webrtc.TrackRemote
}

func (r *rig) newScreen(t testing.TB, opt clientOptions, kinds ...webrtc.RTPCodecType) *screen {
	t.Helper()
	s := &screen{
		client: r.newClient(t, opt),
		video:  make(chan *rtp.Packet, 10000), audio: make(chan *rtp.Packet, 10000),
		reports: make(chan *rtcp.SenderReport, 100), videoTrack: make(chan *webrtc.TrackRemote, 1),
	}
	if kinds == nil {
		kinds = []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo}
	}
	for _, k := range kinds {
		if _, err := s.pc.AddTransceiverFromKind(k, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	s.pc.OnTrack(func(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		out := s.audio
		if track.Kind() == webrtc.RTPCodecTypeVideo {
			out = s.video
			s.videoTrack <- track
		}
		go func() {
			for {
				pkts, _, err := receiver.ReadRTCP()
				if err != nil {
					return
				}
				for _, p := range pkts {
					if sr, ok := p.(*rtcp.SenderReport); ok && track.Kind() == webrtc.RTPCodecTypeVideo {
						s.reports <- sr
					}
				}
			}
		}()
		for {
			p, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			select {
			case out <- p:
			default:
			}
		}
	})
	return s
}

// subscribe connects a screen to a publisher.
func (r *rig) subscribe(t testing.TB, token, publisher string, opt clientOptions, kinds ...webrtc.RTPCodecType) *screen {
	t.Helper()
	s := r.newScreen(t, opt, kinds...)
	if res, body := s.connect("/whip/subscribe/"+publisher, token); res != nil {
		t.Fatalf("subscribe: %s: %s", res.Status, body)
	}
	return s
}

// next waits for the next packet.
func next(t testing.TB, c <-chan *rtp.Packet) *rtp.Packet {
	t.Helper()
	select {
	case p := <-c:
		return p
	case <-time.After(patience):
		t.Fatal("no packet")
		return nil
	}
}

// closed waits for a channel to be closed.
func closed(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("never happened: ", what)
	}
}

// cable is how a client gets onto UDP. It can be cut, and plugged in elsewhere.
type cable struct {
	socket atomic.Pointer[socketMux]
	dead   atomic.Bool
}

// socketMux is ICE on one address.
type socketMux struct {
	*ice.UDPMuxDefault
	conn net.PacketConn
}

// plug gives the client another address, as a change of network does. The old one hears and says nothing more.
func (c *cable) plug(t testing.TB, host netip.Addr) {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, 0)))
	if err != nil {
		t.Fatal(err)
	}
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: deadable{conn, &c.dead}, Logger: logging.NewDefaultLoggerFactory().NewLogger("test")})
	c.unplug(c.socket.Swap(&socketMux{mux, conn}))
}

func (c *cable) unplug(s *socketMux) {
	if s != nil {
		_ = s.Close()
		_ = s.conn.Close()
	}
}

// Close and what follows make it an ice.UDPMux.
func (c *cable) Close() error {
	c.unplug(c.socket.Load())
	return nil
}
func (c *cable) GetConn(ufrag string, at net.Addr) (net.PacketConn, error) {
	return c.socket.Load().GetConn(ufrag, at)
}
func (c *cable) RemoveConnByUfrag(ufrag string) { c.socket.Load().RemoveConnByUfrag(ufrag) }
func (c *cable) GetListenAddresses() []net.Addr { return c.socket.Load().GetListenAddresses() }

// deadable is a socket on which nothing passes while it is dead.
type deadable struct {
	net.PacketConn
	dead *atomic.Bool
}

func (w deadable) WriteTo(b []byte, a net.Addr) (int, error) {
	if w.dead.Load() {
		return len(b), nil
	}
	return w.PacketConn.WriteTo(b, a)
}

func (w deadable) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, a, err := w.PacketConn.ReadFrom(b)
		if err != nil || !w.dead.Load() {
			return n, a, err
		}
	}
}

// lossyFactory makes interceptors next to the wire that lose packets.
type lossyFactory struct {
	drop func(outgoing bool, h *rtp.Header) bool
}

func (f lossyFactory) NewInterceptor(string) (interceptor.Interceptor, error) {
	return &lossy{drop: f.drop}, nil
}

type lossy struct {
	interceptor.NoOp
	drop func(outgoing bool, h *rtp.Header) bool
}

func (l *lossy) BindLocalStream(_ *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if l.drop(true, h) {
			return len(payload), nil
		}
		return w.Write(h, payload, a)
	})
}

func (l *lossy) BindRemoteStream(_ *interceptor.StreamInfo, r interceptor.RTPReader) interceptor.RTPReader {
	return interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		for {
			n, attr, err := r.Read(b, a)
			if err != nil {
				return n, attr, err
			}
			var h rtp.Header
			if _, err := h.Unmarshal(b[:n]); err != nil || !l.drop(false, &h) {
				return n, attr, nil
			}
		}
	})
}
