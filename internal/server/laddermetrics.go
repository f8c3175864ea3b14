package server

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/footlight-live/footlight/internal/channel"
)

// ladderMetrics tells of the streams that are transcoded. What is counted begins anew with each publisher, as counters of
// Prometheus may.
type ladderMetrics struct{ streams func() channel.Stats }

func ladderDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("footlight_ladder_"+name, help, append([]string{"channel"}, labels...), nil)
}

var (
	ladderPictures = ladderDesc("pictures_total", "Pictures that came out in all sizes.")
	ladderMissing  = ladderDesc("pictures_missing_total", "Pictures that did not: left out because the machine is too slow, damaged, or lost before a process took them.", "reason")
	ladderRestarts = ladderDesc("restarts_total", "Processes that were replaced.")
	ladderDelay    = ladderDesc("delay_seconds", "From a picture's arrival to its coming out in all sizes, over the newest 600.", "quantile")
)

// Describe says nothing: what is collected depends on what runs.
func (*ladderMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *ladderMetrics) Collect(out chan<- prometheus.Metric) {
	for _, s := range m.streams().Streams {
		l := s.Ladder
		if l == nil {
			continue
		}
		_, id, _ := strings.Cut(s.Stream.ChannelARN, "/")
		send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, kind, value, append([]string{id}, labels...)...)
		}
		send(ladderPictures, prometheus.CounterValue, float64(l.Pictures))
		send(ladderMissing, prometheus.CounterValue, float64(l.LeftOut), "overload")
		send(ladderMissing, prometheus.CounterValue, float64(l.Damaged), "damaged")
		send(ladderMissing, prometheus.CounterValue, float64(l.Lost), "lost")
		send(ladderRestarts, prometheus.CounterValue, float64(l.Restarts))
		send(ladderDelay, prometheus.GaugeValue, l.P50.Seconds(), "0.5")
		send(ladderDelay, prometheus.GaugeValue, l.P99.Seconds(), "0.99")
	}
}
