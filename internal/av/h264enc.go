package av

/*
#cgo noescape fl_encoder_encode
#cgo nocallback fl_encoder_encode
#include "h264enc.h"
#include <stdlib.h>
*/
import "C"

import (
	"cmp"
	"fmt"
	"math"
	"unsafe"
)

// The encoders.
const (
	X264     = "x264"
	OpenH264 = "openh264"
)

// DefaultPreset is the x264 preset of an H264Config that names none.
//
// Measured on a 1280x720 grid at 2.5 Mb/s, one thread of 2.4 GHz: veryfast takes 9.6 ms per picture for
// 38.4 dB, superfast 6.5 ms for 37.0 dB, ultrafast 4.1 ms for 33.8 dB, faster 17.7 ms for 38.7 dB. veryfast is
// where quality stops growing, and leaves most of two cores free beside one composition. superfast is for
// machines that run many compositions, and for what veryfast cannot encode in time.
const DefaultPreset = "veryfast"

// bt709 is the code point of BT.709 in the three tables of ITU-T H.273.
const bt709 = 1

// H264Config describes the wanted stream. Width and Height must be set; the rest has defaults.
type H264Config struct {
	Width, Height int     // pixels, even, 2 to MaxSide
	FrameRate     float64 // pictures per second, 1 to 240; 0: 30
	BitRate       int     // bits per second, also held over any one second; 0: 2.5 Mb/s
	KeyInterval   int     // pictures from one key frame to the next; 0: two seconds
	Encoder       string  // X264 or OpenH264; "": X264
	Preset        string  // of x264, "": DefaultPreset; or low or medium of OpenH264, "": medium
	Profile       string  // baseline, main or (x264) high; "": main
	OmitHeaders   bool    // leave SPS and PPS out of the stream: they are in SPS and PPS
	Colour        Colour  // of the canvases, which is not changed
	Threads       int     // slices encoded in parallel; 0: 1, which costs least
}

// EncodedPicture is one access unit. Data and NALUs are valid until the next Encode.
type EncodedPicture struct {
	Data  []byte   // Annex B, with start codes
	NALUs [][]byte // the same units without start codes, slices of Data
	PTS   int64    // as given to Encode; decoding time is the same, there is no reordering
	Key   bool     // an IDR picture
}

// H264Encoder encodes canvases without delay: each call returns its own picture, and none is left out.
// The stream says what its colours are: those of the configuration.
type H264Encoder struct {
	c             *C.FLEncoder
	words         string
	width, height int
	sps, pps      []byte
	data          []byte
	nalus         [][]byte
}

// NewH264Encoder opens an encoder. An error wraps ErrInvalid.
func NewH264Encoder(config H264Config) (*H264Encoder, error) {
	rate := cmp.Or(config.FrameRate, 30)
	num, den := frameRate(rate)
	bits := cmp.Or(config.BitRate, 2_500_000)
	keys := cmp.Or(config.KeyInterval, int(math.Round(2*rate)))
	threads := cmp.Or(config.Threads, 1)
	w, h := config.Width, config.Height
	if w < 2 || h < 2 || w > MaxSide || h > MaxSide || w%2 != 0 || h%2 != 0 || !(rate >= 1 && rate <= 240) ||
		bits < 1 || bits > 1<<30 || keys < 1 || threads < 1 || threads > 16 {
		return nil, fmt.Errorf("open h264 encoder %+v: %w", config, ErrInvalid)
	}
	encoder, presetName, profileName := config.withDefaults()
	preset := C.CString(presetName)
	defer C.free(unsafe.Pointer(preset))
	profile := C.CString(profileName)
	defer C.free(unsafe.Pointer(profile))
	settings := C.FLEncoderConfig{
		width:        C.int(w),
		height:       C.int(h),
		fps_num:      C.int(num),
		fps_den:      C.int(den),
		kilobits:     C.int(max(1, bits/1000)),
		key_interval: C.int(keys),
		omit_headers: cBool(config.OmitHeaders),
		threads:      C.int(threads),
		full_range:   cBool(config.Colour.FullRange),
		primaries:    C.int(cmp.Or(config.Colour.Primaries, bt709)),
		transfer:     C.int(cmp.Or(config.Colour.Transfer, bt709)),
		matrix:       C.int(cmp.Or(config.Colour.Matrix, bt709)),
		preset:       preset,
		profile:      profile,
	}
	var c *C.FLEncoder
	switch encoder {
	case X264:
		c = C.fl_x264_new(&settings)
	case OpenH264:
		c = C.fl_openh264_new(&settings)
	}
	if c == nil {
		return nil, fmt.Errorf("open h264 encoder %+v: %w", config, ErrInvalid)
	}
	words := fmt.Sprintf("%s %s, %s profile, %d kb/s", encoder, presetName, profileName, bits/1000)
	if threads > 1 {
		words += fmt.Sprintf(", %d threads", threads)
	}
	e := &H264Encoder{c: c, words: words, width: w, height: h}
	if err := e.readHeaders(); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (c H264Config) withDefaults() (encoder, preset, profile string) {
	encoder, preset = cmp.Or(c.Encoder, X264), DefaultPreset
	if encoder == OpenH264 {
		preset = "medium"
	}
	return encoder, cmp.Or(c.Preset, preset), cmp.Or(c.Profile, "main")
}

// String names the encoder and its settings.
func (e *H264Encoder) String() string { return e.words }

// frameRate writes the rate as a fraction; the NTSC rates come out exactly.
func frameRate(rate float64) (num, den int) {
	if r := math.Round(rate * 1.001); math.Abs(rate*1.001-r) < 1e-3 && math.Abs(rate-math.Round(rate)) > 1e-3 {
		return int(r) * 1000, 1001
	}
	return int(math.Round(rate * 1000)), 1000
}

func (e *H264Encoder) readHeaders() error {
	var out C.FLEncoded
	if r := C.fl_encoder_headers(e.c, &out); r < 0 {
		return fmt.Errorf("read h264 headers: %w", codeError(r))
	}
	e.take(&out)
	for _, n := range e.nalus {
		switch n[0] & 0x1f {
		case 7:
			e.sps = append([]byte(nil), n...)
		case 8:
			e.pps = append([]byte(nil), n...)
		}
	}
	return nil
}

// take copies an access unit out of the encoder's memory.
func (e *H264Encoder) take(out *C.FLEncoded) {
	e.data = append(e.data[:0], unsafe.Slice((*byte)(out.data), int(out.size))...)
	e.nalus = e.nalus[:0]
	for i := range int(out.nals) {
		e.nalus = append(e.nalus, e.data[out.begin[i]:out.end[i]])
	}
}

// Hurry makes Encode take less care from the next picture on, or as much as the encoder was opened for again. Only
// OpenH264 at medium complexity can: it goes to low, which takes 0.83 of its instructions for 0.003 less SSIM.
func (e *H264Encoder) Hurry(yes bool) {
	if e.c != nil {
		C.fl_encoder_hurry(e.c, cBool(yes))
	}
}

// SPS is the sequence parameter set without start code.
func (e *H264Encoder) SPS() []byte { return e.sps }

// PPS is the picture parameter set without start code.
func (e *H264Encoder) PPS() []byte { return e.pps }

// Encode encodes the canvas, which must have the encoder's size. pts may be in any unit and must grow.
// forceKey makes an IDR picture, and the key interval starts anew.
func (e *H264Encoder) Encode(canvas *Canvas, pts int64, forceKey bool) (EncodedPicture, error) {
	if e.c == nil || canvas.c == nil {
		return EncodedPicture{}, fmt.Errorf("encode h264: %w", ErrClosed)
	}
	if canvas.Width != e.width || canvas.Height != e.height {
		return EncodedPicture{}, fmt.Errorf("encode h264: canvas %dx%d on encoder %dx%d: %w",
			canvas.Width, canvas.Height, e.width, e.height, ErrInvalid)
	}
	var out C.FLEncoded
	r := C.fl_encoder_encode(e.c, canvas.c, C.int64_t(pts), cBool(forceKey), &out)
	if r != C.FL_OK {
		return EncodedPicture{}, fmt.Errorf("encode h264: %w", codeError(r))
	}
	e.take(&out)
	return EncodedPicture{Data: e.data, NALUs: e.nalus, PTS: pts, Key: out.key != 0}, nil
}

// Close frees the encoder.
func (e *H264Encoder) Close() {
	if e.c != nil {
		C.fl_encoder_free(e.c)
		e.c = nil
	}
}
