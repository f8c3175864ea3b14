package channel

import (
	"time"

	"github.com/footlight-live/footlight/internal/channel/hls"
)

const (
	// meterWindow is the number of seconds that health and bit rates are judged over.
	meterWindow = 5
	// A stream starves when it brings less than starvingBelow of real time, and is healthy again from
	// healthyFrom on; the space between keeps it from flapping.
	starvingBelow, healthyFrom = 0.8, 0.95
)

type reading struct {
	at           time.Time
	media        int64  // ticks received
	video, audio uint64 // bytes received
}

// meter measures a stream's ingest. The live channel's goroutine owns it.
type meter struct {
	video, audio         uint64 // bytes of publishers that are gone
	videoRate, audioRate int    // bits per second over the window
	readings             []reading
}

// reset begins to measure anew.
func (m *meter) reset(now time.Time, media int64) {
	m.readings = append(m.readings[:0], reading{at: now, media: media, video: m.video, audio: m.audio})
}

// measure takes a reading, to be called once a second, and judges the health.
func (m *meter) measure(now time.Time, media int64, video, audio uint64, before Health) Health {
	m.readings = append(m.readings, reading{now, media, video, audio})
	if n := len(m.readings); n > meterWindow+1 {
		m.readings = m.readings[n-meterWindow-1:]
	}
	first := m.readings[0]
	wall := now.Sub(first.at).Seconds()
	if wall <= 0 {
		return before
	}
	m.videoRate = int(float64(video-first.video) * 8 / wall)
	m.audioRate = int(float64(audio-first.audio) * 8 / wall)
	if len(m.readings) <= meterWindow/2 {
		return before
	}
	switch pace := float64(media-first.media) / hls.ClockRate / wall; {
	case pace < starvingBelow:
		return Starving
	case pace >= healthyFrom:
		return Healthy
	}
	return before
}
