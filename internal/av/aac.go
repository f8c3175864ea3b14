package av

/*
#cgo noescape fl_aac_encode
#cgo nocallback fl_aac_encode
#include "aac.h"
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"slices"
	"unsafe"
)

// AACFrame is the number of samples per channel of one AAC frame: 21.33 ms at 48 kHz.
const AACFrame = 1024

// AACEncoder encodes 48 kHz stereo to AAC-LC, raw frames without ADTS.
type AACEncoder struct {
	c     *C.FLAAC
	frame []byte
}

// NewAACEncoder opens an encoder; the bitrate is in bits per second, 16000 to 512000.
func NewAACEncoder(bitrate int) (*AACEncoder, error) { return newAAC(bitrate, "fast") }

func newAAC(bitrate int, coder string) (*AACEncoder, error) {
	if bitrate < 16_000 || bitrate > 512_000 {
		return nil, fmt.Errorf("open aac encoder at %d b/s: %w", bitrate, ErrInvalid)
	}
	name := C.CString(coder)
	defer C.free(unsafe.Pointer(name))
	c := C.fl_aac_new(C.int(bitrate), name)
	if c == nil {
		return nil, fmt.Errorf("open aac encoder at %d b/s: %w", bitrate, ErrNoMemory)
	}
	return &AACEncoder{c: c}, nil
}

// Encode takes AACFrame samples per channel, interleaved, in -1..1. It returns a frame, valid until the
// next call, or nil: the first frame comes with the second call. Frame n holds the sound of call n shifted
// by Delay samples.
func (e *AACEncoder) Encode(pcm []float32) ([]byte, error) {
	if e.c == nil {
		return nil, fmt.Errorf("encode aac: %w", ErrClosed)
	}
	if len(pcm) != 2*AACFrame {
		return nil, fmt.Errorf("encode aac: %d samples: %w", len(pcm), ErrInvalid)
	}
	var out C.FLBytes
	switch r := C.fl_aac_encode(e.c, (*C.float)(&pcm[0]), &out); r {
	case C.FL_OK:
		e.frame = append(e.frame[:0], unsafe.Slice((*byte)(out.data), int(out.size))...)
		return e.frame, nil
	case C.FL_NONE:
		return nil, nil
	default:
		return nil, fmt.Errorf("encode aac: %w", codeError(r))
	}
}

// Config is the AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1).
func (e *AACEncoder) Config() []byte {
	if e.c == nil {
		return nil
	}
	b := C.fl_aac_config(e.c)
	return slices.Clone(unsafe.Slice((*byte)(b.data), int(b.size)))
}

// Delay is the number of samples per channel by which the sound is late in the frames: a decoder's output
// starts with that much priming.
func (e *AACEncoder) Delay() int {
	if e.c == nil {
		return 0
	}
	return int(C.fl_aac_delay(e.c))
}

// Close frees the encoder.
func (e *AACEncoder) Close() {
	if e.c != nil {
		C.fl_aac_free(e.c)
		e.c = nil
	}
}
