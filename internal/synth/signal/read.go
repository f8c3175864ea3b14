package signal

import (
	"image"
	"image/color"
	"math"
)

// The reader tries the strip's nominal place first, then crops of up to 2 % at each border and shifts.
// StripJS of package judge has the same numbers and steps.
var (
	stripScales = []float64{1, 1.02, 1.04, 0.98}
	stripShifts = []float64{0, 0.006, -0.006, 0.012, -0.012}
)

const (
	minContrast = 60   // between the darkest and the lightest cell, of 255
	minMargin   = 0.15 // of a cell from the threshold, as a share of the contrast
)

// ReadStrip reads the strip of the synthetic participant whose whole picture is shown in rect of the picture with this
// luma. rect may reach out of the picture when that shows a part; crops of up to 2 % need no care. ok is false when no valid
// strip is there.
func ReadStrip(luma *image.Gray, rect image.Rectangle) (index int, timeMS int64, ok bool) {
	for _, scale := range stripScales {
		for _, dy := range stripShifts {
			for _, dx := range stripShifts {
				cells, contrast := sampleStrip(luma, rect, scale, dx, dy)
				if contrast < minContrast {
					return 0, 0, false // nothing that looks like a strip is near
				}
				if cells == 0 {
					continue
				}
				if index, timeMS, ok := DecodeStrip(cells); ok {
					return index, timeMS, true
				}
			}
		}
	}
	return 0, 0, false
}

// sampleStrip takes the cells where they are when the picture is enlarged by scale around the middle of
// rect and shifted by shares of its size. Cells are 0 when one of them is neither black nor white.
func sampleStrip(luma *image.Gray, rect image.Rectangle, scale, dx, dy float64) (cells uint64, contrast float64) {
	w, h := float64(rect.Dx())*scale, float64(rect.Dy())*scale
	left := float64(rect.Min.X) + float64(rect.Dx())*(0.5+dx) - w/2 + StripLeft*w
	top := float64(rect.Min.Y) + float64(rect.Dy())*(0.5+dy) - h/2 + StripTop*h
	cw, ch := StripWidth*w/StripColumns, StripHeight*h/StripRows

	var lumas [StripCells]float64
	lowest, highest := 255.0, 0.0
	for i := range lumas {
		x, y := left+cw*float64(i%StripColumns), top+ch*float64(i/StripColumns)
		value, ok := Mean(luma, innerBox(x, y, cw, ch))
		if !ok {
			return 0, math.MaxFloat64
		}
		lumas[i] = value
		lowest, highest = min(lowest, value), max(highest, value)
	}
	contrast = highest - lowest
	for _, value := range lumas {
		cells <<= 1
		share := (value - lowest) / contrast
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
	x0, y0 := round(x+w/4), round(y+h/4)
	x1, y1 := round(x+3*w/4), round(y+3*h/4)
	return image.Rect(x0, y0, max(x1, x0+1), max(y1, y0+1))
}

// Luma returns the luma of img, full or limited range, at least within the rectangle. Gray and YCbCr pictures are not copied.
func Luma(img image.Image, within image.Rectangle) *image.Gray {
	switch img := img.(type) {
	case *image.Gray:
		return img
	case *image.YCbCr:
		return &image.Gray{Pix: img.Y, Stride: img.YStride, Rect: img.Rect}
	}
	gray := image.NewGray(within.Intersect(img.Bounds()))
	for y := gray.Rect.Min.Y; y < gray.Rect.Max.Y; y++ {
		for x := gray.Rect.Min.X; x < gray.Rect.Max.X; x++ {
			gray.SetGray(x, y, color.GrayModel.Convert(img.At(x, y)).(color.Gray))
		}
	}
	return gray
}

// Mean is the mean luma of the box; ok is false when that is empty, or not wholly in the picture.
func Mean(luma *image.Gray, box image.Rectangle) (mean float64, ok bool) {
	if box.Empty() || !box.In(luma.Rect) {
		return 0, false
	}
	sum := 0
	for y := box.Min.Y; y < box.Max.Y; y++ {
		row := luma.Pix[(y-luma.Rect.Min.Y)*luma.Stride:]
		for _, value := range row[box.Min.X-luma.Rect.Min.X : box.Max.X-luma.Rect.Min.X] {
			sum += int(value)
		}
	}
	return float64(sum) / float64(box.Dx()*box.Dy()), true
}
