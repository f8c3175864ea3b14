package signal

import (
	"flag"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var pictures = flag.String("pictures", "", "folder to write the participants' pictures to, for looking at them")

func TestWritePictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("-pictures is not given")
	}
	names := []string{"Ada", "Grace", "Linus", "Margaret", "Ken", "Barbara", "Dennis", "Frances", "Edsger", "Radia", "Alan", "A participant with a very long name"}
	for index, name := range names {
		painter, err := NewPainter(index, name, 640, 360)
		if err != nil {
			t.Fatal(err)
		}
		frame := painter.NewFrame()
		painter.Draw(frame, time.Date(2026, 11, 22, 20, 15, 4, index%4*90e6, time.UTC))
		file, err := os.Create(filepath.Join(*pictures, fmt.Sprintf("participant-%02d.png", index)))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(file, ToRGBA(frame)); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	painter, err := NewPainter(3, "Margaret", 640, 360)
	if err != nil {
		b.Fatal(err)
	}
	frame := painter.NewFrame()
	start := time.Unix(1764000000, 0)
	for i := range b.N {
		painter.Draw(frame, start.Add(time.Duration(i)*time.Second/30))
	}
}
