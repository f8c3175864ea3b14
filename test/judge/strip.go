package judge

import (
	"image"
	"math"

	"github.com/footlight-live/footlight/internal/synth/signal"
)

// ReadStrip reads the strip of the synthetic participant whose whole picture is shown in rect of img.
// When a tile shows a cropped picture, rect is where the whole picture would be (see Cover) and may reach
// out of the image; crops of up to 2 % need no care. ok is false when no valid strip is there.
func ReadStrip(img image.Image, rect image.Rectangle) (index int, timeMS int64, ok bool) {
	return signal.ReadStrip(signal.Luma(img, rect.Inset(-rect.Dx()/20)), rect)
}

// readLamp tells whether the lamp is lit in the picture that rect shows.
func readLamp(luma *image.Gray, rect image.Rectangle) bool {
	w, h := float64(rect.Dx()), float64(rect.Dy())
	mean, ok := signal.Mean(luma, image.Rect(
		rect.Min.X+int(signal.LampCoreLeft*w), rect.Min.Y+int((signal.LampTop+0.2*signal.LampHeight)*h),
		rect.Min.X+int(signal.LampCoreRight*w), rect.Min.Y+int((signal.LampTop+0.8*signal.LampHeight)*h)))
	return ok && mean > 150 // unlit it is below 80 even with the ball in the middle
}

// Cover returns where a whole picture of width by height is when it fills the tile and is cropped.
func Cover(tile image.Rectangle, width, height int) image.Rectangle {
	return fit(tile, width, height, math.Max)
}

// Contain returns where a whole picture of width by height is when it is shown in the tile with bars.
func Contain(tile image.Rectangle, width, height int) image.Rectangle {
	return fit(tile, width, height, math.Min)
}

func fit(tile image.Rectangle, width, height int, choose func(a, b float64) float64) image.Rectangle {
	scale := choose(float64(tile.Dx())/float64(width), float64(tile.Dy())/float64(height))
	size := image.Pt(int(math.Round(float64(width)*scale)), int(math.Round(float64(height)*scale)))
	corner := tile.Min.Add(tile.Size().Sub(size).Div(2))
	return image.Rectangle{Min: corner, Max: corner.Add(size)}
}
