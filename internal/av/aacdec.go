package av

/*
#cgo noescape fl_aacdec_decode
#cgo nocallback fl_aacdec_decode
#include "aacdec.h"
*/
import "C"

import "fmt"

// MaxAACUnit is the most bytes that an access unit of two channels may have (ISO/IEC 14496-3 section 4.5.3): 6144 bits
// for each, and as much again for what encoders put beside the sound.
const MaxAACUnit = 4096

// MaxAACSamples is how many samples per channel at 48 kHz an access unit can turn into, with what the resampler had kept.
const MaxAACSamples = 4096

// AACDecoder decodes AAC-LC of one or two channels at 44.1 or 48 kHz to 48 kHz stereo; mono comes out on both channels.
type AACDecoder struct {
	c *C.FLAACDec
}

// NewAACDecoder opens a decoder for streams of an AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1). rate and
// channels are what it says.
func NewAACDecoder(config []byte, rate, channels int) (*AACDecoder, error) {
	if len(config) < 2 || len(config) > 64 || rate != 44100 && rate != 48000 || channels < 1 || channels > 2 {
		return nil, fmt.Errorf("open aac decoder for %d Hz and %d channels: %w", rate, channels, ErrInvalid)
	}
	c := C.fl_aacdec_new((*C.uint8_t)(&config[0]), C.int(len(config)), C.int(rate), C.int(channels))
	if c == nil {
		return nil, fmt.Errorf("open aac decoder: %w", ErrDamaged)
	}
	return &AACDecoder{c: c}, nil
}

// Decode decodes one access unit into pcm (interleaved left, right, in -1..1), which must hold 2*MaxAACSamples. It
// returns the number of samples per channel, and by how many samples they begin before the access unit's own: the
// resampler keeps a few back.
func (d *AACDecoder) Decode(unit []byte, pcm []float32) (n, early int, err error) {
	if d.c == nil {
		return 0, 0, fmt.Errorf("decode aac: %w", ErrClosed)
	}
	if len(unit) == 0 || len(unit) > MaxAACUnit || len(pcm) < 2*MaxAACSamples {
		return 0, 0, fmt.Errorf("decode aac: %d bytes to %d samples: %w", len(unit), len(pcm), ErrInvalid)
	}
	var samples, delay C.int
	r := C.fl_aacdec_decode(d.c, (*C.uint8_t)(&unit[0]), C.int(len(unit)), (*C.float)(&pcm[0]), MaxAACSamples, &samples, &delay)
	if r < 0 {
		return 0, 0, fmt.Errorf("decode aac: %w", codeError(r))
	}
	return int(samples), int(delay), nil
}

// Close frees the decoder.
func (d *AACDecoder) Close() {
	if d.c != nil {
		C.fl_aacdec_free(d.c)
		d.c = nil
	}
}
