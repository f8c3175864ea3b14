package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

// maxBox bounds what is read of a segment at once: a part of a second, or a broken length.
const maxBox = 256 << 20

// repair cuts a segment after its last whole part, and returns its size and where its media ends in ticks. A file
// that was written whole stays as it is.
func repair(path string, audioRate int64) (size, end int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	size, end, err = wholeParts(f, audioRate)
	if err != nil {
		return 0, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	if info.Size() > size {
		err = errors.Join(f.Truncate(size), f.Sync())
	}
	return size, end, err
}

// wholeParts reads pairs of moof and mdat up to the first that is not whole and sound.
func wholeParts(r io.Reader, audioRate int64) (size, end int64, err error) {
	for {
		moof, err := readBox(r, "moof")
		if err != nil || moof == nil {
			return size, end, err
		}
		mdat, err := readBox(r, "mdat")
		if err != nil || mdat == nil {
			return size, end, err
		}
		data := append(moof, mdat...)
		partEnd, ok := partEnd(data, audioRate)
		if !ok {
			return size, end, nil
		}
		size += int64(len(data))
		end = max(end, partEnd)
	}
}

// readBox reads the next box with its header; nil when it is not whole or of another type.
func readBox(r io.Reader, kind string) ([]byte, error) {
	header := make([]byte, 8)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, tail(err)
	}
	n := binary.BigEndian.Uint32(header)
	if string(header[4:]) != kind || n < 8 || n > maxBox {
		return nil, nil
	}
	// Grown as it is read: a broken length must not take memory for what is not there.
	box, err := io.ReadAll(io.LimitReader(r, int64(n-8)))
	if err != nil {
		return nil, err
	}
	if len(box) < int(n-8) {
		return nil, nil
	}
	return append(header, box...), nil
}

// tail: the end of the file is no error.
func tail(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// partEnd is where the samples of a part end, in ticks of the video's clock.
func partEnd(data []byte, audioRate int64) (end int64, ok bool) {
	parts, err := decodeParts(data)
	if err != nil || len(parts) != 1 {
		return 0, false
	}
	for _, track := range parts[0].Tracks {
		at := int64(track.BaseTime)
		for _, sample := range track.Samples {
			at += int64(sample.Duration)
		}
		switch {
		case at < 0 || at > 1<<50:
			return 0, false
		case track.ID == videoTrackID:
			end = max(end, at)
		case audioRate > 0:
			end = max(end, at*ClockRate/audioRate)
		}
	}
	return end, true
}

// decodeParts parses what may have been damaged: a panic of the parser is an error.
func decodeParts(data []byte) (parts fmp4.Parts, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("parse part: %v", p)
		}
	}()
	err = parts.Unmarshal(data)
	return parts, err
}
