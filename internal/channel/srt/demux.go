package srt

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"github.com/footlight-live/footlight/internal/channel/unit"
)

const (
	// mostUnread is how many bytes may come without one unit, which bounds what the demuxer gathers.
	mostUnread = 8 << 20
	// clockMask are the 33 bits of timestamps, which are in 1/90000 s.
	clockMask = 1<<33 - 1
	clockRate = 90000

	samplesPerAU = 1024
)

// demux reads MPEG-TS until r ends, and emits its first H.264 and its first AAC track. Damage is skipped, since
// packets do get lost.
func demux(r io.Reader, emit func(unit.Unit) error) error {
	budget := &budgetReader{r: r, left: mostUnread}
	ts := &mpegts.Reader{R: budget}
	if err := ts.Initialize(); err != nil {
		return fmt.Errorf("find the tracks of the MPEG-TS stream: %w", err)
	}
	var failed error
	out := func(u unit.Unit) error {
		budget.left = mostUnread
		failed = emit(u)
		return failed
	}
	video, sound, config, err := choose(ts.Tracks())
	if err != nil {
		return err
	}
	if err := out(unit.Metadata{HasAudio: sound != nil}); err != nil {
		return err
	}
	var clock mpegts.TimeDecoder
	clock.Initialize()
	ts.OnDataH264(video, func(pts, dts int64, nalus [][]byte) error {
		at := clock.Decode(dts)
		return out(unit.VideoFrame{
			DTS: duration(at), PTS: duration(at + after(dts, pts)), Key: h264.IsRandomAccess(nalus), NALUs: nalus,
		})
	})
	if sound != nil {
		if err := out(unit.AudioParams{Config: *config}); err != nil {
			return err
		}
		ts.OnDataMPEG4Audio(sound, func(pts int64, aus [][]byte) error {
			at := clock.Decode(pts)
			for i, au := range aus {
				shift := int64(i) * samplesPerAU * clockRate / int64(config.SampleRate)
				if err := out(unit.AudioFrame{PTS: duration(at + shift), AU: au}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for failed == nil {
		if err := ts.Read(); err != nil {
			return err
		}
	}
	return failed
}

// choose finds the tracks to read.
func choose(tracks []*mpegts.Track) (video, sound *mpegts.Track, config *mpeg4audio.AudioSpecificConfig, err error) {
	var other string
	for _, t := range tracks {
		switch c := t.Codec.(type) {
		case *codecs.H264:
			if video == nil {
				video = t
			}
		case *codecs.MPEG4Audio:
			if sound == nil {
				sound, config = t, &c.Config
			}
		case *codecs.H265:
			other = "H.265 video"
		case *codecs.MPEG1Video, *codecs.MPEG4Video:
			other = "MPEG video"
		case *codecs.MPEG4AudioLATM:
			other = "AAC in LATM"
		case *codecs.MPEG1Audio:
			other = "MPEG audio"
		case *codecs.Opus:
			other = "Opus audio"
		case *codecs.AC3, *codecs.EAC3:
			other = "AC-3 audio"
		}
	}
	switch {
	case other != "":
		return nil, nil, nil, unit.UnsupportedError{What: other}
	case video == nil:
		return nil, nil, nil, errors.New("the MPEG-TS stream has no H.264 video")
	case sound != nil && config.Type != mpeg4audio.ObjectTypeAACLC:
		return nil, nil, nil, unit.UnsupportedError{What: fmt.Sprintf("AAC object type %d", config.Type)}
	case sound != nil && config.SampleRate <= 0:
		return nil, nil, nil, errors.New("the AAC track has no sample rate")
	}
	return video, sound, config, nil
}

// after is how far b lies after a, at most half of the clock's range to either side.
func after(a, b int64) int64 {
	d := (b - a) & clockMask
	if d > clockMask/2 {
		d -= clockMask + 1
	}
	return d
}

func duration(ticks int64) time.Duration {
	return time.Duration(ticks/clockRate)*time.Second + time.Duration(ticks%clockRate)*time.Second/clockRate
}

// budgetReader fails when too much has been read since left was set.
type budgetReader struct {
	r    io.Reader
	left int
}

func (b *budgetReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errors.New("too much data without a frame")
	}
	return n, err
}
