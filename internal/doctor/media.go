package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
)

// starts are the times at which the tracks of a piece of media begin, by the media's own clock.
type starts []time.Duration

// startsOf reads a part. The header is that of fragmented MP4; MPEG-TS has none.
func startsOf(header, part []byte) (starts, error) {
	if len(header) == 0 {
		return startsTS(part)
	}
	return startsMP4(header, part)
}

func startsMP4(header, part []byte) (s starts, err error) {
	var movie fmp4.Init
	if err := movie.Unmarshal(bytes.NewReader(header)); err != nil {
		return nil, fmt.Errorf("the initialization segment: %w", err)
	}
	scales := map[int]uint32{}
	for _, t := range movie.Tracks {
		scales[t.ID] = t.TimeScale
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(part); err != nil {
		return nil, fmt.Errorf("the part: %w", err)
	}
	if len(parts) == 0 {
		return nil, errors.New("the part is empty")
	}
	for _, t := range parts[0].Tracks {
		if scale := scales[t.ID]; scale != 0 {
			s = append(s, time.Duration(float64(t.BaseTime)/float64(scale)*float64(time.Second)))
		}
	}
	return s, nil
}

func startsTS(part []byte) (s starts, err error) {
	r := &mpegts.Reader{R: bytes.NewReader(part)}
	if err := r.Initialize(); err != nil {
		return nil, fmt.Errorf("the part: %w", err)
	}
	var picture, sound []int64 // in 1/90000 s
	for _, t := range r.Tracks() {
		switch t.Codec.(type) {
		case *codecs.H264:
			r.OnDataH264(t, func(_, dts int64, _ [][]byte) error {
				picture = append(picture, dts)
				return nil
			})
		case *codecs.MPEG4Audio:
			r.OnDataMPEG4Audio(t, func(pts int64, _ [][]byte) error {
				sound = append(sound, pts)
				return nil
			})
		}
	}
	for err == nil {
		err = r.Read()
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the part: %w", err)
	}
	for _, times := range [][]int64{picture, sound} {
		if len(times) > 0 {
			s = append(s, time.Duration(times[0])*time.Second/90000)
		}
	}
	return s, nil
}
