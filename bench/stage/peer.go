package main

import (
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"
)

// connectPatience is how long a connection may take to come about on a busy machine.
const connectPatience = 30 * time.Second

// peer is a client's connection, publishing or subscribing.
type peer struct {
	pc       *webrtc.PeerConnection
	port     *port
	mux      *ice.UDPMuxDefault
	up       chan struct{} // closed when connected
	location string        // of the session
}

var certificates = sync.OnceValues(newCertificate)

// newPeer makes a connection over the port without interceptors: neither server gets feedback that the other does not.
func newPeer(at *port) (*peer, error) {
	return newPeerWith(at, at, func(*webrtc.MediaEngine, *interceptor.Registry) error { return nil })
}

// newPeerWith makes a connection over conn, which is the port or something in front of it.
func newPeerWith(at *port, conn net.PacketConn, with func(*webrtc.MediaEngine, *interceptor.Registry) error) (*peer, error) {
	media, registry := new(webrtc.MediaEngine), new(interceptor.Registry)
	err := media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: h264, PayloadType: 102}, webrtc.RTPCodecTypeVideo)
	if err == nil {
		err = media.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: 111, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}}, webrtc.RTPCodecTypeAudio)
	}
	if err != nil {
		return nil, err
	}
	if err := with(media, registry); err != nil {
		return nil, err
	}
	certificate, err := certificates()
	if err != nil {
		return nil, err
	}
	log := &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}
	var e webrtc.SettingEngine
	e.LoggerFactory = log
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	e.SetICETimeouts(20*time.Second, 20*time.Second, 2*time.Second)
	p := &peer{port: at, up: make(chan struct{})}
	p.mux = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: conn, Logger: log.NewLogger("udp")})
	e.SetICEUDPMux(p.mux)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(e), webrtc.WithInterceptorRegistry(registry))
	p.pc, err = api.NewPeerConnection(webrtc.Configuration{Certificates: []webrtc.Certificate{*certificate}})
	if err != nil {
		return nil, err
	}
	var once sync.Once
	p.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(p.up) })
		}
	})
	return p, nil
}

// local sets a local description and returns it with its candidates.
func (p *peer) local(d webrtc.SessionDescription, err error) (string, error) {
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(d); err != nil {
		return "", err
	}
	<-gathered
	return p.pc.LocalDescription().SDP, nil
}

func (p *peer) connected() error {
	select {
	case <-p.up:
		return nil
	case <-time.After(connectPatience):
		return fmt.Errorf("not connected after %s", connectPatience)
	}
}

func (p *peer) close() {
	_ = p.pc.Close()
	_ = p.mux.Close()
	_ = p.port.Close()
}
