package av

/*
#cgo noescape fl_decoder_decode
#cgo nocallback fl_decoder_decode
#include "h264dec.h"
*/
import "C"

import "fmt"

// H264Decoder turns H.264 access units into pictures.
//
// It outputs whole pictures only: after damage it stays silent until the next key frame, which the owner
// should ask the sender for (NeedsKeyFrame).
type H264Decoder struct {
	c        *C.FLDecoder
	waiting  bool
	sequence sequence
}

// NewH264Decoder returns a decoder that waits for a key frame.
func NewH264Decoder() (*H264Decoder, error) {
	return newH264Decoder(false)
}

// NewOrderedH264Decoder is for streams that may have B-frames: its pictures come in the order in which they are shown. A
// stream with B-frames is delayed by as many pictures as it says to need for that, others are not.
func NewOrderedH264Decoder() (*H264Decoder, error) {
	return newH264Decoder(true)
}

func newH264Decoder(inOrder bool) (*H264Decoder, error) {
	c := C.fl_decoder_new(cBool(inOrder))
	if c == nil {
		return nil, fmt.Errorf("open h264 decoder: %w", ErrNoMemory)
	}
	return &H264Decoder{c: c, waiting: true}, nil
}

// Decode takes one access unit in Annex B form; SPS and PPS travel in band. pts is in any unit and comes
// back as Picture.PTS. The picture belongs to the caller, who must Release it; it is nil when there is none
// yet. An error wraps ErrDamaged, ErrTooLarge, ErrNoMemory, ErrInvalid (no data) or ErrClosed; the decoder
// can be used further, and outputs again from the next key frame.
func (d *H264Decoder) Decode(annexB []byte, pts int64) (*Picture, error) {
	if d.c == nil {
		return nil, fmt.Errorf("decode h264: %w", ErrClosed)
	}
	if len(annexB) == 0 || len(annexB) > maxPacket {
		return nil, fmt.Errorf("decode h264: %d bytes: %w", len(annexB), ErrInvalid)
	}
	if !d.sequence.follows(annexB) && !d.waiting {
		d.Flush()
		return nil, fmt.Errorf("decode h264: a picture is missing: %w", ErrDamaged)
	}
	var out C.FLPicture
	switch r := C.fl_decoder_decode(d.c, (*C.uint8_t)(&annexB[0]), C.int(len(annexB)), C.int64_t(pts), &out); r {
	case C.FL_OK:
		d.waiting = false
		return newPicture(&out), nil
	case C.FL_NONE:
		return nil, nil
	default:
		d.waiting = true
		return nil, fmt.Errorf("decode h264: %w", codeError(r))
	}
}

// NeedsKeyFrame reports that nothing will come out before the next key frame: at the start, after damage
// and after Flush.
func (d *H264Decoder) NeedsKeyFrame() bool { return d.waiting }

// Flush forgets all reference pictures. Call it when an access unit was lost on the way: the decoder notices
// most losses by the picture numbers, but these are few (often 16) and go round.
func (d *H264Decoder) Flush() {
	if d.c != nil {
		C.fl_decoder_flush(d.c)
		d.waiting = true
	}
}

// Close frees the decoder. Pictures that it made stay valid.
func (d *H264Decoder) Close() {
	if d.c != nil {
		C.fl_decoder_free(d.c)
		d.c = nil
	}
}

// maxPacket bounds one access unit: 8 MiB is far above any picture that real senders make.
const maxPacket = 8 << 20
