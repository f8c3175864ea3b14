package signal

import (
	"fmt"
	"image"
	"image/draw"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// clockCharacters are all that the running clock needs.
const clockCharacters = "0123456789:."

// openFace returns the font at the given height of the em in pixels.
func openFace(ttf []byte, pixels float64) (font.Face, error) {
	parsed, err := opentype.Parse(ttf)
	if err != nil {
		return nil, fmt.Errorf("parse font: %w", err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: pixels, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		return nil, fmt.Errorf("open font at %.0f pixels: %w", pixels, err)
	}
	return face, nil
}

// textMask draws a line of text as coverage, tight in width, from ascent to descent in height.
func textMask(face font.Face, text string) *image.Alpha {
	metrics := face.Metrics()
	width := font.MeasureString(face, text).Ceil()
	mask := image.NewAlpha(image.Rect(0, 0, max(width, 1), (metrics.Ascent + metrics.Descent).Ceil()))
	drawer := font.Drawer{Dst: mask, Src: image.Opaque, Face: face, Dot: fixed.Point26_6{Y: metrics.Ascent}}
	drawer.DrawString(text)
	return mask
}

// fittingMask draws text with the largest font that is at most the given pixels high and wide.
// Text that does not fit even at a quarter of that height is cut with an ellipsis.
func fittingMask(ttf []byte, text string, pixels, width float64) (*image.Alpha, error) {
	for size := pixels; ; size *= 0.92 {
		face, err := openFace(ttf, size)
		if err != nil {
			return nil, err
		}
		if float64(font.MeasureString(face, text).Ceil()) <= width {
			return textMask(face, text), nil
		}
		if size < pixels/4 {
			runes := []rune(text)
			for len(runes) > 1 && float64(font.MeasureString(face, string(runes)+"…").Ceil()) > width {
				runes = runes[:len(runes)-1]
			}
			return textMask(face, string(runes)+"…"), nil
		}
	}
}

// clockGlyphs are the clock's characters as coverage, all of one size.
func clockGlyphs(ttf []byte, pixels float64) (map[rune]*image.Alpha, error) {
	face, err := openFace(ttf, pixels)
	if err != nil {
		return nil, err
	}
	glyphs := make(map[rune]*image.Alpha, len(clockCharacters))
	size := textMask(face, "0").Rect
	for _, c := range clockCharacters {
		glyph := image.NewAlpha(size)
		draw.Draw(glyph, size, textMask(face, string(c)), image.Point{}, draw.Src)
		glyphs[c] = glyph
	}
	return glyphs, nil
}
