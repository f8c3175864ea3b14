package server

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/composition"
)

// measured is one composition and its stream.
type measured composition.Status

func (m measured) List(context.Context) ([]composition.Record, error) {
	return []composition.Record{m.Record}, nil
}
func (m measured) Status(string) (composition.Status, bool) { return composition.Status(m), true }
func (m measured) SetScene(context.Context, string, json.RawMessage) error {
	return nil
}

func (m measured) StreamStats(string) (channel.StreamStats, bool) {
	return channel.StreamStats{
		Stream: channel.Stream{Source: "composition/" + m.Record.ID},
		Delay:  hls.Delay{Count: 300, P50: 100 * time.Millisecond, P99: 160 * time.Millisecond},
	}, true
}

func scrape(t *testing.T, m measured) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&compositionMetrics{compositions: m, streams: m, log: slog.New(slog.DiscardHandler)})
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestCompositionMetrics(t *testing.T) {
	m := measured{
		Record: composition.Record{ID: "c1", StageARN: "arn:aws:ivs:us-east-1:000000000000:stage/s1", State: composition.Active,
			Destinations: []composition.Destination{{ID: "d1", ChannelARN: "arn", State: composition.Reconnecting}}},
		Restarts: 2,
		Heartbeat: &wire.Heartbeat{
			Frames: 900, LateTicks: 3, MissedFrames: 1, Overloaded: true, CPU: 0.42, Memory: 1 << 20, Publishing: 20, Alert: "black",
			Decode: wire.Timing{Count: 10, P50: 1, P99: 2.5}, Latency: wire.Timing{Count: 10, P50: 40, P99: 80},
			Destinations: []wire.DestinationFigure{{ID: "d1", Bytes: 1e6, Dropped: 4, Queue: 2, Retries: 5}},
		},
	}
	for i := range 20 {
		m.Heartbeat.Participants = append(m.Heartbeat.Participants, wire.Input{
			ID: fmt.Sprint("p", i), Video: "live", Audio: "muted", Received: 100, Lost: 2, KeyRequests: 1, Jitter: 5, Delay: 60,
		})
	}
	text := scrape(t, m)
	const of = `composition="c1",stage="s1"`
	for _, want := range []string{
		`footlight_composition_state{` + of[:17] + `stage="s1",state="ACTIVE"} 1`,
		`footlight_composition_restarts_total{` + of + `} 2`,
		`footlight_composition_frames_total{` + of + `} 900`,
		`footlight_composition_late_ticks_total{` + of + `} 3`,
		`footlight_composition_missed_frames_total{` + of + `} 1`,
		`footlight_composition_overloaded{` + of + `} 1`,
		`footlight_composition_alert{alert="black",` + of + `} 1`,
		`footlight_composition_cpu_cores{` + of + `} 0.42`,
		`footlight_composition_memory_bytes{` + of + `} 1.048576e+06`,
		`footlight_composition_step_seconds{composition="c1",quantile="0.99",stage="s1",step="decode"} 0.0025`,
		`footlight_composition_latency_seconds{composition="c1",quantile="0.5",stage="s1"} 0.04`,
		`footlight_composition_part_latency_seconds{composition="c1",destination="d1",quantile="0.99",stage="s1"} 0.16`,
		`footlight_composition_input_packets_lost_total{composition="c1",participant="p0",stage="s1"} 2`,
		`footlight_composition_input_jitter_seconds{composition="c1",participant="p0",stage="s1"} 0.005`,
		`footlight_composition_input_state{composition="c1",kind="audio",participant="p11",stage="s1",state="muted"} 1`,
		`footlight_composition_destination_state{composition="c1",destination="d1",stage="s1",state="RECONNECTING"} 1`,
		`footlight_composition_destination_frames_dropped_total{composition="c1",destination="d1",stage="s1"} 4`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, `participant="p12"`) {
		t.Error("more than twelve participants")
	}
	if strings.Contains(text, `step="draw"`) {
		t.Error("a step that was not measured has figures")
	}
	m.Heartbeat = nil // no composer
	if text := scrape(t, m); !strings.Contains(text, "composition_restarts_total") || strings.Contains(text, "composition_frames_total") {
		t.Errorf("without a composer:\n%s", text)
	}
	m.Record.State = composition.Stopped
	if text := scrape(t, m); strings.Contains(text, "composition") {
		t.Errorf("after the end:\n%s", text)
	}
}
