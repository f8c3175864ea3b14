package preview

import (
	"image"
	"image/color"
	"math"
	"strings"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/layout"
)

// still is the picture of an imagined participant: somebody before a wall, or, for those with an attribute that
// speaks of a screen, a screen.
func still(p *layout.Participant, i int) (*av.Picture, error) {
	img := image.NewRGBA(image.Rect(0, 0, p.VideoWidth, p.VideoHeight))
	draw := person
	for name, value := range p.Attributes {
		if strings.Contains(strings.ToLower(name), "screen") && value == "true" {
			draw = screen
		}
	}
	draw(img, i)
	return picture(img)
}

// hue spreads participants over the colour wheel, neighbours far from each other.
func hue(i int) float64 { return math.Mod(205+137.5*float64(i), 360) }

var (
	skins = []color.RGBA{{0xf1, 0xc9, 0xa5, 0xff}, {0x8d, 0x5a, 0x3b, 0xff}, {0xe0, 0xac, 0x7d, 0xff}, {0xc6, 0x86, 0x5a, 0xff}, {0x5c, 0x3a, 0x28, 0xff}}
	hairs = []color.RGBA{{0x3a, 0x2a, 0x20, 0xff}, {0x1c, 0x18, 0x18, 0xff}, {0xb0, 0x7a, 0x3c, 0xff}, {0x6e, 0x4a, 0x2c, 0xff}}
)

// person draws head and shoulders before a wall with a picture on it.
func person(img *image.RGBA, i int) {
	w, h := float64(img.Rect.Dx()), float64(img.Rect.Dy())
	wall := hue(i)
	for y := range img.Rect.Dy() {
		c := hsl(wall, 0.30, 0.70-0.22*float64(y)/h)
		for x := range img.Rect.Dx() {
			img.SetRGBA(x, y, c)
		}
	}
	// Everything is measured by the shorter side, so that portrait pictures have people of the same shape.
	u, cx, floor := min(h, w), w/2, h
	ellipse(img, cx+0.62*u, 0.30*h, 0.16*u, 0.16*u, hsl(wall, 0.35, 0.78))
	ellipse(img, cx-0.66*u, 0.78*h, 0.12*u, 0.22*u, hsl(wall+20, 0.30, 0.42))
	skin, hair := skins[i%len(skins)], hairs[i%len(hairs)]
	head := floor - 0.56*u
	ellipse(img, cx, head-0.03*u, 0.175*u, 0.215*u, hair)
	ellipse(img, cx, floor+0.13*u, 0.40*u, 0.42*u, hsl(wall+170, 0.35, 0.36)) // shoulders
	ellipse(img, cx, floor-0.31*u, 0.085*u, 0.13*u, shade(skin, 0.88))        // neck
	ellipse(img, cx, head+0.02*u, 0.145*u, 0.185*u, skin)
	for _, side := range []float64{-1, 1} {
		ellipse(img, cx+side*0.055*u, head, 0.014*u, 0.018*u, shade(hair, 0.7))
	}
	ellipse(img, cx, head+0.10*u, 0.045*u, 0.016*u, shade(skin, 0.6))
}

// screen draws a slide: a title, lines of text, and bars.
func screen(img *image.RGBA, i int) {
	w, h := float64(img.Rect.Dx()), float64(img.Rect.Dy())
	rectangle(img, 0, 0, w, h, color.RGBA{0xfa, 0xfa, 0xf8, 0xff})
	accent := hsl(hue(i), 0.55, 0.45)
	rectangle(img, 0, 0, w, 0.02*h, accent)
	rectangle(img, 0.07*w, 0.12*h, 0.58*w, 0.20*h, color.RGBA{0x20, 0x24, 0x2c, 0xff})
	for k, length := range []float64{0.33, 0.29, 0.35, 0.22, 0.31, 0.18} {
		y := 0.34 + 0.09*float64(k)
		rectangle(img, 0.07*w, y*h, (0.07+length)*w, (y+0.025)*h, color.RGBA{0xb4, 0xb8, 0xc0, 0xff})
	}
	for k, height := range []float64{0.18, 0.30, 0.24, 0.42, 0.50} {
		x := 0.52 + 0.085*float64(k)
		rectangle(img, x*w, (0.86-height)*h, (x+0.06)*w, 0.86*h, accent)
	}
	rectangle(img, 0.50*w, 0.86*h, 0.95*w, 0.866*h, color.RGBA{0x50, 0x54, 0x5c, 0xff})
}

func rectangle(img *image.RGBA, x0, y0, x1, y1 float64, c color.RGBA) {
	for y := int(y0); y < int(y1+0.5); y++ {
		for x := int(x0); x < int(x1+0.5); x++ {
			img.SetRGBA(x, y, c)
		}
	}
}

// ellipse has smooth edges; what lies outside the image is cut off.
func ellipse(img *image.RGBA, cx, cy, rx, ry float64, c color.RGBA) {
	box := image.Rect(int(cx-rx)-1, int(cy-ry)-1, int(cx+rx)+2, int(cy+ry)+2).Intersect(img.Rect)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			d := math.Hypot((float64(x)+0.5-cx)/rx, (float64(y)+0.5-cy)/ry)
			k := max(0, min(1, (1-d)*min(rx, ry)+0.5))
			p := img.Pix[img.PixOffset(x, y):][:3:3]
			for i, v := range [3]uint8{c.R, c.G, c.B} {
				p[i] = uint8(float64(p[i])*(1-k) + float64(v)*k + 0.5)
			}
		}
	}
}

func shade(c color.RGBA, k float64) color.RGBA {
	return color.RGBA{uint8(float64(c.R) * k), uint8(float64(c.G) * k), uint8(float64(c.B) * k), 255}
}

// hsl makes a colour of hue in degrees, saturation and lightness from 0 to 1.
func hsl(h, s, l float64) color.RGBA {
	a := s * min(l, 1-l)
	f := func(n float64) uint8 {
		k := math.Mod(n+h/30, 12)
		return uint8(255*(l-a*max(-1, min(k-3, 9-k, 1))) + 0.5)
	}
	return color.RGBA{f(0), f(8), f(4), 255}
}

// picture converts to what decoders give: BT.709, limited range, 4:2:0.
func picture(img *image.RGBA) (*av.Picture, error) {
	out := image.NewYCbCr(img.Rect, image.YCbCrSubsampleRatio420)
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			luma, cb, cr := av.YCbCr709(img.RGBAAt(x, y))
			out.Y[out.YOffset(x, y)] = luma
			if (x|y)&1 == 0 {
				out.Cb[out.COffset(x, y)], out.Cr[out.COffset(x, y)] = cb, cr
			}
		}
	}
	return av.NewPicture(out, false, av.BT709)
}
