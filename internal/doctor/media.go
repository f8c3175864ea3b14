package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	mp4codecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"github.com/footlight-live/footlight/internal/tryout"
)

// piece is what a part begins with.
type piece struct {
	starts  []time.Duration // of its tracks, by the media's own clock
	picture h264.AnnexB     // the first, with parameter sets where it is a key frame
	sound   sound           // all of it
}

// apart is how far the first sound and the first picture are apart.
func (p piece) apart() (time.Duration, error) {
	if len(p.starts) != 2 {
		return 0, fmt.Errorf("the newest part has %d tracks, not sound and picture", len(p.starts))
	}
	return (p.starts[0] - p.starts[1]).Abs(), nil
}

// keyFrame is the first picture in Annex B form.
func (p piece) keyFrame() ([]byte, error) {
	if p.picture == nil {
		return nil, errors.New("a part holds no H.264 picture")
	}
	return p.picture.Marshal()
}

// readPart fetches a part. The header is that of fragmented MP4; MPEG-TS has none.
func readPart(ctx context.Context, playlist, uri string, header []byte) (piece, error) {
	data, err := read(ctx, playlist, uri)
	if err != nil {
		return piece{}, err
	}
	p, err := pieceOf(header, data)
	if err != nil {
		return piece{}, fmt.Errorf("the part %s: %w", uri, err)
	}
	return p, nil
}

func pieceOf(header, part []byte) (piece, error) {
	if len(header) == 0 {
		return pieceTS(part)
	}
	return pieceMP4(header, part)
}

func pieceMP4(header, part []byte) (p piece, err error) {
	var movie fmp4.Init
	if err := movie.Unmarshal(bytes.NewReader(header)); err != nil {
		return p, fmt.Errorf("the initialization segment: %w", err)
	}
	tracks := map[int]*fmp4.InitTrack{}
	for _, t := range movie.Tracks {
		tracks[t.ID] = t
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(part); err != nil {
		return p, err
	}
	if len(parts) == 0 {
		return p, errors.New("it is empty")
	}
	for _, t := range parts[0].Tracks {
		track := tracks[t.ID]
		if track == nil || track.TimeScale == 0 || len(t.Samples) == 0 {
			continue
		}
		p.starts = append(p.starts, time.Duration(float64(t.BaseTime)/float64(track.TimeScale)*float64(time.Second)))
		if codec, ok := track.Codec.(*mp4codecs.H264); ok {
			var units h264.AVCC
			if err := units.Unmarshal(t.Samples[0].Payload); err != nil {
				return p, fmt.Errorf("its first picture: %w", err)
			}
			p.picture = append(h264.AnnexB{codec.SPS, codec.PPS}, units...)
		}
		if codec, ok := track.Codec.(*mp4codecs.MPEG4Audio); ok {
			if p.sound.config, err = codec.Config.Marshal(); err != nil {
				return p, fmt.Errorf("its sound: %w", err)
			}
			for _, s := range t.Samples {
				p.sound.units = append(p.sound.units, s.Payload)
			}
		}
	}
	return p, nil
}

func pieceTS(part []byte) (p piece, err error) {
	r := &mpegts.Reader{R: bytes.NewReader(part)}
	if err := r.Initialize(); err != nil {
		return p, err
	}
	begun := map[*mpegts.Track]bool{}
	begin := func(t *mpegts.Track, at int64) { // in 1/90000 s
		if !begun[t] {
			begun[t] = true
			p.starts = append(p.starts, time.Duration(at)*time.Second/90000)
		}
	}
	for _, t := range r.Tracks() {
		switch codec := t.Codec.(type) {
		case *codecs.H264:
			r.OnDataH264(t, func(_, dts int64, units [][]byte) error {
				begin(t, dts)
				if p.picture == nil {
					p.picture = units
				}
				return nil
			})
		case *codecs.MPEG4Audio:
			if p.sound.config, err = codec.Config.Marshal(); err != nil {
				return p, fmt.Errorf("its sound: %w", err)
			}
			r.OnDataMPEG4Audio(t, func(pts int64, units [][]byte) error {
				begin(t, pts)
				p.sound.units = append(p.sound.units, units...)
				return nil
			})
		}
	}
	for err == nil {
		err = r.Read()
	}
	if !errors.Is(err, io.EOF) {
		return p, err
	}
	return p, nil
}

func read(ctx context.Context, base, uri string) ([]byte, error) {
	address, err := tryout.Resolve(base, uri)
	if err != nil {
		return nil, err
	}
	body, err := tryout.Get(ctx, address)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}
