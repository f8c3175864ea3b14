package rtmp

import (
	"fmt"

	"github.com/bluenviron/gortmplib/pkg/amf0"
)

// Packet types of Enhanced RTMP v2 ("ExVideoTagHeader", "ExAudioTagHeader").
const (
	packetSequenceStart   = 0
	packetCodedFrames     = 1
	packetFramesX         = 3
	packetAudioMultitrack = 5
	packetVideoMultitrack = 6
	packetModEx           = 7
)

// Kinds of multitrack messages (AvMultitrackType).
const (
	oneTrack             = 0
	manyTracks           = 1
	manyTracksManyCodecs = 2
)

// What is answered to connect: flags of FourCcInfoMask and CapsExMask.
const (
	canForward     = 0x04
	capsMultitrack = 0x02
	capsModEx      = 0x04
)

// connectAnswer says that a connection has succeeded, and what there is of Enhanced RTMP.
func connectAnswer() amf0.Object {
	return amf0.Object{
		{Key: "level", Value: "status"},
		{Key: "code", Value: "NetConnection.Connect.Success"},
		{Key: "description", Value: "Connection succeeded."},
		{Key: "objectEncoding", Value: float64(0)},
		{Key: "fourCcList", Value: amf0.StrictArray{"avc1", "mp4a"}},
		{Key: "videoFourCcInfoMap", Value: amf0.Object{{Key: "avc1", Value: float64(canForward)}}},
		{Key: "audioFourCcInfoMap", Value: amf0.Object{{Key: "mp4a", Value: float64(canForward)}}},
		{Key: "capsEx", Value: float64(capsMultitrack | capsModEx)},
	}
}

// maxTags bounds the tracks of one message.
const maxTags = 16

// tag is what an enhanced message holds of one track.
type tag struct {
	fourCC string
	track  int // 0 where there is no multitrack
	body   []byte
}

// parseEnhanced reads an enhanced message from behind its first byte, of which packet is the packet type. Multitrack is
// the packet type that announces several tracks. It returns the packet type of what is in the tags.
func parseEnhanced(packet, multitrack byte, b []byte) (byte, []tag, error) {
	for packet == packetModEx { // what it modifies is a time in nanoseconds, or unknown
		var err error
		if packet, b, err = skipModEx(b); err != nil {
			return 0, nil, err
		}
	}
	if packet != multitrack {
		if len(b) < 4 {
			return 0, nil, errTruncated
		}
		return packet, []tag{{fourCC: string(b[:4]), body: b[4:]}}, nil
	}
	if len(b) < 1 {
		return 0, nil, errTruncated
	}
	kind := b[0] >> 4
	packet, b = b[0]&0x0F, b[1:]
	if kind > manyTracksManyCodecs || packet == multitrack || packet == packetModEx {
		return 0, nil, fmt.Errorf("multitrack message of kind %d with packets of type %d", kind, packet)
	}
	tags, err := parseTags(kind, b)
	return packet, tags, err
}

// skipModEx skips an extension and returns the packet type that follows.
func skipModEx(b []byte) (packet byte, rest []byte, err error) {
	if len(b) < 1 {
		return 0, nil, errTruncated
	}
	size := int(b[0]) + 1
	b = b[1:]
	if size == 256 {
		if len(b) < 2 {
			return 0, nil, errTruncated
		}
		size = int(b[0])<<8 | int(b[1]) + 1
		b = b[2:]
	}
	if len(b) < size+1 {
		return 0, nil, errTruncated
	}
	return b[size] & 0x0F, b[size+1:], nil
}

// parseTags reads the tracks of a multitrack message.
func parseTags(kind byte, b []byte) ([]tag, error) {
	fourCC := ""
	take := func() bool {
		if len(b) < 4 {
			return false
		}
		fourCC, b = string(b[:4]), b[4:]
		return true
	}
	if kind != manyTracksManyCodecs && !take() {
		return nil, errTruncated
	}
	var tags []tag
	for first := true; first || len(b) > 0; first = false {
		if len(tags) == maxTags {
			return nil, fmt.Errorf("more than %d tracks in a message", maxTags)
		}
		if kind == manyTracksManyCodecs && !take() {
			return nil, errTruncated
		}
		if len(b) < 1 {
			return nil, errTruncated
		}
		t := tag{fourCC: fourCC, track: int(b[0])}
		b = b[1:]
		size := len(b)
		if kind != oneTrack {
			if len(b) < 3 {
				return nil, errTruncated
			}
			size = int(b[0])<<16 | int(b[1])<<8 | int(b[2])
			b = b[3:]
		}
		if size > len(b) {
			return nil, errTruncated
		}
		t.body, b = b[:size:size], b[size:]
		tags = append(tags, t)
	}
	return tags, nil
}
