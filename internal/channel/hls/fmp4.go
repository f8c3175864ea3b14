package hls

import (
	"encoding/binary"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

const (
	videoTrackID = 1
	audioTrackID = 2

	// id3Scheme says that an emsg box holds an ID3 tag ("Carriage of ID3 Timed Metadata in CMAF", AOM, §2).
	id3Scheme = "https://aomedia.org/emsg/ID3"
)

// fragmentedMP4 packages as fragmented MP4 (ISO/IEC 14496-12): a fragment for each part, its tags in front.
type fragmentedMP4 struct {
	nextEvent uint32
}

func (*fragmentedMP4) format() format { return format{extension: ".m4s", mediaType: "video/mp4"} }

func (*fragmentedMP4) initialization(t Tracks) ([]byte, error) {
	init := fmp4.Init{Tracks: []*fmp4.InitTrack{{
		ID: videoTrackID, TimeScale: ClockRate, Codec: &codecs.H264{SPS: t.SPS, PPS: t.PPS},
	}}}
	if t.Audio != nil {
		init.Tracks = append(init.Tracks, &fmp4.InitTrack{
			ID: audioTrackID, TimeScale: uint32(t.Audio.SampleRate), Codec: &codecs.MPEG4Audio{Config: *t.Audio},
		})
	}
	var buf seekablebuffer.Buffer
	if err := init.Marshal(&buf); err != nil {
		return nil, fmt.Errorf("render initialisation section: %w", err)
	}
	return buf.Bytes(), nil
}

func (f *fragmentedMP4) part(c content) ([]byte, error) {
	p := fmp4.Part{SequenceNumber: uint32(c.number)}
	if len(c.video) > 0 {
		track := &fmp4.PartTrack{ID: videoTrackID, BaseTime: uint64(c.video[0].dts)}
		for i, s := range c.video {
			payload, err := h264.AVCC(s.nalus).Marshal()
			if err != nil {
				return nil, fmt.Errorf("package video frame: %w", err)
			}
			next := c.end
			if i+1 < len(c.video) {
				next = c.video[i+1].dts
			}
			track.Samples = append(track.Samples, &fmp4.Sample{
				Duration: uint32(max(1, next-s.dts)), PTSOffset: int32(s.pts - s.dts),
				IsNonSyncSample: !s.key, Payload: payload,
			})
		}
		p.Tracks = append(p.Tracks, track)
	}
	if len(c.audio) > 0 {
		track := &fmp4.PartTrack{ID: audioTrackID, BaseTime: uint64(c.audio[0].DTS)}
		for i, a := range c.audio {
			length := int64(samplesPerAU)
			if i+1 < len(c.audio) {
				length = max(1, c.audio[i+1].DTS-a.DTS)
			}
			track.Samples = append(track.Samples, &fmp4.Sample{Duration: uint32(length), Payload: a.AU})
		}
		p.Tracks = append(p.Tracks, track)
	}
	var buf seekablebuffer.Buffer
	if err := p.Marshal(&buf); err != nil {
		return nil, fmt.Errorf("render part: %w", err)
	}
	var events []byte
	for _, t := range c.tags {
		events = appendEvent(events, f.nextEvent, t.at, t.data)
		f.nextEvent++
	}
	return append(events, buf.Bytes()...), nil
}

// appendEvent appends an emsg box of version 1 (ISO/IEC 23009-1 §5.10.3.3), whose time is on the tracks' timeline.
// Its duration is unknown: the tag holds until the next one.
func appendEvent(b []byte, id uint32, at int64, tag []byte) []byte {
	size := 8 + 4 + 4 + 8 + 4 + 4 + len(id3Scheme) + 1 + 1 + len(tag)
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, "emsg"...)
	b = binary.BigEndian.AppendUint32(b, 1<<24) // version 1, no flags
	b = binary.BigEndian.AppendUint32(b, ClockRate)
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, 0xffffffff)
	b = binary.BigEndian.AppendUint32(b, id)
	b = append(b, id3Scheme+"\x00"+"\x00"...) // scheme and an empty value
	return append(b, tag...)
}
