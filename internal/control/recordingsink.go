package control

import (
	"time"

	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/record"
)

// recordingSink is a recording as a channel.Sink. It never fails: what the disk cannot take is the recording's affair.
type recordingSink struct {
	*record.Source
	wall time.Time // at time 0
}

// recordingTape is a recording as a channel.Tape.
type recordingTape struct {
	source *record.Source
	wall   time.Time // at time 0
}

func (t recordingTape) Picture(track int) channel.Sink {
	return recordingSink{t.source.Picture(track), t.wall}
}

func (t recordingTape) Lose(track int) { t.source.Picture(track).Lose() }

// aacSamples is the length of an AAC access unit.
const aacSamples = 1024

func (s recordingSink) SetTracks(t hls.Tracks) error {
	s.Source.SetTracks(record.Tracks{SPS: t.SPS, PPS: t.PPS, AAC: t.Audio})
	return nil
}

func (s recordingSink) WriteVideo(f hls.VideoFrame) error {
	s.Source.WriteVideo(record.VideoFrame{DTS: f.DTS, PTS: f.PTS, Duration: f.Duration, Key: f.Key, NALUs: f.NALUs, Arrived: f.Arrived})
	return nil
}

func (s recordingSink) WriteAudio(f hls.AudioFrame) error {
	s.Source.WriteAudio(record.AudioFrame{DTS: f.DTS, Samples: aacSamples, Data: f.AU, Arrived: time.Now()})
	return nil
}

func (s recordingSink) Break() error {
	s.Source.Break()
	return nil
}

func (s recordingSink) Wall() time.Time { return s.wall }
