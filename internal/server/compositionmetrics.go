package server

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/extension"
)

// maxInputs bounds the series of one composition: a stage has no more publishers.
const maxInputs = 12

// compositionMetrics turns what compositions measure into metrics. Each scrape reads the latest heartbeats. What
// heartbeats count begins anew with each composer, as counters of Prometheus may.
type compositionMetrics struct {
	compositions extension.Compositions
	streams      extension.Streams
	log          *slog.Logger
}

// metric is one family of series. The composition and its stage are labels of each, before its own.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func newMetric(kind prometheus.ValueType, name, help string, labels ...string) metric {
	labels = append([]string{"composition", "stage"}, labels...)
	return metric{prometheus.NewDesc("footlight_"+name, help, labels, nil), kind}
}

func gauge(name, help string, labels ...string) metric {
	return newMetric(prometheus.GaugeValue, name, help, labels...)
}

func counter(name, help string, labels ...string) metric {
	return newMetric(prometheus.CounterValue, name, help, labels...)
}

var (
	stateOf       = gauge("composition_state", "1 for the state that the composition is in.", "state")
	restarts      = counter("composition_restarts_total", "Composers that were replaced.")
	publishing    = gauge("composition_publishing", "Participants that publish.")
	frames        = counter("composition_frames_total", "Pictures encoded.")
	lateTicks     = counter("composition_late_ticks_total", "Pictures that were ready after the next one was due.")
	missed        = counter("composition_missed_frames_total", "Pictures that were not made.")
	overloaded    = gauge("composition_overloaded", "1 while pictures are left out because the machine is too slow.")
	alert         = gauge("composition_alert", "1 while the output is wrong although the inputs are well.", "alert")
	cores         = gauge("composition_cpu_cores", "Cores that the composer uses.")
	memory        = gauge("composition_memory_bytes", "Resident memory of the composer.")
	step          = gauge("composition_step_seconds", "How long a step of the work takes, over ten seconds.", "step", "quantile")
	latency       = gauge("composition_latency_seconds", "From the last packet of a picture to the encoded frame that shows it.", "quantile")
	partLatency   = gauge("composition_part_latency_seconds", "From a frame's arrival at the channel to the publication of its HLS part.", "destination", "quantile")
	inputPackets  = counter("composition_input_packets_total", "Packets received of a participant.", "participant")
	inputLost     = counter("composition_input_packets_lost_total", "Packets of a participant that never came, or too late.", "participant")
	inputKeys     = counter("composition_input_key_frames_requested_total", "Key frames requested of a participant.", "participant")
	inputJitter   = gauge("composition_input_jitter_seconds", "Jitter of a participant's packets (RFC 3550).", "participant")
	inputDelay    = gauge("composition_input_delay_seconds", "From a participant's packets to the time of their picture.", "participant")
	inputState    = gauge("composition_input_state", "1 for the state that a participant's video or audio is in.", "participant", "kind", "state")
	outputState   = gauge("composition_destination_state", "1 for the state that a destination is in.", "destination", "state")
	outputBytes   = counter("composition_destination_bytes_total", "Bytes sent to a destination.", "destination")
	outputDropped = counter("composition_destination_frames_dropped_total", "Frames that a slow destination did not get.", "destination")
	outputQueue   = gauge("composition_destination_queue_frames", "Frames that wait for a destination.", "destination")
	outputRetries = counter("composition_destination_retries_total", "Attempts to reach a destination again.", "destination")
)

// Describe says nothing: what is collected depends on what runs.
func (*compositionMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *compositionMetrics) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	records, err := m.compositions.List(ctx)
	if err != nil {
		m.log.Error("compositions are not in the metrics", "error", err)
		return
	}
	for _, r := range records {
		s, ok := m.compositions.Status(r.ID)
		if !ok || s.Record.State.Ended() {
			continue
		}
		_, stage, _ := strings.Cut(s.Record.StageARN, "/")
		send := sender(func(metric metric, value float64, labels ...string) {
			labels = append([]string{r.ID, stage}, labels...)
			for i := range labels {
				labels[i] = strings.ToValidUTF8(labels[i], "?")
			}
			out <- prometheus.MustNewConstMetric(metric.desc, metric.kind, value, labels...)
		})
		send.supervision(s)
		for _, d := range s.Record.Destinations {
			if st, ok := m.streams.StreamStats(d.ChannelARN); ok && st.Stream.Source == "composition/"+r.ID {
				send.part(d.ID, st.Delay)
			}
		}
		if s.Heartbeat != nil {
			send.heartbeat(s.Heartbeat)
		}
	}
}

// sender adds a value of one composition.
type sender func(m metric, value float64, labels ...string)

func (send sender) supervision(s composition.Status) {
	send(stateOf, 1, string(s.Record.State))
	send(restarts, float64(s.Restarts))
	for _, d := range s.Record.Destinations {
		send(outputState, 1, d.ID, string(d.State))
	}
}

func (send sender) part(destination string, d hls.Delay) {
	if d.Count > 0 {
		send(partLatency, d.P50.Seconds(), destination, "0.5")
		send(partLatency, d.P99.Seconds(), destination, "0.99")
	}
}

func (send sender) heartbeat(b *wire.Heartbeat) {
	send(publishing, float64(b.Publishing))
	send(frames, float64(b.Frames))
	send(lateTicks, float64(b.LateTicks))
	send(missed, float64(b.MissedFrames))
	send(overloaded, truth(b.Overloaded))
	if b.Alert != "" {
		send(alert, 1, b.Alert)
	}
	send(cores, b.CPU)
	send(memory, float64(b.Memory))
	for name, t := range map[string]wire.Timing{
		"decode": b.Decode, "draw": b.Draw, "mix": b.Mix, "encode": b.Encode, "publish": b.Publish,
	} {
		send.timing(step, t, name)
	}
	send.timing(latency, b.Latency)
	for _, in := range b.Participants[:min(len(b.Participants), maxInputs)] {
		send(inputPackets, float64(in.Received), in.ID)
		send(inputLost, float64(in.Lost), in.ID)
		send(inputKeys, float64(in.KeyRequests), in.ID)
		send(inputJitter, in.Jitter/1000, in.ID)
		send(inputDelay, in.Delay/1000, in.ID)
		send(inputState, 1, in.ID, "video", in.Video)
		send(inputState, 1, in.ID, "audio", in.Audio)
	}
	for _, d := range b.Destinations {
		send(outputBytes, float64(d.Bytes), d.ID)
		send(outputDropped, float64(d.Dropped), d.ID)
		send(outputQueue, float64(d.Queue), d.ID)
		send(outputRetries, float64(d.Retries), d.ID)
	}
}

// timing adds milliseconds as seconds; nothing where nothing was measured.
func (send sender) timing(m metric, t wire.Timing, labels ...string) {
	if t.Count > 0 {
		send(m, t.P50/1000, append(labels[:len(labels):len(labels)], "0.5")...)
		send(m, t.P99/1000, append(labels[:len(labels):len(labels)], "0.99")...)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
