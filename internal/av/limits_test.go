package av

import (
	"errors"
	"fmt"
	"image"
	"testing"
)

// bitWriter writes the fields of H.264 headers.
type bitWriter struct {
	out []byte
	n   int
}

func (w *bitWriter) bits(n int, v uint) {
	for i := n - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.out = append(w.out, 0)
		}
		w.out[w.n/8] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
}

// ue writes an Exp-Golomb code.
func (w *bitWriter) ue(values ...uint) {
	for _, v := range values {
		n := 0
		for v+1 >= 1<<(n+1) {
			n++
		}
		w.bits(n, 0)
		w.bits(n+1, v+1)
	}
}

// unit ends a NAL unit with a start code in front.
func (w *bitWriter) unit(header byte) []byte {
	w.bits(1, 1)
	return append([]byte{0, 0, 0, 1, header}, w.out...)
}

// blank is a key picture of the given size, in macroblocks, whose slice data is missing.
func blank(width, height uint) []byte {
	var sps, pps, slice bitWriter
	sps.bits(24, 66<<16|52)          // baseline, level 5.2
	sps.ue(0, 0, 2, 1)               // id, frame_num of 4 bits, order count type 2, one reference
	sps.bits(1, 0)                   // no gaps
	sps.ue(width-1, height-1)        //
	sps.bits(4, 0b1100)              // frames only, direct 8x8, no cropping, no VUI
	pps.ue(0, 0)                     // id, SPS
	pps.bits(2, 0)                   //
	pps.ue(0, 0, 0)                  // slice groups, references
	pps.bits(3, 0)                   // no weights
	pps.ue(0, 0, 0)                  // quantisers
	pps.bits(3, 0)                   //
	slice.ue(0, 7, 0)                // first macroblock, I, PPS
	slice.bits(4, 0)                 // frame_num
	slice.ue(0)                      // idr_pic_id
	slice.bits(2, 0)                 //
	slice.ue(0)                      // quantiser
	slice.bits(24, 0b10110111010111) // what might be macroblocks
	return append(append(sps.unit(0x67), pps.unit(0x68)...), slice.unit(0x65)...)
}

func TestH264RefusesLargePictures(t *testing.T) {
	for _, c := range []struct {
		width, height uint // macroblocks
		large         bool
	}{
		{256, 16, false}, {16, 256, false}, {257, 16, true}, {16, 257, true}, {300, 300, true}, {1000, 1, true}, {4000, 4000, true},
	} {
		t.Run(fmt.Sprint(c.width, "x", c.height), func(t *testing.T) {
			d := newDecoder(t)
			pic, err := d.Decode(blank(c.width, c.height), 0)
			if pic != nil {
				t.Errorf("a picture of %dx%d", pic.Width, pic.Height)
				pic.Release()
			}
			// Sizes that libavcodec itself refuses are damage.
			if got := errors.Is(err, ErrTooLarge); got != c.large && !(c.large && errors.Is(err, ErrDamaged)) {
				t.Errorf("%v, want too large: %v", err, c.large)
			}
			// It works on with a picture of a sensible size.
			for i, p := range clip(t, 64, 48, 2, 2) {
				pic, err := d.Decode(p, int64(i))
				if err != nil || pic == nil {
					t.Fatalf("afterwards: %v", err)
				}
				pic.Release()
			}
		})
	}
}

// A publisher may change its resolution at any key frame.
func TestH264FollowsTheResolution(t *testing.T) {
	d := newDecoder(t)
	for _, size := range []image.Point{{320, 180}, {640, 360}, {64, 48}, {180, 320}, {320, 180}} {
		for i, p := range clip(t, size.X, size.Y, 3, 3) {
			pic, err := d.Decode(p, int64(i))
			if err != nil || pic == nil {
				t.Fatalf("%v, picture %d: %v, %v", size, i, pic, err)
			}
			if pic.Width != size.X || pic.Height != size.Y {
				t.Errorf("%dx%d, want %v", pic.Width, pic.Height, size)
			}
			pic.Release()
		}
	}
}

// The API allows encoder configurations from 2 pixels on: smaller than a macroblock, so the picture is cropped.
func TestH264TinyPictures(t *testing.T) {
	for _, size := range []image.Point{{2, 2}, {2, 1920}, {1920, 2}, {8, 8}, {14, 180}, {16, 16}, {18, 6}} {
		e, err := NewH264Encoder(H264Config{Width: size.X, Height: size.Y, BitRate: 100_000})
		if err != nil {
			t.Errorf("%v: %v", size, err)
			continue
		}
		canvas, err := NewCanvas(size.X, size.Y)
		if err != nil {
			t.Fatal(err)
		}
		d := newDecoder(t)
		for i := range 12 {
			canvas.Fill(canvas.Bounds(), uint8(40+10*i), 128, 128)
			coded, err := e.Encode(canvas, int64(i), i == 6)
			if err != nil {
				t.Fatalf("%v, picture %d: %v", size, i, err)
			}
			pic, err := d.Decode(coded.Data, int64(i))
			if err != nil || pic == nil || pic.Width != size.X || pic.Height != size.Y {
				t.Fatalf("%v, picture %d comes back as %+v, %v", size, i, pic, err)
			}
			pic.Release()
		}
		canvas.Close()
		e.Close()
	}
}

func TestEncoderRefuses(t *testing.T) {
	for _, c := range []H264Config{
		{}, {Width: 1280, Height: 721}, {Width: 8, Height: 0}, {Width: 1, Height: 8}, {Width: 5000, Height: 720},
		{Width: 1280, Height: 720, Preset: "fastest"}, {Width: 1280, Height: 720, Profile: "best"},
		{Width: 1280, Height: 720, FrameRate: -1}, {Width: 1280, Height: 720, BitRate: -1},
		{Width: 1280, Height: 720, KeyInterval: -2}, {Width: 1280, Height: 720, Threads: 100},
	} {
		if e, err := NewH264Encoder(c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
			if e != nil {
				e.Close()
			}
		}
	}
	e, err := NewH264Encoder(H264Config{Width: 64, Height: 64})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Encode(newCanvas(t, 128, 64), 0, false); !errors.Is(err, ErrInvalid) {
		t.Errorf("canvas of another size: %v", err)
	}
	e.Close()
	e.Close()
	if _, err := e.Encode(newCanvas(t, 64, 64), 0, false); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestFrameRates(t *testing.T) {
	for rate, want := range map[float64][2]int{
		30: {30000, 1000}, 29.97: {30000, 1001}, 30000.0 / 1001: {30000, 1001}, 59.94: {60000, 1001},
		23.976: {24000, 1001}, 25: {25000, 1000}, 12.5: {12500, 1000}, 1: {1000, 1000}, 60: {60000, 1000},
	} {
		if num, den := frameRate(rate); num != want[0] || den != want[1] {
			t.Errorf("%v: %d/%d, want %d/%d", rate, num, den, want[0], want[1])
		}
	}
}
