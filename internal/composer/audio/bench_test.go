package audio

import "testing"

// BenchmarkMix is one block of twelve participants: what they write, one packet at a time, and the sum.
func BenchmarkMix(b *testing.B) {
	timelines := make([]*Timeline, 12)
	for i := range timelines {
		timelines[i] = &Timeline{}
	}
	packet, out := make([]float32, 2*960), make([]float32, 2*Block)
	for i := range packet {
		packet[i] = float32(i%97)/200 - 0.24
	}
	var m Mixer
	written := int64(0)
	for b.Loop() {
		for ; written < m.Reads(); written += 960 {
			for _, t := range timelines {
				t.Write(written, packet)
			}
		}
		m.Mix(out, timelines)
	}
}
