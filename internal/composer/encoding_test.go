package composer

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/footlight-live/footlight/internal/av"
)

// Every canvas that the API allows has an encoder, which makes a key frame first.
func TestEncodingForEveryCanvas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		long, short := 2*rapid.IntRange(1, 960).Draw(t, "long/2"), 2*rapid.IntRange(1, 540).Draw(t, "short/2")
		f := format{width: long, height: short, bitRate: rapid.SampledFrom([]int{1, 1000, 200_000, 2_500_000, 8_500_000}).Draw(t, "bitRate"),
			frameRate: rapid.SampledFrom([]float64{1, 12.5, 29.97, 30, 60}).Draw(t, "frameRate")}
		if rapid.Bool().Draw(t, "portrait") {
			f.width, f.height = f.height, f.width
		}
		e, err := av.NewH264Encoder(encodingFor(f))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		c, err := av.NewCanvas(f.width, f.height)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i := range 3 {
			c.Fill(c.Bounds(), uint8(50+20*i), 100, 150)
			coded, err := e.Encode(c, int64(i), false)
			if err != nil || coded.Key != (i%f.keyInterval() == 0) || len(coded.NALUs) == 0 {
				t.Fatalf("picture %d: key %v, %d units, %v", i, coded.Key, len(coded.NALUs), err)
			}
		}
	})
}
