package av

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// noise fills the canvas with what no encoder can hold to a bitrate.
func noise(c *Canvas, r *rand.Rand) {
	for i := range 3 {
		pix, _ := c.Plane(i)
		for j := range pix {
			pix[j] = uint8(16 + r.IntN(220))
		}
	}
}

// Whatever the content, each call returns one picture, key frames come where they are asked for and at the
// interval, and the decoder shows each picture at once, with the parameter sets that the encoder gave first.
func TestH264EncoderKeepsTheCadence(t *testing.T) {
	for _, cfg := range []H264Config{
		{Encoder: X264, Preset: "superfast"},
		{Encoder: OpenH264},
		{Encoder: OpenH264, Preset: "low"},
		{Encoder: OpenH264, Threads: 3},
		{Encoder: OpenH264, Profile: "baseline"},
		{Encoder: OpenH264, FrameRate: 1},
		{Encoder: OpenH264, FrameRate: 60000.0 / 1001},
		{Encoder: OpenH264, FrameRate: 60, BitRate: 8_000_000, Width: 180, Height: 320},
	} {
		cfg.Width, cfg.Height = cmp.Or(cfg.Width, 322), cmp.Or(cfg.Height, 178)
		if cfg.BitRate == 0 {
			cfg.BitRate = 100_000
		}
		cfg.KeyInterval = 20
		for _, omit := range []bool{false, true} {
			cfg.OmitHeaders = omit
			t.Run(fmt.Sprintf("%+v", cfg), func(t *testing.T) {
				enc, err := NewH264Encoder(cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer enc.Close()
				checkSPS(t, enc.SPS(), cfg)
				c, dec, r := newCanvas(t, cfg.Width, cfg.Height), newDecoder(t), rand.New(rand.NewPCG(1, 2))
				header, err := h264.AnnexB([][]byte{enc.SPS(), enc.PPS()}).Marshal()
				if err != nil {
					t.Fatal(err)
				}
				next := 0
				for i := range 100 {
					switch i / 10 % 3 {
					case 0:
						noise(c, r)
					case 1: // still
					case 2:
						gradient(c, i)
					}
					force := i == 6 || i == 7 || i == 13 || i == 50
					coded, err := enc.Encode(c, int64(i), force)
					if err != nil {
						t.Fatalf("picture %d: %v", i, err)
					}
					// Noise after a still picture may not fit OpenH264's buffer: it starts anew.
					overflow := cfg.Encoder == OpenH264 && i > 0 && i%30 == 0 && coded.Key
					if want := force || i == next || overflow; coded.Key != want {
						t.Fatalf("picture %d: key %v, want %v", i, coded.Key, want)
					}
					if coded.Key {
						next = i + cfg.KeyInterval
					}
					headers := checkUnits(t, coded, enc)
					if want := coded.Key && !omit; headers != want {
						t.Errorf("picture %d: headers %v, want %v", i, headers, want)
					}
					data := coded.Data
					if omit && coded.Key {
						data = append(bytes.Clone(header), data...)
					}
					pic, err := dec.Decode(data, coded.PTS)
					if err != nil || pic == nil {
						t.Fatalf("picture %d: %v, %v", i, pic, err)
					}
					pic.Release()
				}
			})
		}
	}
}

// checkUnits tells whether the picture carries parameter sets, which must be the encoder's.
func checkUnits(t *testing.T, coded EncodedPicture, enc *H264Encoder) (headers bool) {
	t.Helper()
	var units h264.AnnexB
	if err := units.Unmarshal(coded.Data); err != nil {
		t.Fatal(err)
	}
	if len(units) != len(coded.NALUs) {
		t.Fatalf("%d units, described as %d", len(units), len(coded.NALUs))
	}
	for i, u := range units {
		if !bytes.Equal(u, coded.NALUs[i]) {
			t.Fatalf("unit %d: %d bytes, described as %d", i, len(u), len(coded.NALUs[i]))
		}
		switch kind := h264.NALUType(u[0] & 0x1f); kind {
		case h264.NALUTypeSPS:
			headers = true
			if !bytes.Equal(u, enc.SPS()) {
				t.Error("another SPS")
			}
		case h264.NALUTypePPS:
			if !bytes.Equal(u, enc.PPS()) {
				t.Error("another PPS")
			}
		case h264.NALUTypeIDR, h264.NALUTypeNonIDR:
			if (kind == h264.NALUTypeIDR) != coded.Key {
				t.Errorf("slice of type %v in a picture with key %v", kind, coded.Key)
			}
		}
	}
	return headers
}

func checkSPS(t *testing.T, data []byte, cfg H264Config) {
	t.Helper()
	var sps h264.SPS
	if err := sps.Unmarshal(data); err != nil {
		t.Fatal(err)
	}
	if sps.Width() != cfg.Width || sps.Height() != cfg.Height {
		t.Errorf("SPS of %dx%d", sps.Width(), sps.Height())
	}
	profile := uint8(77)
	if cfg.Profile == "baseline" {
		profile = 66
	}
	v := sps.VUI
	if sps.ProfileIdc != profile || v == nil || v.VideoFullRangeFlag || v.ColourPrimaries != 1 || v.TransferCharacteristics != 1 || v.MatrixCoefficients != 1 {
		t.Errorf("profile %d, VUI %+v", sps.ProfileIdc, v)
	}
	if v == nil || v.BitstreamRestriction == nil || v.BitstreamRestriction.MaxNumReorderFrames != 0 {
		t.Errorf("SPS does not rule out reordering")
	}
}

// The same pictures make the same stream: a composition can be replayed.
func TestOpenH264IsDeterministic(t *testing.T) {
	stream := func() []byte {
		enc, err := NewH264Encoder(H264Config{Encoder: OpenH264, Width: 320, Height: 180, Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer enc.Close()
		c := newCanvas(t, 320, 180)
		var all []byte
		for i := range 20 {
			gradient(c, i)
			coded, err := enc.Encode(c, int64(i), false)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, coded.Data...)
		}
		return all
	}
	if !bytes.Equal(stream(), stream()) {
		t.Error("two streams of the same pictures differ")
	}
}

func TestEncodersByName(t *testing.T) {
	for cfg, words := range map[H264Config]string{
		{}:                                   "x264 veryfast, main profile, 2500 kb/s",
		{Encoder: X264, Preset: "superfast"}: "x264 superfast, main profile, 2500 kb/s",
		{Encoder: OpenH264, Threads: 2}:      "openh264 medium, main profile, 2500 kb/s, 2 threads",
		{Encoder: OpenH264, Profile: "high"}: "",
		{Encoder: OpenH264, Preset: "fast"}:  "",
		{Encoder: X264, Preset: "low"}:       "",
		{Encoder: "h265"}:                    "",
	} {
		cfg.Width, cfg.Height = 64, 64
		enc, err := NewH264Encoder(cfg)
		if words == "" {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%+v: %v", cfg, err)
			}
			continue
		}
		if err != nil || enc.String() != words {
			t.Errorf("%+v: %v, %v", cfg, enc, err)
		}
		enc.Close()
	}
}

// An encoder that hurries makes the stream of one opened at low complexity, and with care that of medium.
func TestHurry(t *testing.T) {
	canvas := newCanvas(t, 320, 180)
	stream := func(encoder, preset string, hurry ...bool) (out []byte) {
		e, err := NewH264Encoder(H264Config{Width: 320, Height: 180, BitRate: 300_000, Encoder: encoder, Preset: preset})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for i := range 12 {
			if i < len(hurry) {
				e.Hurry(hurry[i])
			}
			gradient(canvas, i)
			coded, err := e.Encode(canvas, int64(i), false)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, coded.Data...)
		}
		return out
	}
	low, medium := stream(OpenH264, "low"), stream(OpenH264, "medium")
	if bytes.Equal(low, medium) {
		t.Fatal("low and medium complexity are the same")
	}
	if !bytes.Equal(stream(OpenH264, "medium", true), low) || !bytes.Equal(stream(OpenH264, "low", true, false), low) {
		t.Error("hurrying is not low complexity")
	}
	mixed := stream(OpenH264, "medium", false, false, false, true, false)
	if bytes.Equal(mixed, medium) || bytes.Equal(mixed, low) {
		t.Error("one hurried picture makes no difference, or all of it")
	}
	if !bytes.Equal(stream(X264, "superfast", true), stream(X264, "superfast")) {
		t.Error("x264 hurries")
	}
}
