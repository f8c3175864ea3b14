package channel

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// videoInfo describes the pictures, the largest first; measured is their bit rate as received, for encoders that announce
// none. What is announced is about the only picture.
func (f *feed) videoInfo(measured int) []VideoInfo {
	open := f.open()
	var infos []VideoInfo
	for _, p := range open {
		v := p.info()
		v.Encoder = f.meta.Encoder
		if len(open) == 1 {
			v.BitRate = cmp.Or(f.meta.VideoBitRate, measured)
		}
		infos = append(infos, v)
	}
	slices.SortStableFunc(infos, func(a, b VideoInfo) int {
		return cmp.Or(b.Width*b.Height-a.Width*a.Height, a.Track-b.Track)
	})
	return infos
}

func (p *picture) info() VideoInfo {
	v := VideoInfo{
		Track:     p.track,
		Codec:     p.tracks.VideoCodec(),
		FrameRate: math.Round(p.frameRate()*1000) / 1000,
		BitRate:   p.rate,
	}
	v.Width, v.Height = p.tracks.Size()
	var sps h264.SPS
	if sps.Unmarshal(p.tracks.SPS) == nil {
		v.Profile, v.Level = profileName(sps), levelName(sps)
	}
	return v
}

// size is how many pictures there are, and that of the leading one; 0, 0: not known yet.
func (f *feed) size() (pictures, width, height int) {
	if f.running {
		width, height = f.lead.tracks.Size()
	}
	return len(f.pictures), width, height
}

// constantRate is the frame rate that the leading picture keeps, or not known.
func (f *feed) constantRate() rate {
	if f.lead == nil {
		return rate{}
	}
	return f.lead.cadence.constantRate()
}

// audioInfo describes the sound, or is nil where there is none.
func (f *feed) audioInfo(measured int) *AudioInfo {
	if !f.running || f.lead.tracks.Audio == nil {
		return nil
	}
	t := f.lead.tracks
	a := &AudioInfo{
		Codec:      t.AudioCodec(),
		SampleRate: t.Audio.SampleRate,
		Channels:   int(t.Audio.ChannelConfig),
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
