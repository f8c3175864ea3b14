package av

import (
	"image"
	"testing"
)

// FuzzH264Decode feeds garbage, and pictures with parts overwritten, and draws what comes out.
func FuzzH264Decode(f *testing.F) {
	packets := clip(f, 64, 48, 4, 2)
	for i, p := range packets {
		f.Add(p, uint16(i*7), []byte{})
		f.Add(p, uint16(len(p)/2), []byte{0xff, 0x00, 0x13})
	}
	f.Add([]byte("\x00\x00\x01\x67garbage"), uint16(0), []byte("\x00\x00\x00\x01\x68"))
	c, err := NewCanvas(64, 64)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint16, patch []byte) {
		d := newDecoder(t)
		defer d.Close()
		for i, p := range [][]byte{packets[0], data, packets[1], packets[2], data} {
			if i == 2 { // the real picture, damaged
				p = append([]byte(nil), p...)
				if int(at) < len(p) {
					copy(p[at:], patch)
				}
			}
			pic, err := d.Decode(p, int64(i))
			if pic == nil {
				continue
			}
			if err != nil {
				t.Errorf("picture and error %v", err)
			}
			if pic.Width > MaxSide || pic.Height > MaxSide || pic.Width < 2 || pic.Height < 2 {
				t.Fatalf("picture of %dx%d", pic.Width, pic.Height)
			}
			if err := c.DrawPicture(pic, image.Rect(0, 0, pic.Width, pic.Height), c.Bounds()); err != nil {
				t.Logf("draw %dx%d: %v", pic.Width, pic.Height, err)
			}
			pic.Release()
		}
	})
}

func FuzzSequence(f *testing.F) {
	for _, p := range clip(f, 64, 48, 3, 2) {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s sequence
		s.follows(data)
		s.follows(data)
	})
}

// FuzzOpusDecode decodes garbage, alone and as the packet after a loss.
func FuzzOpusDecode(f *testing.F) {
	enc, err := NewOpusEncoder(32_000)
	if err != nil {
		f.Fatal(err)
	}
	defer enc.Close()
	out := make([]byte, 1500)
	for i := range 3 {
		n, err := enc.Encode(tone(i*960, 960, 300, 500), out)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append([]byte(nil), out[:n]...), 960)
	}
	f.Add([]byte{0xff, 0x80}, 5760)
	pcm := make([]float32, 2*MaxOpusSamples)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		dec, err := NewOpusDecoder()
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		for _, call := range []func() (int, error){
			func() (int, error) { return dec.Decode(data, pcm) },
			func() (int, error) { return dec.DecodeFEC(data, pcm, n) },
			func() (int, error) { return dec.DecodeLost(pcm, n) },
			func() (int, error) { return dec.Decode(data, pcm[:960]) },
		} {
			if got, err := call(); got < 0 || got > MaxOpusSamples || (err != nil && got != 0) {
				t.Errorf("%d samples, %v", got, err)
			}
		}
	})
}

// FuzzAACDecode decodes garbage under garbage configurations, with a whole unit between.
func FuzzAACDecode(f *testing.F) {
	enc, err := NewAACEncoder(96_000)
	if err != nil {
		f.Fatal(err)
	}
	defer enc.Close()
	config := enc.Config()
	var unit []byte
	for i := range 4 {
		frame, err := enc.Encode(tone(i*AACFrame, AACFrame, 440, 1000))
		if err != nil {
			f.Fatal(err)
		}
		unit = append(unit[:0], frame...)
		f.Add(config, append([]byte(nil), frame...), 48000, 2)
	}
	f.Add([]byte{0x12, 0x08}, []byte{0x01, 0x18, 0x20, 0x07}, 44100, 1)
	f.Add([]byte{0x2b, 0x8a, 0x08, 0x00}, unit, 48000, 1) // SBR
	pcm := make([]float32, 2*MaxAACSamples)
	f.Fuzz(func(t *testing.T, config, data []byte, rate, channels int) {
		dec, err := NewAACDecoder(config, rate, channels)
		if err != nil {
			return
		}
		defer dec.Close()
		for _, u := range [][]byte{data, unit, data, data} {
			if n, early, err := dec.Decode(u, pcm); n < 0 || n > MaxAACSamples || early < 0 || err != nil && n != 0 {
				t.Errorf("%d samples, %d early, %v", n, early, err)
			}
		}
	})
}
