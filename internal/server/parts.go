package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/control"
	"github.com/footlight-live/footlight/internal/stage"
)

func (s *Server) startControl(ctx, _ context.Context) error {
	s.control = &control.Control{Account: s.account(), Store: s.store, URLs: s.urls, Log: s.Log}
	if err := s.control.Start(ctx); err != nil {
		return err
	}
	s.onClose(s.control.Close)
	return nil
}

func (s *Server) startChannels(_, background context.Context) error {
	host, _, _ := net.SplitHostPort(s.RTMPSAddr)
	cert, err := s.certificate(host)
	if err != nil {
		return err
	}
	s.channels = &channel.Server{
		RTMPAddr:  s.RTMPAddr,
		RTMPSAddr: s.RTMPSAddr,
		TLS:       &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		Directory: s.control,
		Observer:  s.control.StreamObserver(),
		Log:       s.Log,
	}
	if err := s.channels.Start(background); err != nil {
		return listenError("rtmp", "--rtmp-addr and --rtmps-addr", s.RTMPAddr+" or "+s.RTMPSAddr, err)
	}
	s.control.Streams = s.channels
	s.onClose(func() { s.channels.Close() })
	return nil
}

func (s *Server) startStages(_, background context.Context) error {
	s.stages = &stage.Server{
		UDPAddr:   s.WebRTCAddr,
		TCPAddr:   s.WebRTCAddr,
		PublicIPs: s.PublicIPs,
		PublicURL: s.URL,
		Admission: s.control,
		Observer:  s.control.StageObserver(),
		Log:       s.Log,
	}
	if err := s.stages.Start(background); err != nil {
		return listenError("webrtc", "--webrtc-addr", s.WebRTCAddr, err)
	}
	s.control.Stages = s.stages
	s.onClose(func() { s.stages.Close() })
	return nil
}

func (s *Server) startCompositions(ctx, _ context.Context) error {
	s.compositions = &composition.Manager{
		Store:    s.store,
		Composer: s.Config.Composer,
		Job:      s.control.CompositionJob,
		Finish:   s.channels.Finish,
		Log:      s.Log,
	}
	if err := s.compositions.Start(ctx); err != nil {
		return err
	}
	s.control.Compositions = control.CompositionsOf(s.compositions)
	s.onClose(s.compositions.Close)
	return nil
}

// urls are the public addresses as of now.
func (s *Server) urls() control.URLs {
	u := control.URLs{HTTP: s.url, Events: "ws" + strings.TrimPrefix(s.url, "http") + "/events", WHIP: s.url + "/whip"}
	host := s.PublicHost
	if host == "" {
		if parsed, err := url.Parse(s.url); err == nil {
			host = parsed.Hostname()
		}
	}
	at := func(addr string) string {
		_, port, _ := net.SplitHostPort(addr)
		return net.JoinHostPort(host, port)
	}
	u.RTMP = "rtmp://" + at(s.channels.RTMPAddress()) + "/app/"
	u.IngestEndpoint = at(s.channels.RTMPSAddress())
	u.RTMPS = "rtmps://" + u.IngestEndpoint + "/app/"
	return u
}

// healthz answers 200 while the store answers; what listens has listened since the start.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	if err := s.store.Ping(r.Context()); err != nil {
		http.Error(w, "store: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}
