package judge

import "image"

// survey is the mean and the largest luma of every fourth pixel of the box in every fourth line.
func survey(luma *image.Gray, box image.Rectangle) (mean, largest uint8) {
	box = box.Intersect(luma.Rect)
	sum, count := 0, 0
	for y := box.Min.Y; y < box.Max.Y; y += 4 {
		row := luma.Pix[(y-luma.Rect.Min.Y)*luma.Stride:]
		for x := box.Min.X - luma.Rect.Min.X; x < box.Max.X-luma.Rect.Min.X; x += 4 {
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
