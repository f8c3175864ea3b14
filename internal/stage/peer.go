package stage

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// A peer that is silent for 3 s is disconnected, after 5 s more it has failed: together well below the
// 10 s after which IVS drops a participant that vanished. The same 8 s are the time to connect at first.
const (
	iceDisconnected = 3 * time.Second
	iceFailed       = 5 * time.Second
	iceKeepAlive    = time.Second
	// gatherTimeout is generous: with muxes on open sockets gathering takes milliseconds.
	gatherTimeout = 5 * time.Second
)

// settings returns what all peer connections of the server share.
func (s *Server) settings() webrtc.SettingEngine {
	var e webrtc.SettingEngine
	e.LoggerFactory = s.pionLog
	e.SetNet(s.network.machine)
	e.SetICEUDPMux(s.network.udp)
	e.SetICETCPMux(s.network.tcp)
	e.SetNetworkTypes([]webrtc.NetworkType{
		webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6,
	})
	e.DisableActiveTCP(true)
	e.SetIncludeLoopbackCandidate(true)
	e.SetIPFilter(s.network.bound)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(iceDisconnected, iceFailed, iceKeepAlive)
	e.SetReceiveMTU(maxPacket)
	// Keys of 256 bits cost a third more, and clients that choose would take them. HMAC-SHA1 costs nine times as much, but all know it.
	e.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	return e
}

// newPeer makes a peer connection that knows only the codecs chosen from the offer.
//
// For a publisher it answers with receiver reports and transport-wide congestion control, from which
// browsers raise their bitrate. NACKs, key-frame requests and sender reports are the sources' and
// sinks' own, see source and sink. A subscriber's RTCP goes to it at once, and where its bandwidth is to be estimated
// packets are numbered; subscriber is nil for a publisher.
func (s *Server) newPeer(o *offer, subscriber *subscriber) (*webrtc.PeerConnection, error) {
	publisher := subscriber == nil
	estimate := subscriber != nil && subscriber.bandwidth != nil
	media := new(webrtc.MediaEngine)
	registry := new(interceptor.Registry)
	register := func(kind webrtc.RTPCodecType, mime string, clock uint32, channels uint16, c *codec) error {
		if c == nil {
			return nil
		}
		p := webrtc.RTPCodecParameters{PayloadType: webrtc.PayloadType(c.payloadType)}
		p.MimeType, p.ClockRate, p.Channels, p.SDPFmtpLine = mime, clock, channels, c.fmtp
		for _, f := range c.feedback {
			typ, parameter, _ := strings.Cut(f, " ")
			if typ == webrtc.TypeRTCPFBTransportCC && !publisher && (!estimate || kind == webrtc.RTPCodecTypeAudio) {
				continue // nobody would read it
			}
			p.RTCPFeedback = append(p.RTCPFeedback, webrtc.RTCPFeedback{Type: typ, Parameter: parameter})
		}
		if err := media.RegisterCodec(p, kind); err != nil {
			return err
		}
		if c.rtx == 0 {
			return nil
		}
		x := webrtc.RTPCodecParameters{PayloadType: webrtc.PayloadType(c.rtx)}
		x.MimeType, x.ClockRate, x.SDPFmtpLine = webrtc.MimeTypeRTX, clock, fmt.Sprintf("apt=%d", c.payloadType)
		return media.RegisterCodec(x, kind)
	}
	if err := register(webrtc.RTPCodecTypeVideo, webrtc.MimeTypeH264, 90000, 0, o.video); err != nil {
		return nil, fmt.Errorf("register H.264: %w", err)
	}
	if err := register(webrtc.RTPCodecTypeAudio, webrtc.MimeTypeOpus, 48000, 2, o.audio); err != nil {
		return nil, fmt.Errorf("register Opus: %w", err)
	}
	if publisher {
		reports, err := report.NewReceiverInterceptor(report.WithReceiverLoggerFactory(s.pionLog))
		if err != nil {
			return nil, fmt.Errorf("set up receiver reports: %w", err)
		}
		registry.Add(reports)
		if o.rids != nil {
			if err := webrtc.ConfigureSimulcastExtensionHeaders(media); err != nil {
				return nil, fmt.Errorf("register the names of layers: %w", err)
			}
		}
		for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
			ext := webrtc.RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}
			if err := media.RegisterHeaderExtension(ext, kind); err != nil {
				return nil, fmt.Errorf("register transport-wide sequence numbers: %w", err)
			}
		}
		congestion, err := twcc.NewSenderInterceptor(twcc.WithLoggerFactory(s.pionLog))
		if err != nil {
			return nil, fmt.Errorf("set up congestion control feedback: %w", err)
		}
		registry.Add(congestion)
	}
	settings := s.settings()
	if estimate {
		ext := webrtc.RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}
		if err := media.RegisterHeaderExtension(ext, webrtc.RTPCodecTypeVideo); err != nil {
			return nil, fmt.Errorf("register transport-wide sequence numbers: %w", err)
		}
	}
	if subscriber != nil {
		settings.BufferFactory = subscriber.buffer
	}
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry))
	pc, err := api.NewPeerConnection(webrtc.Configuration{Certificates: []webrtc.Certificate{*s.certificate}})
	if err != nil {
		return nil, fmt.Errorf("make peer connection: %w", err)
	}
	return pc, nil
}

// negotiate applies the offer and returns the answer, with all candidates of the server in every
// section, and the ICE credentials of the answer.
func (s *Server) negotiate(ctx context.Context, pc *webrtc.PeerConnection, o *offer) (answer string, local fragment, err error) {
	text, err := o.text()
	if err != nil {
		return "", fragment{}, err
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: text}); err != nil {
		return "", fragment{}, refuse(InvalidInput, "the offer cannot be answered: %v", err)
	}
	description, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", fragment{}, refuse(InvalidInput, "the offer cannot be answered: %v", err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(description); err != nil {
		return "", fragment{}, refuse(InvalidInput, "the offer cannot be answered: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	select {
	case <-gathered:
	case <-ctx.Done():
		return "", fragment{}, fmt.Errorf("gather candidates: %w", context.Cause(ctx))
	}
	return finishAnswer(pc.LocalDescription().SDP, s.candidates, o.limit)
}

// finishAnswer replaces the candidates of an answer by the given ones, in every section that was not
// rejected: some clients read only the first section, some only their own. limit is what the client may send in a video
// section, all layers together, in bits per second (RFC 8866 section 5.8); 0 says nothing.
func finishAnswer(answer string, candidates []string, limit int) (string, fragment, error) {
	desc := new(sdp.SessionDescription)
	if err := desc.UnmarshalString(answer); err != nil {
		return "", fragment{}, fmt.Errorf("read own answer: %w", err)
	}
	local := fragment{end: true}
	for _, m := range desc.MediaDescriptions {
		var kept []sdp.Attribute
		for _, a := range m.Attributes {
			switch a.Key {
			case "candidate", "end-of-candidates":
				continue
			case "ice-ufrag":
				local.ufrag = a.Value
			case "ice-pwd":
				local.pwd = a.Value
			}
			kept = append(kept, a)
		}
		m.Attributes = kept
		if m.MediaName.Port.Value == 0 {
			continue
		}
		if limit > 0 && m.MediaName.Media == "video" {
			m.Bandwidth = []sdp.Bandwidth{{Type: "AS", Bandwidth: uint64(limit / 1000)}}
		}
		mid, _ := m.Attribute("mid")
		for _, c := range candidates {
			key, value, _ := strings.Cut(c, ":")
			m.Attributes = append(m.Attributes, sdp.Attribute{Key: key, Value: value})
			if local.candidates == nil || local.candidates[0].mid == mid {
				local.candidates = append(local.candidates, candidate{mid: mid, value: c})
			}
		}
		m.Attributes = append(m.Attributes, sdp.Attribute{Key: "end-of-candidates"})
	}
	b, err := desc.Marshal()
	if err != nil {
		return "", fragment{}, fmt.Errorf("write answer: %w", err)
	}
	return string(b), local, nil
}
