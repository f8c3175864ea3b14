package channel

import (
	"fmt"
	"math"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// videoInfo describes the picture; measured is its bit rate as received, for encoders that announce none.
func (f *feed) videoInfo(measured int) *VideoInfo {
	if f.muxer == nil {
		return nil
	}
	v := &VideoInfo{
		Codec:     f.tracks.VideoCodec(),
		FrameRate: math.Round(f.frameRate()*1000) / 1000,
		BitRate:   f.meta.VideoBitRate,
		Encoder:   f.meta.Encoder,
	}
	if v.BitRate == 0 {
		v.BitRate = measured
	}
	v.Width, v.Height = f.tracks.Size()
	var sps h264.SPS
	if sps.Unmarshal(f.tracks.SPS) == nil {
		v.Profile, v.Level = profileName(sps), levelName(sps)
	}
	return v
}

// audioInfo describes the sound, or is nil where there is none.
func (f *feed) audioInfo(measured int) *AudioInfo {
	if f.muxer == nil || f.tracks.Audio == nil {
		return nil
	}
	a := &AudioInfo{
		Codec:      f.tracks.AudioCodec(),
		SampleRate: f.tracks.Audio.SampleRate,
		Channels:   int(f.tracks.Audio.ChannelConfig),
		BitRate:    f.meta.AudioBitRate,
	}
	if a.Channels == 7 { // ISO/IEC 14496-3 table 1.19
		a.Channels = 8
	}
	if a.BitRate == 0 {
		a.BitRate = measured
	}
	return a
}

// profileName follows H.264 annex A.2.
func profileName(sps h264.SPS) string {
	switch sps.ProfileIdc {
	case 66:
		return "Baseline"
	case 77:
		return "Main"
	case 88:
		return "Extended"
	case 100:
		return "High"
	}
	return fmt.Sprint(sps.ProfileIdc)
}

// levelName follows H.264 annex A.3: level_idc is ten times the level.
func levelName(sps h264.SPS) string {
	if sps.LevelIdc%10 == 0 {
		return fmt.Sprint(sps.LevelIdc / 10)
	}
	return fmt.Sprintf("%d.%d", sps.LevelIdc/10, sps.LevelIdc%10)
}
