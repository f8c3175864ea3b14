package judge

import (
	"image"
	"math"

	"github.com/footlight-live/footlight/internal/synth/signal"
)

// The reader tries the strip's nominal place first, then crops of up to 2 % at each border and shifts.
// StripJS has the same numbers and steps.
var (
	stripScales = []float64{1, 1.02, 1.04, 0.98}
	stripShifts = []float64{0, 0.006, -0.006, 0.012, -0.012}
)

const (
	minContrast = 60   // between the darkest and the lightest cell, of 255
	minMargin   = 0.15 // of a cell from the threshold, as a share of the contrast
)

// ReadStrip reads the strip of the synthetic participant whose whole picture is shown in rect of img.
// When a tile shows a cropped picture, rect is where the whole picture would be (see Cover) and may reach
// out of the image; crops of up to 2 % need no care. ok is false when no valid strip is there.
func ReadStrip(img image.Image, rect image.Rectangle) (index int, timeMS int64, ok bool) {
	return readStrip(lumaOf(img, rect.Inset(-rect.Dx()/20)), rect)
}

func readStrip(p plane, rect image.Rectangle) (index int, timeMS int64, ok bool) {
	for _, scale := range stripScales {
		for _, dy := range stripShifts {
			for _, dx := range stripShifts {
				cells, contrast := sampleStrip(p, rect, scale, dx, dy)
				if contrast < minContrast {
					return 0, 0, false // nothing that looks like a strip is near
				}
				if cells == 0 {
					continue
				}
				if index, timeMS, ok := signal.DecodeStrip(cells); ok {
					return index, timeMS, true
				}
			}
		}
	}
	return 0, 0, false
}

// sampleStrip takes the cells where they are when the picture is enlarged by scale around the middle of
// rect and shifted by shares of its size. Cells are 0 when one of them is neither black nor white.
func sampleStrip(p plane, rect image.Rectangle, scale, dx, dy float64) (cells uint64, contrast float64) {
	w, h := float64(rect.Dx())*scale, float64(rect.Dy())*scale
	left := float64(rect.Min.X) + float64(rect.Dx())*(0.5+dx) - w/2 + signal.StripLeft*w
	top := float64(rect.Min.Y) + float64(rect.Dy())*(0.5+dy) - h/2 + signal.StripTop*h
	cw, ch := signal.StripWidth*w/signal.StripColumns, signal.StripHeight*h/signal.StripRows

	var lumas [signal.StripCells]float64
	lowest, highest := 255.0, 0.0
	for i := range lumas {
		x, y := left+cw*float64(i%signal.StripColumns), top+ch*float64(i/signal.StripColumns)
		luma, ok := p.mean(innerBox(x, y, cw, ch))
		if !ok {
			return 0, math.MaxFloat64
		}
		lumas[i] = luma
		lowest, highest = min(lowest, luma), max(highest, luma)
	}
	contrast = highest - lowest
	for _, luma := range lumas {
		cells <<= 1
		share := (luma - lowest) / contrast
		if math.Abs(share-0.5) < minMargin {
			return 0, contrast
		}
		if share > 0.5 {
			cells |= 1
		}
	}
	return cells, contrast
}

// innerBox is the middle half of a cell in each direction, at least one pixel.
func innerBox(x, y, w, h float64) image.Rectangle {
	x0, y0 := int(math.Round(x+w/4)), int(math.Round(y+h/4))
	x1, y1 := int(math.Round(x+3*w/4)), int(math.Round(y+3*h/4))
	return image.Rect(x0, y0, max(x1, x0+1), max(y1, y0+1))
}

// readLamp tells whether the lamp is lit in the picture that rect shows.
func readLamp(p plane, rect image.Rectangle) bool {
	w, h := float64(rect.Dx()), float64(rect.Dy())
	luma, ok := p.mean(image.Rect(
		rect.Min.X+int(signal.LampCoreLeft*w), rect.Min.Y+int((signal.LampTop+0.2*signal.LampHeight)*h),
		rect.Min.X+int(signal.LampCoreRight*w), rect.Min.Y+int((signal.LampTop+0.8*signal.LampHeight)*h)))
	return ok && luma > 150 // unlit it is below 80 even with the ball in the middle
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
