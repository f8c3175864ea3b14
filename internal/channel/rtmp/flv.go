package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// Codec ids of FLV tags (Video File Format Specification v10.1, annex E).
const (
	videoH264 = 7
	audioAAC  = 10
	audioEx   = 9

	frameTypeKey     = 1
	frameTypeCommand = 5
)

// maxNALUs bounds the NAL units of one access unit; level 5.2 at one slice per macroblock row needs 138.
const maxNALUs = 512

var errTruncated = errors.New("the message is too short")

// videoDecoder reads the bodies of RTMP video messages. The zero value is ready.
type videoDecoder struct {
	lengthSize [256]byte // by track: bytes of a NAL unit's length, from the last parameters; 0 until known
}

// decode returns nothing for a message that carries nothing to keep.
func (d *videoDecoder) decode(ts time.Duration, body []byte) ([]Unit, error) {
	if len(body) < 1 {
		return nil, errTruncated
	}
	frameType := body[0] >> 4 & 0b111
	if frameType == frameTypeCommand {
		return nil, nil
	}
	key := frameType == frameTypeKey

	if body[0]&0x80 != 0 {
		return d.decodeEnhanced(ts, key, body)
	}

	if codec := body[0] & 0x0F; codec != videoH264 {
		return nil, UnsupportedError{What: videoCodecName(codec)}
	}
	if len(body) < 5 {
		return nil, errTruncated
	}
	switch body[1] {
	case packetSequenceStart:
		return d.params(0, body[5:])
	case packetCodedFrames:
		return d.frame(0, ts, compositionTime(body[2:]), key, body[5:])
	}
	return nil, nil // end of sequence
}

// compositionTime reads the signed 24-bit milliseconds that PTS is after DTS.
func compositionTime(b []byte) time.Duration {
	v := int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8
	return time.Duration(v) * time.Millisecond
}

// decodeEnhanced reads a message of Enhanced RTMP, which may hold several tracks.
func (d *videoDecoder) decodeEnhanced(ts time.Duration, key bool, body []byte) (units []Unit, err error) {
	packet, tags, err := parseEnhanced(body[0]&0x0F, packetVideoMultitrack, body[1:])
	if err != nil {
		return nil, err
	}
	for _, t := range tags {
		if t.fourCC != "avc1" {
			return nil, UnsupportedError{What: fmt.Sprintf("video codec %q", t.fourCC)}
		}
		var more []Unit
		switch packet {
		case packetSequenceStart:
			more, err = d.params(t.track, t.body)
		case packetCodedFrames:
			if len(t.body) < 3 {
				return nil, errTruncated
			}
			more, err = d.frame(t.track, ts, compositionTime(t.body), key, t.body[3:])
		case packetFramesX:
			more, err = d.frame(t.track, ts, 0, key, t.body)
		}
		if err != nil {
			return nil, err
		}
		units = append(units, more...)
	}
	return units, nil
}

func (d *videoDecoder) params(track int, b []byte) ([]Unit, error) {
	p, lengthSize, err := parseAVCC(b)
	if err != nil {
		return nil, fmt.Errorf("read H.264 parameters: %w", err)
	}
	d.lengthSize[track], p.Track = byte(lengthSize), track
	return []Unit{p}, nil
}

func (d *videoDecoder) frame(track int, dts, offset time.Duration, key bool, b []byte) ([]Unit, error) {
	if d.lengthSize[track] == 0 {
		return nil, nil // frames before parameters cannot be decoded by anyone
	}
	nalus, err := splitNALUs(b, int(d.lengthSize[track]))
	if err != nil {
		return nil, fmt.Errorf("read H.264 frame: %w", err)
	}
	if len(nalus) == 0 {
		return nil, nil
	}
	return []Unit{VideoFrame{Track: track, DTS: dts, PTS: dts + offset, Key: key, NALUs: nalus}}, nil
}

// parseAVCC reads an AVCDecoderConfigurationRecord and the size of the lengths that it announces.
func parseAVCC(b []byte) (VideoParams, int, error) {
	if len(b) < 6 {
		return VideoParams{}, 0, errTruncated
	}
	if b[0] != 1 {
		return VideoParams{}, 0, fmt.Errorf("configuration version %d, want 1", b[0])
	}
	lengthSize := int(b[4]&0b11) + 1
	var p VideoParams
	var err error
	if p.SPS, b, err = parameterSets(b[6:], int(b[5]&0b11111), h264.NALUTypeSPS); err != nil {
		return VideoParams{}, 0, err
	}
	if len(b) < 1 {
		return VideoParams{}, 0, errTruncated
	}
	if p.PPS, _, err = parameterSets(b[1:], int(b[0]), h264.NALUTypePPS); err != nil {
		return VideoParams{}, 0, err
	}
	if len(p.SPS) == 0 || len(p.PPS) == 0 {
		return VideoParams{}, 0, errors.New("a parameter set is missing")
	}
	var sps h264.SPS
	if err := sps.Unmarshal(p.SPS[0]); err != nil {
		return VideoParams{}, 0, fmt.Errorf("parse SPS: %w", err)
	}
	return p, lengthSize, nil
}

func parameterSets(b []byte, n int, want h264.NALUType) (sets [][]byte, rest []byte, err error) {
	for range n {
		if len(b) < 2 {
			return nil, nil, errTruncated
		}
		size := int(binary.BigEndian.Uint16(b))
		b = b[2:]
		if size == 0 || len(b) < size {
			return nil, nil, errTruncated
		}
		if got := h264.NALUType(b[0] & 0x1F); got != want {
			return nil, nil, fmt.Errorf("NAL unit of type %v where %v belongs", got, want)
		}
		sets = append(sets, b[:size:size])
		b = b[size:]
	}
	return sets, b, nil
}

// splitNALUs cuts length-prefixed NAL units apart. Empty ones are left out.
func splitNALUs(b []byte, lengthSize int) ([][]byte, error) {
	var nalus [][]byte
	for len(b) > 0 {
		if len(b) < lengthSize {
			return nil, errTruncated
		}
		size := 0
		for _, v := range b[:lengthSize] {
			size = size<<8 | int(v)
		}
		b = b[lengthSize:]
		if size > len(b) {
			return nil, fmt.Errorf("NAL unit of %d bytes in %d bytes", size, len(b))
		}
		if size > 0 {
			if len(nalus) == maxNALUs {
				return nil, fmt.Errorf("more than %d NAL units", maxNALUs)
			}
			nalus = append(nalus, b[:size:size])
		}
		b = b[size:]
	}
	return nalus, nil
}

// decodeAudio reads the body of an RTMP audio message. It returns nil for one that carries nothing to keep.
func decodeAudio(ts time.Duration, body []byte) (Unit, error) {
	if len(body) < 2 {
		if len(body) == 1 && body[0]>>4 == audioAAC {
			return nil, nil
		}
		return nil, errTruncated
	}
	var packet byte
	var rest []byte
	switch codec := body[0] >> 4; codec {
	case audioAAC:
		packet, rest = body[1], body[2:]
	case audioEx:
		var tags []tag
		var err error
		if packet, tags, err = parseEnhanced(body[0]&0x0F, packetAudioMultitrack, body[1:]); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(tags, func(t tag) bool { return t.track == 0 })
		if i < 0 {
			return nil, nil // sound of another track, for recordings elsewhere
		}
		if fourCC := tags[i].fourCC; fourCC != "mp4a" {
			return nil, UnsupportedError{What: fmt.Sprintf("audio codec %q", fourCC), Audio: true}
		}
		rest = tags[i].body
	default:
		return nil, UnsupportedError{What: audioCodecName(codec), Audio: true}
	}
	if len(rest) == 0 {
		return nil, nil
	}
	switch packet {
	case packetSequenceStart:
		var c mpeg4audio.AudioSpecificConfig
		if err := c.Unmarshal(rest); err != nil {
			return nil, fmt.Errorf("read AAC parameters: %w", err)
		}
		if c.SampleRate <= 0 {
			return nil, errors.New("read AAC parameters: no sample rate")
		}
		if c.Type != mpeg4audio.ObjectTypeAACLC {
			return nil, UnsupportedError{What: fmt.Sprintf("AAC object type %d", c.Type), Audio: true}
		}
		if c.FrameLengthFlag {
			return nil, UnsupportedError{What: "AAC with 960 samples a frame", Audio: true}
		}
		return AudioParams{Config: c}, nil
	case packetCodedFrames:
		return AudioFrame{PTS: ts, AU: rest}, nil
	}
	return nil, nil
}

func videoCodecName(id byte) string {
	switch id {
	case 2:
		return "Sorenson H.263 video"
	case 4, 5:
		return "VP6 video"
	case 12:
		return "H.265 video"
	}
	return fmt.Sprintf("video codec %d", id)
}

func audioCodecName(id byte) string {
	switch id {
	case 2, 14:
		return "MP3 audio"
	case 0, 3:
		return "PCM audio"
	case 7, 8:
		return "G.711 audio"
	case 11:
		return "Speex audio"
	}
	return fmt.Sprintf("audio codec %d", id)
}
