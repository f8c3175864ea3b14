package judge

import (
	"image"
	"image/color"
)

// plane is the luma of a picture, full or limited range: readers only compare.
type plane struct {
	pix    []uint8
	stride int
	rect   image.Rectangle
}

// lumaOf returns the luma of img, at least within the rectangle. Gray and YCbCr pictures are not copied.
func lumaOf(img image.Image, within image.Rectangle) plane {
	switch img := img.(type) {
	case *image.Gray:
		return plane{img.Pix, img.Stride, img.Rect}
	case *image.YCbCr:
		return plane{img.Y, img.YStride, img.Rect}
	}
	gray := image.NewGray(within.Intersect(img.Bounds()))
	for y := gray.Rect.Min.Y; y < gray.Rect.Max.Y; y++ {
		for x := gray.Rect.Min.X; x < gray.Rect.Max.X; x++ {
			gray.SetGray(x, y, color.GrayModel.Convert(img.At(x, y)).(color.Gray))
		}
	}
	return plane{gray.Pix, gray.Stride, gray.Rect}
}

// mean is the mean luma of the box, which must not be empty; ok is false when it is not wholly in the picture.
func (p plane) mean(box image.Rectangle) (luma float64, ok bool) {
	if box.Empty() || !box.In(p.rect) {
		return 0, false
	}
	sum := 0
	for y := box.Min.Y; y < box.Max.Y; y++ {
		row := p.pix[(y-p.rect.Min.Y)*p.stride:]
		for _, value := range row[box.Min.X-p.rect.Min.X : box.Max.X-p.rect.Min.X] {
			sum += int(value)
		}
	}
	return float64(sum) / float64(box.Dx()*box.Dy()), true
}

// survey is the mean and the largest luma of every fourth pixel of the box in every fourth line.
func (p plane) survey(box image.Rectangle) (mean, largest uint8) {
	box = box.Intersect(p.rect)
	sum, count := 0, 0
	for y := box.Min.Y; y < box.Max.Y; y += 4 {
		row := p.pix[(y-p.rect.Min.Y)*p.stride:]
		for x := box.Min.X - p.rect.Min.X; x < box.Max.X-p.rect.Min.X; x += 4 {
			sum += int(row[x])
			largest = max(largest, row[x])
			count++
		}
	}
	if count == 0 {
		return 0, 0
	}
	return uint8(sum / count), largest
}
