package signal

import (
	"image"
	"image/color"
	"math"
)

// Participants is how many hues, tones and beeps are told apart; larger indexes repeat them.
const Participants = 12

// hue is the participant's hue in degrees. Twelve steps of 30°, taken five at a time so that
// participants who follow each other look very different.
func hue(index int) float64 {
	return math.Mod(float64(index%Participants)*150+255, 360)
}

// oklch converts lightness 0 to 1, chroma 0 to about 0.3 and hue in degrees to sRGB, each 0 to 1, clipped.
// Equal lightness looks equally light in every hue, so all participants' pictures weigh the same.
// Source: Björn Ottosson, "A perceptual color space for image processing", 2020.
func oklch(lightness, chroma, degrees float64) (r, g, b float64) {
	radians := degrees * math.Pi / 180
	aa, bb := chroma*math.Cos(radians), chroma*math.Sin(radians)
	l := cube(lightness + 0.3963377774*aa + 0.2158037573*bb)
	m := cube(lightness - 0.1055613458*aa - 0.0638541728*bb)
	s := cube(lightness - 0.0894841775*aa - 1.2914855480*bb)
	return gamma(4.0767416621*l - 3.3077115913*m + 0.2309699292*s),
		gamma(-1.2684380046*l + 2.6097574011*m - 0.3413193965*s),
		gamma(-0.0041960863*l - 0.7034186147*m + 1.7076147010*s)
}

func cube(x float64) float64 { return x * x * x }

func gamma(linear float64) float64 {
	linear = min(max(linear, 0), 1)
	if linear <= 0.0031308 {
		return 12.92 * linear
	}
	return 1.055*math.Pow(linear, 1/2.4) - 0.055
}

// Levels of BT.709 in limited range, as H.264 video uses them.
const (
	black   = 16
	white   = 235
	neutral = 128
)

// yuv converts sRGB, each 0 to 1, to BT.709 limited range, unrounded.
func yuv(r, g, b float64) (y, u, v float64) {
	luma := 0.2126*r + 0.7152*g + 0.0722*b
	return 16 + 219*luma, 128 + 224*(b-luma)/1.8556, 128 + 224*(r-luma)/1.5748
}

// ToRGBA converts a picture of ours (BT.709, limited range, unlike what the standard library expects of an
// image.YCbCr) for looking at.
func ToRGBA(picture *image.YCbCr) *image.RGBA {
	out := image.NewRGBA(picture.Rect)
	clip := func(x float64) uint8 { return uint8(min(max(x*255+0.5, 0), 255)) }
	for y := picture.Rect.Min.Y; y < picture.Rect.Max.Y; y++ {
		for x := picture.Rect.Min.X; x < picture.Rect.Max.X; x++ {
			c := picture.COffset(x, y)
			luma := (float64(picture.Y[picture.YOffset(x, y)]) - 16) / 219
			u, v := (float64(picture.Cb[c])-128)/224, (float64(picture.Cr[c])-128)/224
			r, b := luma+1.5748*v, luma+1.8556*u
			g := (luma - 0.2126*r - 0.0722*b) / 0.7152
			out.SetRGBA(x, y, color.RGBA{clip(r), clip(g), clip(b), 255})
		}
	}
	return out
}
