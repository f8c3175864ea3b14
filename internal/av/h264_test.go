package av

import (
	"errors"
	"image"
	"testing"
)

// clip encodes n pictures with a key frame every keys.
func clip(t testing.TB, w, h, n, keys int) [][]byte {
	t.Helper()
	enc, err := NewH264Encoder(H264Config{Width: w, Height: h, KeyInterval: keys, Preset: "ultrafast", BitRate: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	c, err := NewCanvas(w, h)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var out [][]byte
	for i := range n {
		gradient(c, i)
		coded, err := enc.Encode(c, int64(i), false)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, append([]byte(nil), coded.Data...))
	}
	return out
}

func newDecoder(t testing.TB) *H264Decoder {
	t.Helper()
	d, err := NewH264Decoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// Whatever is lost or broken, pictures that come out are whole: equal to those of an undisturbed decoder.
func TestH264ShowsNoBrokenPictures(t *testing.T) {
	const n, keys = 40, 20
	packets := clip(t, 320, 180, n, keys)
	want := make([]*image.YCbCr, n)
	show := newCanvas(t, 320, 180)
	decode := func(d *H264Decoder, data []byte, pts int64) (*image.YCbCr, error) {
		pic, err := d.Decode(data, pts)
		if pic == nil {
			return nil, err
		}
		defer pic.Release()
		if err := show.DrawPicture(pic, image.Rect(0, 0, 320, 180), show.Bounds()); err != nil {
			t.Fatal(err)
		}
		return show.Image(), err
	}
	d := newDecoder(t)
	for i, p := range packets {
		want[i], _ = decode(d, p, int64(i))
	}
	for name, spoil := range map[string]func(i int, p []byte) []byte{
		"lost": func(i int, p []byte) []byte { return nil },
		"cut":  func(i int, p []byte) []byte { return p[:len(p)*2/3] },
		"flipped": func(i int, p []byte) []byte {
			p = append([]byte(nil), p...)
			p[len(p)/2] ^= 0x55
			p[len(p)/3] ^= 0xff
			return p
		},
		"zeroed":    func(i int, p []byte) []byte { return make([]byte, len(p)) },
		"garbage":   func(i int, p []byte) []byte { return []byte("\x00\x00\x00\x01\x65this is not a slice of any picture") },
		"header":    func(i int, p []byte) []byte { return p[:5] },
		"swapped":   func(i int, p []byte) []byte { return packets[i+3] },
		"truncated": func(i int, p []byte) []byte { return p[:len(p)-4] },
	} {
		t.Run(name, func(t *testing.T) {
			for _, at := range []int{0, 1, 7} {
				d := newDecoder(t)
				wrong, shown := 0, 0
				for i, p := range packets {
					if i == at {
						if p = spoil(i, p); p == nil {
							continue
						}
					}
					got, err := decode(d, p, int64(i))
					if err != nil && !errors.Is(err, ErrDamaged) {
						t.Errorf("picture %d: %v", i, err)
					}
					if got == nil {
						if !d.NeedsKeyFrame() && i != at {
							t.Errorf("picture %d: silent without asking for a key frame", i)
						}
						continue
					}
					shown++
					if psnr(t, want[i], got) < 40 {
						wrong++
					}
				}
				t.Logf("at %d: %d shown, %d wrong", at, shown, wrong)
				if shown < n-keys {
					t.Errorf("at %d: only %d pictures shown: no recovery at the key frame", at, shown)
				}
				if wrong > 0 {
					t.Errorf("at %d: %d broken pictures shown", at, wrong)
				}
			}
		})
	}
}
