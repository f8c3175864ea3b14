package ingest

import (
	"errors"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/footlight-live/footlight/internal/channel/rtmp"
	"github.com/footlight-live/footlight/internal/stage"
)

func fail(code stage.Code, format string, args ...any) *stage.Error {
	return &stage.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// checkVideo judges sequence parameter sets.
func checkVideo(stages *stage.Server, sets [][]byte) *stage.Error {
	for _, set := range sets {
		var sps h264.SPS
		if err := sps.Unmarshal(set); err != nil {
			return fail(stage.InvalidVideoCodec, "the H.264 parameters cannot be read: %v", err)
		}
		switch sps.ProfileIdc {
		case 66, 77, 88, 100:
		default:
			return fail(stage.InvalidVideoCodec, "H.264 profile %d cannot be watched in browsers: send Baseline, Main or High, 8-bit 4:2:0 (ffmpeg: -pix_fmt yuv420p)", sps.ProfileIdc)
		}
		if e := stages.CheckPicture(sps.Width(), sps.Height()); e != nil {
			return e
		}
	}
	return nil
}

// checkAudio judges an AAC configuration.
func checkAudio(p rtmp.AudioParams) *stage.Error {
	c := p.Config
	if c.SampleRate != 44100 && c.SampleRate != 48000 || c.ChannelConfig < 1 || c.ChannelConfig > 2 {
		return fail(stage.InvalidAudioCodec, "AAC of %d Hz and %d channels: a stage takes 44100 or 48000 Hz, mono or stereo", c.SampleRate, c.ChannelConfig)
	}
	return nil
}

// codecError is the publish error of a connection that ended with err; nil when the media were not to blame.
func codecError(err error) *stage.Error {
	unsupported, ok := errors.AsType[rtmp.UnsupportedError](err)
	if !ok {
		return nil
	}
	code := stage.InvalidVideoCodec
	if unsupported.Audio {
		code = stage.InvalidAudioCodec
	}
	return fail(code, "%s", err.Error())
}

// pace tells an encoder that sends faster than real time, such as a file without a brake.
type pace struct {
	began   bool
	at, now time.Duration // of the media, and of their arrival, where the window began
}

const (
	paceWindow = 10 * time.Second
	paceSlack  = 5 * time.Second // what a connection may have held up before
)

// tooFast takes media of time at that arrived at now, in the time of clock. What was late and catches up is not too fast
// however fast it comes: it must have got ahead of its arrival.
func (p *pace) tooFast(at, now time.Duration) bool {
	if !p.began || now-p.now > paceWindow || at < p.at {
		p.began, p.at, p.now = true, at, now
	}
	return at-now > paceSlack && at-p.at > (now-p.now)*3/2+paceSlack
}
