package worker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/transcode"
)

// Hear is "footlight-composer hear": it decodes sound for those who judge it, whole and at once. The units that it reads are
// AAC behind a Config, Opus without one. It writes samples of 48 kHz, stereo, interleaved, as little-endian float32. What
// cannot be decoded is an error.
func Hear(in io.Reader, out io.Writer) error {
	opus, err := av.NewOpusDecoder()
	if err != nil {
		return err
	}
	defer opus.Close()
	var aac *av.AACDecoder
	defer func() {
		if aac != nil {
			aac.Close()
		}
	}()
	r, w := bufio.NewReader(in), bufio.NewWriter(out)
	pcm := make([]float32, 2*max(av.MaxAACSamples, av.MaxOpusSamples))
	for {
		m, err := transcode.Read(r, transcode.MaxSound)
		if errors.Is(err, io.EOF) {
			return w.Flush()
		}
		if err != nil {
			return err
		}
		n := 0
		switch {
		case m.Kind == transcode.Config && aac == nil:
			aac, err = open(m.Data)
		case m.Kind == transcode.Unit && aac != nil:
			n, _, err = aac.Decode(m.Data, pcm)
		case m.Kind == transcode.Unit:
			n, err = opus.Decode(m.Data, pcm)
		default:
			err = fmt.Errorf("message %q cannot be heard", m.Kind)
		}
		if err == nil {
			err = binary.Write(w, binary.LittleEndian, pcm[:2*n])
		}
		if err != nil {
			return err
		}
	}
}
