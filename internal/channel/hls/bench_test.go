package hls

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkFrame takes one frame of 720p30 at 2.5 Mb/s, and its sound at 128 kb/s, into a playlist. Overhead is what the
// container adds to the bytes of both.
func BenchmarkFrame(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	bytes := func(n int) []byte {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		return data
	}
	key, other, sound := bytes(60_000), bytes(9_570), bytes(341)
	key[0], other[0] = 0x65, 0x41
	for name, c := range map[string]Container{"TS": MPEGTS, "fMP4": FragmentedMP4} {
		b.Run(name, func(b *testing.B) {
			m := New(Config{Prefix: "b", Wall: wall, PartTarget: PartTarget(3000), Container: c})
			if err := m.SetTracks(tracks180); err != nil {
				b.Fatal(err)
			}
			next := int64(0)
			b.ReportAllocs()
			for i := range int64(b.N) {
				f := VideoFrame{DTS: i * 3000, PTS: i * 3000, Duration: 3000, Key: i%60 == 0, NALUs: [][]byte{other}}
				if f.Key {
					f.NALUs[0] = key
				}
				if err := m.WriteVideo(f); err != nil {
					b.Fatal(err)
				}
				for ; next*ClockRate < (i+1)*3000*48000; next += samplesPerAU {
					if err := m.WriteAudio(AudioFrame{DTS: next, AU: sound}); err != nil {
						b.Fatal(err)
					}
				}
			}
			if n := len(m.segments); n > 10 {
				in := float64(len(key)+59*len(other)) + 2*48000./samplesPerAU*float64(len(sound))
				b.ReportMetric(100*(float64(len(m.segments[n-1].data))/in-1), "%overhead")
			}
		})
	}
}
