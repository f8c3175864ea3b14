// Package av is the only cgo of Footlight: thin bindings to libavcodec, libswresample, libswscale, libyuv, x264, OpenH264 and opus.
//
// Guarantees:
//   - No input, however broken, makes a method panic or C code overrun; it returns an error. Pictures larger
//     than 4096x4096 are refused before memory is allocated for them.
//   - No C code keeps a pointer to Go memory after a call returns. Pictures and canvases live in C memory.
//   - One call into C per packet, picture or tile; results are copied into slices that are reused, and each
//     method says how long they stay valid.
//   - Every method is for one goroutine at a time, except those of Picture, which any goroutine may use.
//   - Close frees what C holds. It may be called twice; other methods of a closed object return ErrClosed.
//
// It is linked into the composer process and into tests only, so that a fault here costs one composition.
package av

/*
#cgo pkg-config: libavcodec libavutil libswresample libswscale x264 openh264 opus
#cgo LDFLAGS: -lyuv -lm
#cgo CFLAGS: -O2 -std=gnu11 -Wall
#include "common.h"
*/
import "C"

import "errors"

// MaxSide is the largest width or height, in pixels, of any picture that this package touches.
const MaxSide = 4096

// Errors that callers may test for; they come wrapped with the operation.
var (
	ErrClosed   = errors.New("closed")
	ErrDamaged  = errors.New("damaged data")
	ErrTooLarge = errors.New("picture larger than 4096x4096")
	ErrNoMemory = errors.New("out of memory")
	ErrInvalid  = errors.New("invalid argument")
)

func init() { C.fl_init() }

// codeError translates the status codes of common.h.
func codeError(code C.int) error {
	switch code {
	case C.FL_TOO_LARGE:
		return ErrTooLarge
	case C.FL_NO_MEMORY:
		return ErrNoMemory
	case C.FL_INVALID:
		return ErrInvalid
	default:
		return ErrDamaged
	}
}
