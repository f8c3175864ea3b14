package av

/*
#include "h264dec.h"
*/
import "C"

import "sync/atomic"

// Matrix says how the picture's YCbCr was made from RGB.
type Matrix int

// The matrices that occur.
const (
	BT709 Matrix = iota
	BT601
)

// Picture is one decoded picture in C memory: 8-bit planar YCbCr 4:2:0. It never changes. It is counted by
// references: whoever stores it calls Retain, whoever is done calls Release, from any goroutine.
type Picture struct {
	PTS           int64 // as given to Decode
	Width, Height int   // pixels, may be odd
	FullRange     bool  // luma 0..255 in place of 16..235
	Matrix        Matrix

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
		frame:     c.frame,
	}
	if c.bt601 != 0 {
		p.Matrix = BT601
	}
	p.refs.Store(1)
	livePictures.Add(1)
	return p
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
