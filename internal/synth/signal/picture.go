package signal

import (
	"fmt"
	"image"
	"math"
	"time"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomonobold"
)

// The smallest picture whose strip can be read, in pixels.
const (
	MinWidth  = 160
	MinHeight = 90
)

// Painter draws the pictures of one participant at one size. Everything that stands still is drawn once;
// a picture of 640x360 then costs well under a millisecond. One goroutine at a time may use it.
type Painter struct {
	index  int
	still  *image.YCbCr
	lamp   shape
	glyphs map[rune]*image.Alpha
	clock  image.Point // top left of the clock
	ball   colour
}

// NewPainter prepares pictures of width by height pixels, both even and at least MinWidth by MinHeight,
// for the participant with this index (0 to MaxIndex) and name.
func NewPainter(index int, name string, width, height int) (*Painter, error) {
	if err := checkSize(index, width, height); err != nil {
		return nil, err
	}
	p := &Painter{index: index, still: image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)}
	w, h := float64(width), float64(height)
	p.ball = newColour(oklch(0.86, 0.11, hue(index)))
	drawBackground(p.still, index)

	stripPanel(w, h).fill(p.still, colour{black, neutral, neutral}, 1)
	p.lamp = lampShape(w, h)
	p.lamp.fill(p.still, newColour(oklch(0.20, 0.04, hue(index))), 0.82)

	title, err := fittingMask(gobold.TTF, name, 0.21*h, 0.84*w)
	if err != nil {
		return nil, err
	}
	blendMask(p.still, title, centred(title.Rect, width, round(0.385*h)), white)
	if p.glyphs, err = clockGlyphs(gomonobold.TTF, 0.135*h); err != nil {
		return nil, err
	}
	line := image.Rect(0, 0, len("00:00:00.000")*p.glyphs['0'].Rect.Dx(), p.glyphs['0'].Rect.Dy())
	p.clock = centred(line, width, round(0.58*h))
	return p, nil
}

func checkSize(index, width, height int) error {
	switch {
	case index < 0 || index > MaxIndex:
		return fmt.Errorf("paint participant %d: index must be 0 to %d", index, MaxIndex)
	case width < MinWidth || height < MinHeight || width%2 != 0 || height%2 != 0:
		return fmt.Errorf("paint %dx%d: sides must be even and at least %dx%d", width, height, MinWidth, MinHeight)
	}
	return nil
}

// NewFrame returns a picture of the painter's size to draw into.
func (p *Painter) NewFrame() *image.YCbCr {
	return image.NewYCbCr(p.still.Rect, image.YCbCrSubsampleRatio420)
}

// Draw paints the whole picture for the time t into dst: 4:2:0, BT.709, limited range, of the painter's size
// and with its corner at the origin, but with any strides. The clock shows t in t's own location.
func (p *Painter) Draw(dst *image.YCbCr, t time.Time) {
	copyRows(dst.Y, dst.YStride, p.still.Y, p.still.YStride)
	copyRows(dst.Cb, dst.CStride, p.still.Cb, p.still.CStride)
	copyRows(dst.Cr, dst.CStride, p.still.Cr, p.still.CStride)
	drawStrip(dst, p.index, t)
	at := p.clock
	for _, c := range t.Format("15:04:05.000") {
		blendMask(dst, p.glyphs[c], at, white)
		at.X += p.glyphs[c].Rect.Dx()
	}
	if Flashing(t) {
		p.lamp.fill(dst, colour{white, neutral, neutral}, 1)
		return
	}
	radius := 0.36 * (p.lamp.y1 - p.lamp.y0)
	middle, reach := (p.lamp.x0+p.lamp.x1)/2, (p.lamp.x1-p.lamp.x0)/2-1.4*radius
	x, y := middle+reach*swing(t), (p.lamp.y0+p.lamp.y1)/2
	ball := shape{x0: x - radius, y0: y - radius, x1: x + radius, y1: y + radius, radius: radius}
	ball.fill(dst, p.ball, 1)
}

// stripPanel is the dark ground of the strip.
func stripPanel(w, h float64) shape {
	return shape{
		x0: (StripLeft - 0.012) * w, y0: StripTop*h - 0.012*w,
		x1: (StripLeft + StripWidth + 0.012) * w, y1: (StripTop+StripHeight)*h + 0.012*w, radius: 0.014 * w,
	}
}

func lampShape(w, h float64) shape {
	return shape{
		x0: LampLeft * w, y0: LampTop * h,
		x1: (LampLeft + LampWidth) * w, y1: (LampTop + LampHeight) * h, radius: LampHeight * h / 2,
	}
}

// drawStrip paints the white cells; the ground must be black.
func drawStrip(dst *image.YCbCr, index int, t time.Time) {
	cells := EncodeStrip(index, t.UnixMilli())
	for i := range StripCells {
		if cells>>(StripCells-1-i)&1 == 0 {
			continue
		}
		cell := stripCell(dst.Rect.Dx(), dst.Rect.Dy(), i%StripColumns, i/StripColumns)
		for y := cell.Min.Y; y < cell.Max.Y; y++ {
			row := dst.Y[y*dst.YStride:][cell.Min.X:cell.Max.X]
			for x := range row {
				row[x] = white
			}
		}
	}
}

// copyRows copies a plane whose rows are as wide as its stride.
func copyRows(dst []uint8, stride int, src []uint8, width int) {
	for row := 0; len(src) > 0; row++ {
		copy(dst[row*stride:][:width], src)
		src = src[width:]
	}
}

// drawBackground paints a diagonal gradient around the participant's hue with two soft rings of light.
func drawBackground(dst *image.YCbCr, index int) {
	size, base := dst.Rect.Size(), hue(index)
	w, h := float64(size.X), float64(size.Y)
	at := func(x, y float64) (float64, float64, float64) {
		slope := 0.5*x/w + 0.5*y/h
		light := 0.56 - 0.30*slope
		light += 0.07 * disc(x-0.86*w, y-0.12*h, 0.62*h) * (1 - slope)
		light += 0.05 * disc(x-0.86*w, y-0.12*h, 0.36*h)
		light -= 0.05 * disc(x-0.06*w, y-1.02*h, 0.70*h)
		return yuv(oklch(light, 0.125-0.03*slope, base+40*(slope-0.5)))
	}
	for y := range size.Y {
		for x := range size.X {
			luma, _, _ := at(float64(x)+0.5, float64(y)+0.5)
			dst.Y[y*dst.YStride+x] = uint8(luma + 0.5)
		}
	}
	for y := range size.Y / 2 {
		for x := range size.X / 2 {
			_, u, v := at(float64(2*x)+1, float64(2*y)+1)
			dst.Cb[y*dst.CStride+x], dst.Cr[y*dst.CStride+x] = uint8(u+0.5), uint8(v+0.5)
		}
	}
}

// disc is 1 inside the radius and 0 outside, with an edge of two pixels.
func disc(dx, dy, radius float64) float64 {
	return min(max((radius-math.Hypot(dx, dy))/2+0.5, 0), 1)
}

func centred(box image.Rectangle, width, middle int) image.Point {
	return image.Pt((width-box.Dx())/2, middle-box.Dy()/2)
}
