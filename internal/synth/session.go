package synth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/synth/link"
)

// session is one connection to the stage. The publisher's goroutine owns it.
type session struct {
	publisher *Publisher
	peer      *webrtc.PeerConnection
	mux       ice.UDPMux
	url       string    // to DELETE; "" when the server gave none
	video     []*outlet // the simulcast layers from the largest on, or one
	audio     *outlet   // nil when VideoOnly
	states    chan webrtc.PeerConnectionState
}

// outlets are all streams.
func (s *session) outlets() []*outlet {
	if s.audio == nil {
		return s.video
	}
	return append(slices.Clone(s.video), s.audio)
}

const (
	connectTimeout = 10 * time.Second
	// silence is how long nothing must come from the server until it is taken for gone.
	silence   = 4 * time.Second
	keepAlive = 500 * time.Millisecond // each is answered
)

var (
	h264 = webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
		SDPFmtpLine:  "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
		RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}},
	}
	opus = webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2,
		SDPFmtpLine:  "minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1",
		RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}},
	}
)

// connect opens a connection and returns when media can be sent.
func (p *Publisher) connect(ctx context.Context) (_ *session, err error) {
	s := &session{publisher: p, states: make(chan webrtc.PeerConnectionState, 16)}
	defer func() {
		if err != nil {
			s.close(s.url != "")
		}
	}()
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open a peer connection: %w", err)
	}
	offer, err := s.offer(ctx)
	if err != nil {
		return nil, fmt.Errorf("make an offer: %w", err)
	}
	answer, url, err := p.postOffer(ctx, offer)
	if err != nil {
		return nil, err
	}
	s.url = url
	if err := s.peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return nil, fmt.Errorf("take the server's answer: %w", err)
	}
	timeout := time.NewTimer(connectTimeout)
	defer timeout.Stop()
	for {
		select {
		case state := <-s.states:
			switch state {
			case webrtc.PeerConnectionStateConnected:
				return s, nil
			case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
				return nil, fmt.Errorf("connect to the stage: connection %s", state)
			}
		case <-timeout.C:
			return nil, fmt.Errorf("connect to the stage: not connected after %v", connectTimeout)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// open makes the peer connection with a track for each medium.
func (s *session) open() error {
	media := new(webrtc.MediaEngine)
	err := errors.Join(
		media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: h264, PayloadType: 102}, webrtc.RTPCodecTypeVideo),
		media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: opus, PayloadType: 111}, webrtc.RTPCodecTypeAudio))
	if err != nil {
		return fmt.Errorf("register codecs: %w", err)
	}
	if s.publisher.Layers > 1 {
		if err := webrtc.ConfigureSimulcastExtensionHeaders(media); err != nil {
			return fmt.Errorf("register the names of layers: %w", err)
		}
	}
	// Sender reports are our own: those of the interceptor take the time of sending for that of capture.
	responder, err := nack.NewResponderInterceptor()
	if err != nil {
		return fmt.Errorf("make a NACK responder: %w", err)
	}
	interceptors := new(interceptor.Registry)
	interceptors.Add(responder)

	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return fmt.Errorf("open a media socket: %w", err)
	}
	p := s.publisher
	wire := link.Wrap(conn,
		func() link.Conditions { return p.currentFaults().up() },
		func() link.Conditions { return p.currentFaults().down() })
	// What pion has to say arrives as states and errors too.
	quiet := &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}
	s.mux = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: wire, Logger: quiet.NewLogger("ice")})
	settings := webrtc.SettingEngine{LoggerFactory: quiet}
	settings.SetICEUDPMux(s.mux)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetICETimeouts(silence, 2*silence, keepAlive)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(interceptors), webrtc.WithSettingEngine(settings))
	if s.peer, err = api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle}); err != nil {
		return fmt.Errorf("make a peer connection: %w", err)
	}
	s.peer.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		select {
		case s.states <- state:
		default: // more changes than anybody waits for: the first ones decide
		}
	})
	if s.video, err = s.newOutlets(h264, p.rids()); err != nil || p.VideoOnly {
		return err
	}
	audio, err := s.newOutlets(opus, nil)
	if err != nil {
		return err
	}
	s.audio = audio[0]
	return nil
}

// offer returns a complete offer: candidates are gathered.
func (s *session) offer(ctx context.Context) (string, error) {
	gathered := webrtc.GatheringCompletePromise(s.peer)
	offer, err := s.peer.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	if err := s.peer.SetLocalDescription(offer); err != nil {
		return "", err
	}
	select {
	case <-gathered:
		return s.peer.LocalDescription().SDP, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// send runs the media until the connection breaks or ctx ends, and says why it ended.
func (s *session) send(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	defer wait.Wait()
	begin := func(what string, run func(context.Context) error) {
		wait.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	if !s.publisher.AudioOnly {
		begin("send video", s.sendVideo)
	}
	if s.audio != nil {
		begin("send audio", s.sendAudio)
	}
	begin("send reports", s.sendReports)
	for {
		select {
		case state := <-s.states:
			switch state {
			case webrtc.PeerConnectionStateDisconnected:
				cancel(fmt.Errorf("nothing came from the server for %v", silence))
			case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
				cancel(errors.New("the server closed the connection"))
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// close releases the connection, after saying goodbye when asked to.
func (s *session) close(goodbye bool) {
	log := s.publisher.Log
	if goodbye && s.url != "" {
		// The publisher's own context has usually ended by now.
		if err := s.publisher.hangUp(context.Background(), s.url); err != nil {
			log.Debug("could not say goodbye", "error", err)
		}
	}
	if s.peer != nil {
		if err := s.peer.GracefulClose(); err != nil {
			log.Debug("could not close the peer connection", "error", err)
		}
	}
	if s.mux != nil {
		if err := s.mux.Close(); err != nil {
			log.Debug("could not close the media socket", "error", err)
		}
	}
}
