package srt

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"

	"github.com/footlight-live/footlight/internal/unit"
)

const (
	clockRate    = 90000     // of timestamps, per second
	clockMask    = 1<<33 - 1 // their bits
	samplesPerAU = 1024
)

// Stream types (ISO/IEC 13818-1 table 2-34).
const (
	typeADTS = 0x0f
	typeH264 = 0x1b
)

// otherVideo and otherSound are stream types that are refused by name.
var (
	otherVideo = map[byte]string{0x01: "MPEG-1 video", 0x02: "MPEG-2 video", 0x10: "MPEG-4 video", 0x24: "H.265 video"}
	otherSound = map[byte]string{0x03: "MPEG audio", 0x04: "MPEG audio", 0x11: "AAC in LATM", 0x81: "AC-3 audio", 0x87: "AC-3 audio"}
)

// demuxer turns MPEG-TS into units. Damage is skipped, since packets do get lost.
type demuxer struct {
	emit func(unit.Unit) error

	tables, programs gatherer
	program          uint16 // PID of the program's map
	hasProgram       bool

	video, sound         gatherer
	videoPID, soundPID   uint16 // 0: none
	config               mpeg4audio.AudioSpecificConfig
	clock                mpegts.TimeDecoder
	knowsTracks, started bool
}

// demux reads until r ends, and emits the first H.264 and the first AAC stream of the first program.
func demux(r io.Reader, emit func(unit.Unit) error) error {
	packets := &packetReader{r: r}
	d := &demuxer{emit: emit}
	d.clock.Initialize()
	for {
		b, err := packets.next()
		if err != nil {
			return err
		}
		p, ok := parsePacket(b)
		if !ok {
			continue
		}
		if err := d.take(p); err != nil {
			return err
		}
	}
}

func (d *demuxer) take(p packet) error {
	switch {
	case p.pid == 0:
		if body := d.tables.section(p); body != nil {
			if pid, ok := firstProgram(body); ok {
				d.program, d.hasProgram = pid, true
			}
		}
	case d.hasProgram && p.pid == d.program:
		if body := d.programs.section(p); body != nil {
			return d.choose(programMap(body))
		}
	case d.videoPID != 0 && p.pid == d.videoPID:
		return each(&d.video, p, d.frame)
	case d.soundPID != 0 && p.pid == d.soundPID:
		return each(&d.sound, p, d.accessUnits)
	}
	return nil
}

// each hands on what is complete with a packet.
func each(g *gatherer, p packet, f func(pts, dts int64, payload []byte) error) error {
	done, err := g.pes(p)
	if err != nil {
		return err
	}
	for _, b := range done {
		pts, dts, payload, err := parsePES(b)
		if err != nil {
			continue
		}
		if err := f(pts, dts, payload); err != nil {
			return err
		}
	}
	return nil
}

// choose finds the streams to read. The map comes again and again.
func (d *demuxer) choose(list []elementary) error {
	var video, sound uint16
	var noVideo, noSound string
	for _, e := range list {
		switch {
		case e.kind == typeH264 && video == 0:
			video = e.pid
		case e.kind == typeADTS && sound == 0:
			sound = e.pid
		case otherVideo[e.kind] != "":
			noVideo = otherVideo[e.kind]
		case otherSound[e.kind] != "":
			noSound = otherSound[e.kind]
		}
	}
	switch {
	case video == 0 && noVideo != "":
		return unit.UnsupportedError{What: noVideo}
	case video == 0:
		return errors.New("the MPEG-TS stream has no H.264 video")
	case sound == 0 && noSound != "":
		return unit.UnsupportedError{What: noSound, Audio: true}
	case d.knowsTracks && video == d.videoPID && sound == d.soundPID:
		return nil
	}
	d.video, d.sound = gatherer{}, gatherer{}
	d.videoPID, d.soundPID, d.knowsTracks = video, sound, true
	return d.emit(unit.Metadata{HasAudio: sound != 0})
}

// frame takes a PES packet of video, which holds one access unit.
func (d *demuxer) frame(pts, dts int64, payload []byte) error {
	var nalus h264.AnnexB
	if nalus.Unmarshal(payload) != nil {
		return nil
	}
	at := d.clock.Decode(dts)
	return d.emit(unit.VideoFrame{
		DTS: duration(at), PTS: duration(at + after(dts, pts)), Key: h264.IsRandomAccess(nalus), NALUs: nalus,
	})
}

// accessUnits takes a PES packet of sound, which holds several of them.
func (d *demuxer) accessUnits(pts, _ int64, payload []byte) error {
	var adts mpeg4audio.ADTSPackets
	if adts.Unmarshal(payload) != nil {
		return nil
	}
	at := d.clock.Decode(pts)
	for i, a := range adts {
		config := mpeg4audio.AudioSpecificConfig{Type: a.Type, SampleRate: a.SampleRate, ChannelConfig: a.ChannelConfig}
		if config.Type != mpeg4audio.ObjectTypeAACLC {
			return unit.UnsupportedError{What: fmt.Sprintf("AAC object type %d", config.Type), Audio: true}
		}
		if !d.started || config != d.config {
			d.started, d.config = true, config
			if err := d.emit(unit.AudioParams{Config: config}); err != nil {
				return err
			}
		}
		shift := int64(i) * samplesPerAU * clockRate / int64(config.SampleRate)
		if err := d.emit(unit.AudioFrame{PTS: duration(at + shift), AU: a.AU}); err != nil {
			return err
		}
	}
	return nil
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
