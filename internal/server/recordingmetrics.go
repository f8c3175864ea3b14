package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/footlight-live/footlight/internal/record"
)

// recordingMetrics turns what recordings are at into metrics, until the object store has all of them.
type recordingMetrics struct{ recorder *record.Recorder }

func recordingDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("footlight_"+name, help, labels, nil)
}

var (
	spoolBytes        = recordingDesc("recording_spool_bytes", "What the spool of recordings takes.")
	spoolLimit        = recordingDesc("recording_spool_limit_bytes", "What it may take.")
	spoolPressure     = recordingDesc("recording_spool_pressure", "0 while there is room in the spool, 1 when it is nearly full, 2 when it is full and recordings pause.")
	recordingState    = recordingDesc("recording_state", "1 for the state that a recording is in.", "recording", "kind", "state")
	recordingDuration = recordingDesc("recording_duration_seconds", "Media that is recorded, in whole segments.", "recording", "kind")
	recordingWaiting  = recordingDesc("recording_files_waiting", "Files that wait for the object store.", "recording", "kind")
	recordingStored   = recordingDesc("recording_stored_bytes_total", "Bytes that the object store took.", "recording", "kind")
	recordingRetries  = recordingDesc("recording_store_retries_total", "Attempts that the object store did not take.", "recording", "kind")
	recordingAway     = recordingDesc("recording_store_away_seconds", "For how long the object store has taken nothing; 0 while it does.", "recording", "kind")
	recordingDropped  = recordingDesc("recording_frames_dropped_total", "Frames that were lost because the disk had no room or was too slow.", "recording", "kind")
)

// Describe says nothing: what is collected depends on what runs.
func (*recordingMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *recordingMetrics) Collect(out chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	usage := m.recorder.Usage()
	send(spoolBytes, prometheus.GaugeValue, float64(usage.Bytes))
	send(spoolLimit, prometheus.GaugeValue, float64(usage.Limit))
	send(spoolPressure, prometheus.GaugeValue, float64(usage.Pressure))
	for _, r := range m.recorder.All() {
		s := r.Status()
		id, kind := s.Spec.ID, string(s.Spec.Kind)
		send(recordingState, prometheus.GaugeValue, 1, id, kind, string(s.State))
		send(recordingDuration, prometheus.GaugeValue, s.Duration.Seconds(), id, kind)
		send(recordingWaiting, prometheus.GaugeValue, float64(s.Waiting), id, kind)
		send(recordingStored, prometheus.CounterValue, float64(s.Bytes), id, kind)
		send(recordingRetries, prometheus.CounterValue, float64(s.Retries), id, kind)
		send(recordingDropped, prometheus.CounterValue, float64(s.Dropped), id, kind)
		away := 0.0
		if !s.AwaySince.IsZero() {
			away = time.Since(s.AwaySince).Seconds()
		}
		send(recordingAway, prometheus.GaugeValue, away, id, kind)
	}
}
