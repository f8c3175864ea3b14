package channel

import (
	"time"

	"github.com/footlight-live/footlight/internal/channel/hls"
)

const (
	// meterWindow is the number of seconds that health and bit rates are judged over; health not before they are over.
	meterWindow = 5
	// A stream starves when it brings less than starvingBelow of real time, and is healthy again from
	// healthyFrom on; the space between keeps it from flapping.
	starvingBelow, healthyFrom = 0.8, 0.95
)

// fewFrames and enoughFrames are the same for frames, against a constant rate that the stream had: an encoder that
// cannot keep up, or whose uplink cannot, leaves pictures out. A low bit rate is no sign: a still picture has one.
const fewFrames, enoughFrames = 0.5, 0.75

// received counts what publishers have sent.
type received struct {
	video, audio uint64 // bytes
	frames       uint64 // of video
}

func (r received) plus(o received) received {
	return received{r.video + o.video, r.audio + o.audio, r.frames + o.frames}
}

type reading struct {
	at    time.Time
	media int64 // ticks received
	received
}

// meter measures a stream's ingest. The live channel's goroutine owns it.
type meter struct {
	gone                 received // from publishers that are gone
	videoRate, audioRate int      // bits per second over the window
	readings             []reading
}

// reset begins to measure anew.
func (m *meter) reset(now time.Time, media int64, r received) {
	m.readings = append(m.readings[:0], reading{now, media, r})
}

// measure takes a reading, to be called once a second, and judges the health. Rate is the constant one of the
// frames, or not known.
func (m *meter) measure(now time.Time, media int64, r received, rate rate, before Health) Health {
	m.readings = append(m.readings, reading{now, media, r})
	if n := len(m.readings); n > meterWindow+1 {
		m.readings = m.readings[n-meterWindow-1:]
	}
	first := m.readings[0]
	wall := now.Sub(first.at).Seconds()
	if wall <= 0 {
		return before
	}
	m.videoRate = int(float64(r.video-first.video) * 8 / wall)
	m.audioRate = int(float64(r.audio-first.audio) * 8 / wall)
	if len(m.readings) <= meterWindow {
		return before
	}
	pace := float64(media-first.media) / hls.ClockRate / wall
	frames := 1.0
	if rate.known() {
		frames = float64(r.frames-first.frames) * rate.millis(1) / 1000 / wall
	}
	switch {
	case pace < starvingBelow || frames < fewFrames:
		return Starving
	case pace >= healthyFrom && frames >= enoughFrames:
		return Healthy
	}
	return before
}
