package ladder

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/footlight-live/footlight/internal/transcode"
	"github.com/footlight-live/footlight/internal/unit"
)

// The kinds of messages of "footlight-composer ladder". At is the time at which a picture is shown.
const (
	// To the worker: an access unit in Annex B form, in decoding order.
	Key   transcode.Kind = 'k' // of a key frame, with its parameter sets
	Frame transcode.Kind = 'f' // of any other
	Again transcode.Kind = 'a' // of either, that was coded before: it is decoded only, for those that follow

	// From the worker, an answer for each unit of the first two kinds.
	Tracks   transcode.Kind = 't' // the parameter sets of all rungs, for the pictures that follow; in front of an answer
	Pictures transcode.Kind = 'p' // one picture in those rungs that have it
	Nothing  transcode.Kind = 'n' // no picture for this unit; Data[0] says why
)

// Reason says why a unit gave no picture.
type Reason byte

// The reasons.
const (
	Delayed Reason = iota // it comes later: the decoder has to put pictures in order, or the rate is not known yet
	Damaged               // it cannot be decoded, or is of no use without one that was lost
	LeftOut               // there was no time for it
)

const (
	// MaxUnit is the most bytes of an access unit: far more than at the bit rates that a channel takes.
	MaxUnit = 4 << 20
	// maxAnswer is the most bytes of a picture in all rungs.
	maxAnswer = 8 << 20
	// maxTracks bounds the rungs of an answer.
	maxTracks = 8
)

// Coded is a picture of one rung.
type Coded struct {
	Track int
	AVCC  []byte // with lengths of four bytes
}

// AppendPictures appends the data of Pictures.
func AppendPictures(b []byte, key bool, coded []Coded) []byte {
	flag := byte(0)
	if key {
		flag = 1
	}
	b = append(b, flag)
	for _, c := range coded {
		b = append(b, byte(c.Track))
		b = binary.BigEndian.AppendUint32(b, uint32(len(c.AVCC)))
		b = append(b, c.AVCC...)
	}
	return b
}

// parsePictures reads the data of Pictures.
func parsePictures(m transcode.Message) ([]unit.VideoFrame, error) {
	if len(m.Data) < 1 || m.Data[0] > 1 {
		return nil, errors.New("pictures without a flag")
	}
	key, b := m.Data[0] == 1, m.Data[1:]
	var frames []unit.VideoFrame
	for len(b) > 0 {
		track := int(b[0])
		if track >= maxTracks || len(frames) > 0 && track <= frames[len(frames)-1].Track {
			return nil, fmt.Errorf("a picture of track %d", track)
		}
		data, rest, err := cut(b[1:])
		if err != nil {
			return nil, err
		}
		f := unit.VideoFrame{Track: track, DTS: m.At, PTS: m.At, Key: key}
		if f.NALUs, err = split(data); err != nil {
			return nil, err
		}
		frames, b = append(frames, f), rest
	}
	if len(frames) == 0 {
		return nil, errors.New("pictures without a picture")
	}
	return frames, nil
}

// AppendTrack appends the parameter sets of one more rung to the data of Tracks.
func AppendTrack(b, sps, pps []byte) []byte {
	for _, set := range [][]byte{sps, pps} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(set)))
		b = append(b, set...)
	}
	return b
}

// parseTracks reads the data of Tracks.
func parseTracks(b []byte) ([]unit.VideoParams, error) {
	sets, err := split(b)
	if err != nil {
		return nil, err
	}
	if len(sets)%2 != 0 || len(sets) > 2*maxTracks {
		return nil, fmt.Errorf("%d parameter sets", len(sets))
	}
	var tracks []unit.VideoParams
	for i := 0; i < len(sets); i += 2 {
		tracks = append(tracks, unit.VideoParams{Track: i / 2, SPS: sets[i : i+1], PPS: sets[i+1 : i+2]})
	}
	return tracks, nil
}

// split reads all of b as pieces that follow their lengths, at least one; none is empty.
func split(b []byte) (pieces [][]byte, err error) {
	for len(b) > 0 || pieces == nil {
		var piece []byte
		if piece, b, err = cut(b); err != nil {
			return nil, err
		}
		pieces = append(pieces, piece)
	}
	return pieces, nil
}

// cut takes the piece that follows its length off b.
func cut(b []byte) (piece, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errors.New("a length is cut off")
	}
	n := binary.BigEndian.Uint32(b)
	if b = b[4:]; n == 0 || uint64(n) > uint64(len(b)) {
		return nil, nil, fmt.Errorf("a length of %d before %d bytes", n, len(b))
	}
	return b[:n:n], b[n:], nil
}
