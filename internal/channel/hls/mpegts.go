package hls

import (
	"fmt"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/footlight-live/footlight/internal/channel/hls/ts"
)

const (
	videoPID = 0x100
	soundPID = 0x101
	tagPID   = 0x102

	// timeOffset is the PTS of media time 0: nothing before it, the clock above all, is negative.
	timeOffset = ClockRate
	// clockLead is how far the clock is behind the units that follow it: as long as a part, so that sound which came too late
	// for its own is not late for a decoder.
	clockLead = ClockRate / 5
	// clockInterval is the longest time between two clocks that decoders have to bear (ISO/IEC 13818-1 §2.7.2). Sound that
	// shares a PES packet is not longer.
	clockInterval = ClockRate / 10
	// longestADTS is what the 13 bits for the length of an ADTS frame can say.
	longestADTS = 1<<13 - 1
	headADTS    = 7
)

// delimiter is an access unit delimiter before any kind of picture (H.264 §7.3.2.4).
var delimiter = []byte{byte(h264.NALUTypeAccessUnitDelimiter), 0xf0}

// rates are the sample rates that ADTS can say, by index (ISO/IEC 14496-3 table 1.18).
var rates = []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// mpegTS packages as MPEG-TS. Each part begins with the tables and has a clock, and its first picture has the parameter sets
// with it, as has every key frame: a player need not know any other part. video.js and shaka-player make fragmented MP4 of a
// part by itself, and give up on one without parameter sets where they happen to begin with it.
type mpegTS struct {
	writer      ts.Writer
	videoStream ts.Stream
	soundStream ts.Stream
	tagStream   ts.Stream
	program     []*ts.Stream // what the tables tell of
	clock       int64        // the newest one, in media time
	unit        []byte       // room for an access unit
}

func newMPEGTS() *mpegTS {
	return &mpegTS{
		videoStream: ts.Stream{PID: videoPID, Kind: ts.H264},
		soundStream: ts.Stream{PID: soundPID, Kind: ts.ADTS},
		tagStream:   ts.Stream{PID: tagPID, Kind: ts.Metadata},
		clock:       -1,
	}
}

func (*mpegTS) format() format { return format{extension: ".ts", mediaType: "video/mp2t"} }

func (*mpegTS) initialization(t Tracks) ([]byte, error) {
	if a := t.Audio; a != nil && (a.Type != mpeg4audio.ObjectTypeAACLC || !slices.Contains(rates, a.SampleRate) || a.ChannelConfig < 1 || a.ChannelConfig > 7) {
		return nil, fmt.Errorf("MPEG-TS has no room for AAC of object type %d, %d Hz and channel configuration %d; a channel with containerFormat FRAGMENTED_MP4 has", a.Type, a.SampleRate, a.ChannelConfig)
	}
	return nil, nil
}

func (m *mpegTS) part(c content) ([]byte, error) {
	m.setProgram(c.tracks.Audio != nil)
	p := tsPart{mpegTS: m, content: c, data: make([]byte, 0, size(c))}
	p.data = m.writer.AppendTables(p.data)
	for _, t := range c.tags {
		at := t.at + timeOffset
		p.data = m.writer.AppendUnit(p.data, &m.tagStream, ts.Unit{PTS: at, DTS: at, Data: t.data})
	}
	for i, v := range c.video {
		if err := p.appendSound(v.dts); err != nil {
			return nil, err
		}
		p.appendPicture(v, i == 0)
	}
	err := p.appendSound(c.end)
	return p.data, err
}

// setProgram makes the tables, unless they are the same.
func (m *mpegTS) setProgram(sounding bool) {
	streams := []*ts.Stream{&m.videoStream, &m.soundStream, &m.tagStream}
	if !sounding {
		streams = slices.Delete(streams, 1, 2)
	}
	if !slices.Equal(m.program, streams) {
		m.program = streams
		m.writer.SetProgram(streams)
	}
}

// size is about as many bytes as a part will have, rather more.
func size(c content) int {
	n := 4 * ts.PacketSize
	for _, v := range c.video {
		n += ts.PacketSize
		for _, nalu := range v.nalus {
			n += len(nalu) + 4
		}
	}
	for _, a := range c.audio {
		n += len(a.AU) + headADTS + 32
	}
	for _, t := range c.tags {
		n += len(t.data) + ts.PacketSize
	}
	return n + n/32
}

// tsPart is a part in the making.
type tsPart struct {
	*mpegTS
	content // less the sound, and the discontinuity, that are in data
	data    []byte
}

// clockAt returns a clock before a unit that begins at some time. It never goes back: what comes late counts as the part's
// beginning, and gets none where that has one already.
func (p *tsPart) clockAt(at int64) *ts.Clock {
	at = max(at, p.start)
	if at <= p.clock {
		return nil
	}
	c := &ts.Clock{Time: at + timeOffset - clockLead, Break: p.discontinuity}
	p.clock, p.discontinuity = at, false
	return c
}

func (p *tsPart) appendPicture(v videoSample, first bool) {
	b := appendNALU(p.unit[:0], delimiter)
	if v.key || first {
		b = appendNALU(b, p.tracks.SPS)
		b = appendNALU(b, p.tracks.PPS)
	}
	for _, nalu := range v.nalus {
		b = appendNALU(b, nalu)
	}
	p.unit = b
	p.data = p.writer.AppendUnit(p.data, &p.videoStream, ts.Unit{
		PTS: v.pts + timeOffset, DTS: v.dts + timeOffset, Random: v.key, Data: b, Clock: p.clockAt(v.dts),
	})
}

// appendNALU appends a NAL unit behind a start code (H.264 annex B).
func appendNALU(b, nalu []byte) []byte { return append(append(b, 0, 0, 0, 1), nalu...) }

// appendSound appends the sound that begins before a time, that of the next picture or the part's end, several access units to
// a PES packet where they follow one another. It has the clock before it where the next one, which may come an access unit
// later than that time, would be too late.
func (p *tsPart) appendSound(until int64) error {
	if len(p.audio) == 0 {
		return nil
	}
	unit := p.tracks.ticks(samplesPerAU)
	for len(p.audio) > 0 && p.tracks.ticks(p.audio[0].DTS) < until {
		first := p.audio[0].DTS
		b := p.unit[:0]
		n := 0
		for n == 0 || n < len(p.audio) && p.audio[n].DTS == first+int64(n)*samplesPerAU && int64(n+1)*unit <= clockInterval {
			var err error
			if b, err = appendADTS(b, p.tracks.Audio, p.audio[n].AU); err != nil {
				return err
			}
			n++
		}
		p.unit, p.audio = b, p.audio[n:]
		at := p.tracks.ticks(first)
		if p.clock < p.start || until+unit-p.clock > clockInterval {
			if c := p.clockAt(at); c != nil {
				p.data = p.writer.AppendClock(p.data, *c)
			}
		}
		at += timeOffset
		p.data = p.writer.AppendUnit(p.data, &p.soundStream, ts.Unit{PTS: at, DTS: at, Data: b})
	}
	return nil
}

// appendADTS appends an access unit behind a head of its own (ISO/IEC 13818-7 §6.2).
func appendADTS(b []byte, config *mpeg4audio.AudioSpecificConfig, au []byte) ([]byte, error) {
	length := headADTS + len(au)
	if length > longestADTS {
		return nil, fmt.Errorf("an AAC access unit of %d bytes is too long for MPEG-TS", len(au))
	}
	rate := slices.Index(rates, config.SampleRate)
	b = append(b, 0xff, 0xf1, // MPEG-4, no checksum
		byte(config.Type-1)<<6|byte(rate)<<2|config.ChannelConfig>>2,
		config.ChannelConfig<<6|byte(length>>11), byte(length>>3), byte(length<<5)|0x1f, 0xfc) // variable bit rate, one block
	return append(b, au...), nil
}
