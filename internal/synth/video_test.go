package synth

import (
	"testing"
	"time"
)

// BenchmarkPicture is what one picture of 640x360 costs: drawing and encoding.
func BenchmarkPicture(b *testing.B) {
	film, err := newCamera(&Publisher{Name: "Ada", FrameRate: 30, BitRate: 1_000_000, Preset: "ultrafast", Content: Camera}, nil, 0, 640, 360)
	if err != nil {
		b.Fatal(err)
	}
	defer film.close()
	start := time.Unix(1764000000, 0)
	bytes, n := 0, int64(0)
	for ; b.Loop(); n++ {
		film.painter.Draw(film.frame, start.Add(time.Duration(n)*time.Second/30))
		picture, err := film.encoder.Encode(film.canvas, n, false)
		if err != nil {
			b.Fatal(err)
		}
		bytes += len(picture.Data)
	}
	b.ReportMetric(float64(bytes)*8*30/float64(n)/1000, "kb/s")
}
