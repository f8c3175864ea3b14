package signal

import (
	"image"
	"math"
	"time"

	"golang.org/x/image/font/gofont/gomono"
)

// What a shared screen does: it stands still for stillFor, then scrolls by scrollLines lines within scrollFor.
const (
	stillFor    = 6 * time.Second
	scrollFor   = 2 * time.Second
	scrollLines = 6
	// textLines is how many lines of text are as high as the picture, when that is wide.
	textLines = 26
)

// text is what the page says: enough small letters to see what an encoder makes of them.
var text = []string{
	"package main", "", "import (", "    \"context\"", "    \"log/slog\"", "    \"os\"", ")", "",
	"// run serves until ctx ends. It returns the first error.", "func run(ctx context.Context, args []string) error {",
	"    cfg, err := parse(args)", "    if err != nil {", "        return fmt.Errorf(\"read flags: %w\", err)", "    }",
	"    for i, path := range cfg.Paths { // 0123456789 ABCDEF", "        slog.Info(\"open\", \"path\", path, \"number\", i)",
	"        if err := open(ctx, path); err != nil {", "            return err", "        }", "    }",
	"    return nil // {}[]()<>!?;:,. @#$%&*+-=/|~^_", "}", "",
	"Quarter     Viewers    Minutes    Cost", "Q1           12 480     96 112     1 204.50", "Q2           15 903    121 870     1 377.25",
	"Q3           14 277    118 404     1 351.00", "Q4           19 665    160 238     1 802.75", "", "The quick brown fox jumps over the lazy dog.",
	"Pack my box with five dozen liquor jugs. 1lI| 0O 5S 8B", "",
}

// Page draws the pictures of a participant that shares its screen: dark text on a light ground, with the same strip and
// lamp as a Painter's. One goroutine at a time may use it.
type Page struct {
	index int
	long  *image.YCbCr // the page, higher than the picture; its end goes on with its beginning
	size  image.Point
	line  float64 // pixels
	lamp  shape
}

// NewPage prepares pictures of width by height pixels, as NewPainter does.
func NewPage(index, width, height int) (*Page, error) {
	if err := checkSize(index, width, height); err != nil {
		return nil, err
	}
	w, h := float64(width), float64(height)
	p := &Page{index: index, size: image.Pt(width, height), lamp: lampShape(w, h)}
	// A narrow picture has smaller letters, so that lines fit.
	p.line = max(min(h/textLines, w/(textLines*16.0/9)), 5)
	rows := max(int(p.line*float64(len(text))), height)
	p.long = image.NewYCbCr(image.Rect(0, 0, width, (rows+1)&^1), image.YCbCrSubsampleRatio420)
	fillPlane(p.long.Y, 230)
	fillPlane(p.long.Cb, neutral)
	fillPlane(p.long.Cr, neutral)
	face, err := openFace(gomono.TTF, 0.82*p.line)
	if err != nil {
		return nil, err
	}
	for i, line := range text {
		mask := textMask(face, line)
		blendMask(p.long, mask, image.Pt(round(0.03*w), round(p.line*float64(i))), 40)
	}
	return p, nil
}

// Draw paints the whole picture for the time t into dst, as Painter.Draw does.
func (p *Page) Draw(dst *image.YCbCr, t time.Time) {
	from := int(scrolled(t)*p.line) % p.long.Rect.Dy() &^ 1 // whole rows of chroma
	scroll(dst.Y, dst.YStride, p.long.Y, p.long.YStride, from, p.size.X, p.size.Y)
	scroll(dst.Cb, dst.CStride, p.long.Cb, p.long.CStride, from/2, p.size.X/2, p.size.Y/2)
	scroll(dst.Cr, dst.CStride, p.long.Cr, p.long.CStride, from/2, p.size.X/2, p.size.Y/2)
	stripPanel(float64(p.size.X), float64(p.size.Y)).fill(dst, colour{black, neutral, neutral}, 1)
	drawStrip(dst, p.index, t)
	light := colour{black, neutral, neutral}
	if Flashing(t) {
		light.y = white
	}
	p.lamp.fill(dst, light, 1)
}

// scrolled is how many lines the page has moved at t.
func scrolled(t time.Time) float64 {
	const cycle = stillFor + scrollFor
	cycles, within := t.UnixNano()/int64(cycle), time.Duration(t.UnixNano()%int64(cycle))
	share := max(float64(within-stillFor)/float64(scrollFor), 0)
	return scrollLines * (float64(cycles%int64(len(text))) + 0.5 - 0.5*math.Cos(math.Pi*share))
}

// scroll copies rows from the given one on, and those from the beginning behind the last.
func scroll(dst []uint8, dstStride int, src []uint8, srcStride, from, width, height int) {
	rows := len(src) / srcStride
	for y := range height {
		copy(dst[y*dstStride:][:width], src[(from+y)%rows*srcStride:])
	}
}

func fillPlane(plane []uint8, value uint8) {
	for i := range plane {
		plane[i] = value
	}
}
