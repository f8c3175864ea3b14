package record

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

// errMP4 says that no MP4 can be made of what there is; trying again is of no use.
var errMP4 = errors.New("no MP4 can be made of this recording")

// Bounds of what is counted with, so that no product overflows: ticks per second, and ticks.
const (
	maxMP4Rate = 1 << 20
	maxMP4Time = 1 << 40
)

// mp4Index finds the samples of segments, and says it in a moov box. Times are media time; offsets are those in the
// segments one after another. It takes about 1 MiB per hour of media: four bytes for the size of each sample, and
// little for all that repeats.
type mp4Index struct {
	tracks []*mp4Track // in the order of their ids
	size   int64       // of all segments so far
}

type mp4Track struct {
	id     uint32
	header mp4Header
	scale  int64 // ticks per second

	description []byte // sample entry: avc1, mp4a or Opus

	start, end int64 // of all samples
	last       int64 // decoding time of the newest sample
	sizes      []uint32
	keys       []uint32 // numbers of key frames, from 1
	lengths    []mp4Run // of samples, but the newest
	offsets    []mp4Run // from decoding to showing
	chunks     []uint64
	chunkRuns  []mp4ChunkRun
}

// mp4Header is what a track has beside its samples: boxes as the initialisation section has them.
type mp4Header struct {
	tkhd  []byte // from the layer on: volume, matrix, size
	media []byte // hdlr
	info  []byte // vmhd or smhd, and dinf
}

// mp4Run is a value that repeats.
type mp4Run struct{ count, value uint32 }

// mp4ChunkRun says from which chunk on, from 1, chunks have so many samples.
type mp4ChunkRun struct{ first, samples uint32 }

func appendRun(runs []mp4Run, value uint32) []mp4Run {
	if n := len(runs); n > 0 && runs[n-1].value == value {
		runs[n-1].count++
		return runs
	}
	return append(runs, mp4Run{1, value})
}

// setInit takes the initialisation section of the segments that follow.
func (x *mp4Index) setInit(data []byte) error {
	moov, err := childBox(data, "moov")
	if err != nil {
		return err
	}
	return eachBox(moov, func(kind string, trak, _ []byte) error {
		if kind != "trak" {
			return nil
		}
		return x.setTrack(trak)
	})
}

func (x *mp4Index) setTrack(trak []byte) error {
	tkhd, err := childBox(trak, "tkhd")
	if err != nil {
		return err
	}
	mdhd, err := childBox(trak, "mdia", "mdhd")
	if err != nil {
		return err
	}
	stsd, err := childBox(trak, "mdia", "minf", "stbl", "stsd")
	if err != nil {
		return err
	}
	if len(tkhd) != 84 || tkhd[0] != 0 || len(mdhd) != 24 || mdhd[0] != 0 || len(stsd) <= 8 {
		return fmt.Errorf("%w: an initialisation section of another kind", errMP4)
	}
	id, rate := binary.BigEndian.Uint32(tkhd[12:]), int64(binary.BigEndian.Uint32(mdhd[12:]))
	if rate == 0 || rate > maxMP4Rate {
		return fmt.Errorf("%w: a clock of %d ticks per second", errMP4, rate)
	}
	if t := x.track(id); t != nil {
		if t.scale != rate || !bytes.Equal(t.description, stsd[8:]) {
			return fmt.Errorf("%w: its picture or sound changes to another kind", errMP4)
		}
		return nil
	}
	t := &mp4Track{id: id, scale: rate, header: mp4Header{tkhd: bytes.Clone(tkhd[24:])}, description: bytes.Clone(stsd[8:])}
	err = eachBox(trak, func(kind string, mdia, _ []byte) error {
		if kind != "mdia" {
			return nil
		}
		return t.header.read(mdia)
	})
	if err != nil {
		return err
	}
	x.tracks = append(x.tracks, t)
	slices.SortFunc(x.tracks, func(a, b *mp4Track) int { return cmp.Compare(a.id, b.id) })
	return nil
}

func (h *mp4Header) read(mdia []byte) error {
	return eachBox(mdia, func(kind string, content, whole []byte) error {
		switch kind {
		case "hdlr":
			h.media = bytes.Clone(whole)
		case "minf":
			return eachBox(content, func(kind string, _, whole []byte) error {
				if kind == "vmhd" || kind == "smhd" || kind == "dinf" {
					h.info = append(h.info, whole...)
				}
				return nil
			})
		}
		return nil
	})
}

func (x *mp4Index) track(id uint32) *mp4Track {
	i := slices.IndexFunc(x.tracks, func(t *mp4Track) bool { return t.id == id })
	if i < 0 {
		return nil
	}
	return x.tracks[i]
}

// addSegment reads the next segment to its end and returns its size.
func (x *mp4Index) addSegment(r io.Reader) (int64, error) {
	began := x.size
	for {
		moof, err := readBox(r, "moof")
		if err != nil {
			return x.size - began, err
		}
		if moof == nil {
			return x.size - began, nil
		}
		mdat, err := readBox(r, "mdat")
		if err != nil {
			return x.size - began, err
		}
		if mdat == nil {
			return x.size - began, fmt.Errorf("%w: a part is not whole", errMP4)
		}
		part := append(moof, mdat...)
		if err := x.addPart(part, len(moof)+8); err != nil {
			return x.size - began, err
		}
		x.size += int64(len(part))
	}
}

// addPart takes a moof with its mdat, whose content begins at an offset.
func (x *mp4Index) addPart(part []byte, at int) error {
	parts, err := decodeParts(part)
	if err != nil || len(parts) != 1 {
		return fmt.Errorf("%w: a part cannot be read: %w", errMP4, err)
	}
	for _, from := range parts[0].Tracks {
		t := x.track(uint32(from.ID))
		if t == nil || from.BaseTime > maxMP4Time || len(from.Samples) == 0 {
			return fmt.Errorf("%w: a part has samples of no track, or none", errMP4)
		}
		t.addChunk(uint64(x.size)+uint64(at), len(from.Samples))
		time := int64(from.BaseTime)
		for _, s := range from.Samples {
			// Samples lie one after another: the writer is this package.
			if len(part)-at < len(s.Payload) || !bytes.Equal(part[at:at+len(s.Payload)], s.Payload) {
				return fmt.Errorf("%w: samples are not in order", errMP4)
			}
			at += len(s.Payload)
			if err := t.addSample(time, s); err != nil {
				return err
			}
			time += int64(s.Duration)
		}
	}
	return nil
}

func (t *mp4Track) addChunk(at uint64, samples int) {
	t.chunks = append(t.chunks, at)
	if n := len(t.chunkRuns); n == 0 || t.chunkRuns[n-1].samples != uint32(samples) {
		t.chunkRuns = append(t.chunkRuns, mp4ChunkRun{uint32(len(t.chunks)), uint32(samples)})
	}
}

// addSample takes the next sample, which is decoded at a time. The one before lasts until it: so gaps, and what lies between two runs, keep their
// length.
func (t *mp4Track) addSample(at int64, s *fmp4.Sample) error {
	if len(t.sizes) == 0 {
		t.start, t.last = at, at
	} else {
		at = max(at, t.last+1)
		if at-t.last > math.MaxInt32 {
			return fmt.Errorf("%w: a gap of %d ticks", errMP4, at-t.last)
		}
		t.lengths = appendRun(t.lengths, uint32(at-t.last))
		t.last = at
	}
	t.end = at + int64(max(1, s.Duration))
	t.sizes = append(t.sizes, uint32(len(s.Payload)))
	t.offsets = appendRun(t.offsets, uint32(max(0, s.PTSOffset)))
	if !s.IsNonSyncSample {
		t.keys = append(t.keys, uint32(len(t.sizes)))
	}
	return nil
}

// eachBox goes through boxes that lie one after another: their content, and all of them with the header.
func eachBox(data []byte, visit func(kind string, content, whole []byte) error) error {
	for len(data) > 0 {
		if len(data) < 8 {
			return fmt.Errorf("%w: half a box", errMP4)
		}
		n := int64(binary.BigEndian.Uint32(data))
		if n < 8 || n > int64(len(data)) {
			return fmt.Errorf("%w: a box of %d bytes among %d", errMP4, n, len(data))
		}
		if err := visit(string(data[4:8]), data[8:n], data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// childBox is the content of the first box at a path.
func childBox(data []byte, path ...string) (found []byte, err error) {
	for _, want := range path {
		found = nil
		err := eachBox(data, func(kind string, content, _ []byte) error {
			if kind == want && found == nil {
				found = content
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if found == nil {
			return nil, fmt.Errorf("%w: there is no %s", errMP4, want)
		}
		data = found
	}
	return found, nil
}
