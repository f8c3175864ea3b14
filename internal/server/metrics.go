package server

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/footlight-live/footlight/internal/composition"
)

// metrics serves the node's figures in Prometheus' format. Each scrape takes fresh snapshots.
func (s *Server) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, value func() float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "footlight", Name: name, Help: help}, value))
	}
	counter := func(name, help string, value func() float64) {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "footlight", Name: name, Help: help}, value))
	}
	stages := s.stages.Stats
	gauge("stage_publishers", "Participants that publish.", func() float64 { return float64(stages().Publishers) })
	gauge("stage_subscribers", "Subscriptions, those of composers included.", func() float64 { return float64(stages().Subscribers) })
	gauge("stage_participants", "Participants that are connected.", func() float64 { return float64(stages().Participants) })
	counter("stage_packets_received_total", "RTP packets taken from publishers.", func() float64 { return float64(stages().PacketsReceived) })
	counter("stage_packets_sent_total", "RTP packets sent to subscribers.", func() float64 { return float64(stages().PacketsSent) })
	counter("stage_packets_dropped_total", "RTP packets that slow subscribers did not get.", func() float64 { return float64(stages().PacketsDropped) })
	counter("stage_packets_resent_total", "Retransmissions to subscribers.", func() float64 { return float64(stages().PacketsResent) })
	counter("stage_key_frames_requested_total", "Key-frame requests sent to publishers.", func() float64 { return float64(stages().PLIsSent) })
	gauge("channel_streams", "Live streams.", func() float64 { return float64(len(s.channels.Streams())) })
	gauge("channel_viewers", "Viewers of all live streams.", func() float64 {
		n := 0
		for _, stream := range s.channels.Streams() {
			n += stream.ViewerCount
		}
		return float64(n)
	})
	gauge("certificate_expiry_seconds", "When the TLS certificate ends, in seconds since 1970.", func() float64 { return float64(s.certificate.expires().Unix()) })
	capacity := func() composition.Capacity {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		c, err := s.compositions.Capacity(ctx)
		if err != nil {
			s.Log.Error("the capacity for compositions is not in the metrics", "error", err)
		}
		return c
	}
	gauge("composer_cores", "Cores that composers and ladders may take.", func() float64 { return capacity().Cores })
	gauge("composer_cores_used", "Cores that composers take, or young ones are expected to, and what ladders were expected to take.", func() float64 { return capacity().Used })
	gauge("composer_cores_free", "Cores that a new composition or ladder may cost.", func() float64 { return capacity().Free() })
	registry.MustRegister(&compositionMetrics{compositions: s.compositions, streams: s.channels, log: s.Log})
	registry.MustRegister(&ladderMetrics{streams: s.channels.Stats})
	registry.MustRegister(&recordingMetrics{recorder: s.recorder})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
