package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/audio"
)

// packet is one access unit or one Opus packet and its time.
type packet struct {
	at   time.Duration
	data []byte
}

// participant plays one input: what arrives from the network in the composer.
type participant struct {
	video, audio []packet // not yet played
	decoder      *av.H264Decoder
	opus         *av.OpusDecoder
	picture      *av.Picture // the newest
	receiver     audio.Receiver
	timeline     audio.Timeline
	seq          uint16
}

func openParticipant(path string) (*participant, error) {
	p := &participant{}
	if err := p.read(path); err != nil {
		return nil, err
	}
	var err error
	if p.decoder, err = av.NewH264Decoder(); err != nil {
		return nil, err
	}
	if p.opus, err = av.NewOpusDecoder(); err != nil {
		p.decoder.Close()
		return nil, err
	}
	p.receiver = audio.Receiver{Decoder: p.opus, Timeline: &p.timeline, Due: samples}
	return p, nil
}

func (p *participant) close() {
	p.picture.Release()
	p.decoder.Close()
	p.opus.Close()
}

// read loads the file's packets.
func (p *participant) read(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var file pmp4.Presentation
	if err := file.Unmarshal(bytes.NewReader(content)); err != nil {
		return err
	}
	for _, t := range file.Tracks {
		var dts int64
		for _, s := range t.Samples {
			data, err := s.GetPayload()
			if err != nil {
				return err
			}
			at := time.Duration(dts) * time.Second / time.Duration(t.TimeScale)
			dts += int64(s.Duration)
			switch codec := t.Codec.(type) {
			case *codecs.H264:
				if data, err = annexB(data, codec, !s.IsNonSyncSample); err != nil {
					return err
				}
				p.video = append(p.video, packet{at, data})
			case *codecs.Opus:
				p.audio = append(p.audio, packet{at, data})
			default:
				return fmt.Errorf("unexpected codec %T", codec)
			}
		}
	}
	return nil
}

// annexB puts a sample in the form that it has when it comes from RTP.
func annexB(sample []byte, codec *codecs.H264, key bool) ([]byte, error) {
	var units h264.AVCC
	if err := units.Unmarshal(sample); err != nil {
		return nil, err
	}
	if key {
		units = append([][]byte{codec.SPS, codec.PPS}, units...)
	}
	return h264.AnnexB(units).Marshal()
}

// decodeUntil decodes all pictures up to now and keeps the newest.
func (p *participant) decodeUntil(now time.Duration) error {
	for len(p.video) > 0 && p.video[0].at <= now {
		pic, err := p.decoder.Decode(p.video[0].data, int64(p.video[0].at))
		if err != nil {
			return err
		}
		if pic != nil {
			p.picture.Release()
			p.picture = pic
		}
		p.video = p.video[1:]
	}
	return nil
}

// early is how long before it is due sound is there, as it is in a composer, which waits for late packets for longer. One
// that is there just in time would have the receiver take it for missing, and make up what comes instead.
const early = 40 * time.Millisecond

// hearUntil decodes all sound that is there by now.
func (p *participant) hearUntil(now time.Duration) {
	for len(p.audio) > 0 && p.audio[0].at <= now+early {
		p.receiver.Push(p.seq, int64(p.audio[0].at*audio.Rate/time.Second), p.audio[0].data)
		p.seq++
		p.audio = p.audio[1:]
	}
	p.receiver.Run(now)
}
