package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/channel/rtmp"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/control"
	"github.com/footlight-live/footlight/internal/event"
	"github.com/footlight-live/footlight/internal/geoip"
	"github.com/footlight-live/footlight/internal/ingest"
	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/stage"
)

func (s *Server) startEvents(ctx, _ context.Context) error {
	secret, err := event.Secret(s.DataDir)
	if err != nil {
		return err
	}
	s.events = &event.Log{Store: s.store, Webhooks: s.Webhooks, Secret: []byte(secret), Log: s.Log}
	if err := s.events.Start(ctx); err != nil {
		return err
	}
	s.onClose(s.events.Close)
	return nil
}

func (s *Server) startControl(ctx, _ context.Context) error {
	// Stream keys of compositions are checked from the first encoder on, so their records come first.
	s.compositions = &composition.Manager{
		Store: s.store, Composer: s.Config.Composer, MaxCores: s.MaxComposerCores, MaxMemory: uint64(s.MaxComposerMemory), Log: s.Log,
	}
	if err := s.compositions.Open(ctx); err != nil {
		return err
	}
	objects, err := objectstore.Open(ctx, objectstore.Config{URL: s.Storage, Dir: filepath.Join(s.DataDir, "objects")})
	if err != nil {
		return fmt.Errorf("--storage: %w", err)
	}
	s.recorder = &record.Recorder{
		Dir: filepath.Join(s.DataDir, "spool"), Objects: objects, Thumbnail: record.Draw(s.Config.Composer), Limit: int64(s.MaxSpool), Log: s.Log,
	}
	var quotas control.Quotas
	if err := s.setQuotas(&quotas); err != nil {
		return err
	}
	s.control = &control.Control{
		Account: s.account(), Store: s.store, Objects: objects, Recorder: s.recorder, URLs: s.urls, Local: s.localURLs, Log: s.Log,
		Quotas: quotas, Compositions: control.CompositionsOf(s.compositions), Events: s.events,
	}
	if s.GeoIPDB != "" {
		countries, err := geoip.Open(s.GeoIPDB)
		if err != nil {
			return fmt.Errorf("configuration: --geoip-db: %w", err)
		}
		s.control.Countries = countries
	}
	if err := s.control.Start(ctx); err != nil {
		return err
	}
	s.onClose(s.control.Close)
	s.recorder.Observe, s.recorder.Noted = s.control.ObserveRecording, s.control.RecordingsNoted
	if err := s.recorder.Start(ctx); err != nil {
		return err
	}
	s.onClose(s.recorder.Close)
	s.links = &record.Links{Key: s.control.RecordingLinkKey(), Objects: objects, Find: s.control.FindRecording}
	return nil
}

func (s *Server) startChannels(_, background context.Context) error {
	s.channels = &channel.Server{
		RTMPAddr:  s.RTMPAddr,
		RTMPSAddr: s.RTMPSAddr,
		SRTAddr:   s.SRTAddr,
		TLS:       s.certificate.config(),
		Directory: s.control,
		Observer:  s.control.StreamObserver(),
		Gate:      s.control,
		Route:     s.route,
		Composer:  s.Config.Composer,
		Capacity:  s.compositions,
		Log:       s.Log,

		Recordings: s.control,
		SessionKey: s.control.PlaybackSessionKey(),
		MaxStreams: s.control.Quotas.ConcurrentStreams,
		MaxViewers: s.control.Quotas.ConcurrentViewers,
	}
	if err := s.channels.Start(background); err != nil {
		return listenError("ingest", err, map[string]string{"--rtmp-addr": s.RTMPAddr, "--rtmps-addr": s.RTMPSAddr, "--srt-addr": s.SRTAddr})
	}
	s.control.Streams = s.channels
	s.onClose(func() { s.channels.Close() })
	return nil
}

func (s *Server) startStages(ctx, background context.Context) error {
	q := s.control.Quotas
	s.stages = &stage.Server{
		UDPAddr:   s.WebRTCAddr,
		TCPAddr:   s.WebRTCAddr,
		PublicIPs: s.PublicIPs,
		PublicURL: s.URL,
		Admission: s.control,
		Observer:  s.control.StageObserver(),
		Log:       s.Log,
		TURNAddr:  s.TURNAddr,

		MaxPublishers: q.PublishersPerStage, MaxSubscribers: q.SubscribersPerStage, MaxReplications: q.ReplicationsPerParticipant,
		MaxAllPublishers: q.ConcurrentPublishers, MaxSubscriptions: q.ConcurrentSubscriptions,
		MaxBitRate: q.PublishBitRate, MaxLines: q.PublishLines, MaxDuration: time.Duration(q.ConnectionHours) * time.Hour,
	}
	if s.TURNAddr != "" && s.TLSCert != "" {
		s.stages.TURNTLS = s.certificate.config()
	}
	if err := s.stages.Start(background); err != nil {
		return listenError("webrtc", err, map[string]string{"--webrtc-addr": s.WebRTCAddr, "--turn-addr": s.TURNAddr})
	}
	s.control.Stages = s.stages
	s.onClose(func() { s.stages.Close() })
	return s.control.ResumeReplications(ctx)
}

func (s *Server) startIngest(_, background context.Context) error {
	s.ingests = &ingest.Server{Directory: s.control, Stages: s.stages, Composer: s.Config.Composer, Log: s.Log}
	s.ingests.Start(background)
	s.control.Ingests = s.ingests
	s.onClose(s.ingests.Close)
	return nil
}

// route sends encoders with the stream key of an ingest configuration to stages, all others to channels.
func (s *Server) route(key string) func(context.Context, rtmp.Request) (rtmp.Publication, error) {
	if control.IsIngestKey(key) {
		return s.ingests.Publish
	}
	return nil
}

func (s *Server) startCompositions(ctx, _ context.Context) error {
	s.compositions.Job, s.compositions.Images, s.compositions.Finish = s.control.CompositionJob, s.control.ImageData, s.channels.Finish
	s.compositions.Publish, s.compositions.Publishers = s.control.PublishComposition, s.control.Publishers
	s.compositions.FinishRecording = s.control.FinishRecording
	if err := s.compositions.Start(ctx); err != nil {
		return err
	}
	s.onClose(s.compositions.Close)
	return s.control.EndOrphans(ctx)
}

// urls are the public addresses as of now.
func (s *Server) urls() control.URLs {
	u := httpURLs(s.url)
	host := s.publicHost(s.url)
	at := func(addr string) string {
		_, port, _ := net.SplitHostPort(addr)
		return net.JoinHostPort(host, port)
	}
	u.RTMP = "rtmp://" + at(s.channels.RTMPAddress()) + "/app/"
	u.IngestEndpoint = at(s.channels.RTMPSAddress())
	if srt := s.channels.SRTAddress(); srt != "" {
		u.SRTEndpoint = at(srt)
	}
	u.RTMPS = "rtmps://" + u.IngestEndpoint + "/app/"
	return u
}

// httpURLs are the addresses below a URL of the HTTP address.
func httpURLs(base string) control.URLs {
	return control.URLs{HTTP: base, Events: "ws" + strings.TrimPrefix(base, "http") + "/events", WHIP: base + "/whip"}
}

// localURLs are where programs on this machine reach the server, whatever it is called outside. With TLS the
// public URL stays, since the certificate is for its name.
func (s *Server) localURLs() control.URLs {
	u := s.urls()
	if s.TLSCert == "" {
		local := httpURLs("http://" + loopback(s.listener.Addr().String()))
		u.HTTP, u.Events, u.WHIP = local.HTTP, local.Events, local.WHIP
	}
	u.RTMP = "rtmp://" + loopback(s.channels.RTMPAddress()) + "/app/"
	return u
}

// loopback is where a program on the same machine reaches a listener: itself, or 127.0.0.1 when it listens on
// every address.
func loopback(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// healthz answers 200 while the store answers; what listens has listened since the start.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	if err := s.store.Ping(r.Context()); err != nil {
		http.Error(w, "store: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}
