package av

/*
#include "h264dec.h"
*/
import "C"

import (
	"fmt"
	"image"
	"sync/atomic"
	"unsafe"
)

// Matrix says how the picture's YCbCr was made from RGB.
type Matrix int

// The matrices that occur.
const (
	BT709 Matrix = iota
	BT601
)

// Colour says how samples stand for colours: the range, and code points of ITU-T H.273, of which 2 is not known. The zero
// value is limited-range BT.709.
type Colour struct {
	FullRange                   bool
	Primaries, Transfer, Matrix uint8
}

// Picture is one decoded picture in C memory: 8-bit planar YCbCr 4:2:0. It never changes. It is counted by
// references: whoever stores it calls Retain, whoever is done calls Release, from any goroutine.
type Picture struct {
	PTS           int64 // as given to Decode
	Width, Height int   // pixels, may be odd
	FullRange     bool  // luma 0..255 in place of 16..235
	Matrix        Matrix
	Colour        Colour // as the stream says it, where Matrix is what to assume

	SampleWidth, SampleHeight int // the shape of a sample; square unless both are greater than 0

	frame *C.AVFrame
	refs  atomic.Int32
}

// livePictures counts the pictures that are not yet released, for leak tests.
var livePictures atomic.Int64

func newPicture(c *C.FLPicture) *Picture {
	p := &Picture{
		PTS:       int64(c.pts),
		Width:     int(c.width),
		Height:    int(c.height),
		FullRange: c.full_range != 0,
		Matrix:    BT709,
		Colour: Colour{
			FullRange: c.full_range != 0, Primaries: uint8(c.primaries), Transfer: uint8(c.transfer), Matrix: uint8(c.matrix),
		},
		SampleWidth:  int(c.sample_width),
		SampleHeight: int(c.sample_height),
		frame:        c.frame,
	}
	if c.bt601 != 0 {
		p.Matrix = BT601
	}
	p.refs.Store(1)
	livePictures.Add(1)
	return p
}

// NewPicture copies an image with 4:2:0 subsampling. The image's own range and matrix are what the caller
// says: the image package does not know.
func NewPicture(img *image.YCbCr, fullRange bool, matrix Matrix) (*Picture, error) {
	b := img.Bounds()
	if img.SubsampleRatio != image.YCbCrSubsampleRatio420 || b.Min != (image.Point{}) || b.Dx() < 2 || b.Dy() < 2 {
		return nil, fmt.Errorf("new picture of %v %v: %w", b, img.SubsampleRatio, ErrInvalid)
	}
	if b.Dx() > MaxSide || b.Dy() > MaxSide {
		return nil, fmt.Errorf("new picture of %v: %w", b, ErrTooLarge)
	}
	f := C.fl_picture_new(C.int(b.Dx()), C.int(b.Dy()))
	if f == nil {
		return nil, fmt.Errorf("new picture of %v: %w", b, ErrNoMemory)
	}
	for i, from := range [][]byte{img.Y, img.Cb, img.Cr} {
		w, h, fromStride := b.Dx(), b.Dy(), img.YStride
		if i > 0 {
			w, h, fromStride = (w+1)/2, (h+1)/2, img.CStride
		}
		stride := int(f.linesize[i])
		to := unsafe.Slice((*byte)(f.data[i]), stride*h)
		for y := range h {
			copy(to[y*stride:][:w], from[y*fromStride:][:w])
		}
	}
	out := C.FLPicture{frame: f, width: C.int(b.Dx()), height: C.int(b.Dy())}
	out.full_range, out.bt601 = cBool(fullRange), cBool(matrix == BT601)
	return newPicture(&out), nil
}

// Retain adds a reference and returns p. The caller must already hold one.
func (p *Picture) Retain() *Picture {
	if p.refs.Add(1) <= 1 {
		panic("av: Retain of a released picture")
	}
	return p
}

// Release gives a reference back; the last one frees the picture. Releasing nil does nothing.
func (p *Picture) Release() {
	if p == nil {
		return
	}
	switch n := p.refs.Add(-1); {
	case n == 0:
		C.fl_picture_free(p.frame)
		p.frame = nil
		livePictures.Add(-1)
	case n < 0:
		panic("av: Release of a released picture")
	}
}
