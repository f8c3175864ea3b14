package av

import (
	"image"
	"math"
	"testing"
)

// chart is a picture with slopes, edges, rings and letters' detail.
func chart(w, h int) *image.YCbCr {
	img := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	for y := range h {
		for x := range w {
			dx, dy := float64(x-w/2), float64(y-h/2)
			v := 128 + 60*math.Sin((dx*dx+dy*dy)/900) + 30*math.Sin(float64(x)/23)
			if x/40%3 == 0 && y/24%2 == 0 && (x*7+y*13)%11 < 5 {
				v = 40
			}
			if (x+y)%97 < 6 {
				v = 220
			}
			img.Y[y*img.YStride+x] = uint8(min(max(v, 0), 255))
		}
	}
	for y := range (h + 1) / 2 {
		for x := range (w + 1) / 2 {
			img.Cb[y*img.CStride+x] = uint8(128 + 90*math.Sin(float64(x)/17))
			img.Cr[y*img.CStride+x] = uint8(128 + 90*math.Cos(float64(y)/13))
		}
	}
	return img
}

// resample is the reference: a filter of the given reach, widened where the picture shrinks, both ways.
func resample(pix []byte, stride, w, h, toW, toH int, reach float64, filter func(float64) float64) []float64 {
	along := func(n, to int, at func(i int) float64, set func(i int, v float64)) {
		scale := float64(n) / float64(to)
		wide := max(1, scale)
		for i := range to {
			centre := (float64(i)+0.5)*scale - 0.5
			var sum, weight float64
			for j := int(math.Ceil(centre - reach*wide)); float64(j) <= centre+reach*wide; j++ {
				k := filter((float64(j) - centre) / wide)
				sum += k * at(min(max(j, 0), n-1))
				weight += k
			}
			set(i, sum/weight)
		}
	}
	rows := make([]float64, toW*h)
	for y := range h {
		along(w, toW, func(i int) float64 { return float64(pix[y*stride+i]) }, func(i int, v float64) { rows[y*toW+i] = v })
	}
	out := make([]float64, toW*toH)
	for x := range toW {
		along(h, toH, func(i int) float64 { return rows[i*toW+x] }, func(i int, v float64) { out[i*toW+x] = v })
	}
	return out
}

func lanczos(x float64) float64 {
	if x == 0 {
		return 1
	}
	if math.Abs(x) >= 3 {
		return 0
	}
	return 3 * math.Sin(math.Pi*x) * math.Sin(math.Pi*x/3) / (math.Pi * math.Pi * x * x)
}

// area weighs a sample by how much of it lies under the box, as swscale's area filter does.
func area(scale float64) func(float64) float64 {
	half := 0.5 / max(1, scale) // of a sample
	return func(x float64) float64 {
		return max(0, min(0.5, x+half)-max(-0.5, x-half))
	}
}

func distance(a, b []float64) float64 {
	var sum float64
	for i := range a {
		d := min(max(a[i], 0), 255) - min(max(b[i], 0), 255)
		sum += d * d
	}
	return 10 * math.Log10(255*255/(sum/float64(len(a))+1e-9))
}

// Every ratio with a filter of its own comes as near to Lanczos as the area filter does, in luma and chroma, up
// to the edges, in sizes that are no multiples of anything.
func TestScalingIsGood(t *testing.T) {
	for _, c := range []struct {
		name     string
		src, dst image.Point
	}{
		{"2:1", image.Pt(1276, 716), image.Pt(638, 358)},
		{"4:1", image.Pt(1272, 712), image.Pt(318, 178)},
		{"3:1", image.Pt(1272, 714), image.Pt(424, 238)},
		{"3:1, small", image.Pt(66, 42), image.Pt(22, 14)},
		{"3:2", image.Pt(636, 357), image.Pt(424, 238)},
		{"3:2, odd chroma", image.Pt(321, 183), image.Pt(214, 122)},
		{"1:2", image.Pt(640, 360), image.Pt(1280, 720)},
		{"1:2, odd source", image.Pt(319, 181), image.Pt(638, 362)},
		{"any", image.Pt(960, 540), image.Pt(638, 358)},
	} {
		t.Run(c.name, func(t *testing.T) {
			img := chart(c.src.X, c.src.Y)
			p, err := NewPicture(img, false, BT709)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Release()
			canvas := newCanvas(t, c.dst.X, c.dst.Y)
			if err := canvas.DrawPicture(p, image.Rectangle{Max: c.src}, canvas.Bounds()); err != nil {
				t.Fatal(err)
			}
			got := canvas.Image()
			for i, plane := range []struct {
				in, out              []byte
				stride, w, h, dw, dh int
			}{
				{img.Y, got.Y, img.YStride, c.src.X, c.src.Y, c.dst.X, c.dst.Y},
				{img.Cb, got.Cb, img.CStride, (c.src.X + 1) / 2, (c.src.Y + 1) / 2, c.dst.X / 2, c.dst.Y / 2},
			} {
				out := make([]float64, len(plane.out))
				for j, v := range plane.out {
					out[j] = float64(v)
				}
				scale := float64(c.src.X) / float64(c.dst.X)
				want := resample(plane.in, plane.stride, plane.w, plane.h, plane.dw, plane.dh, 3, lanczos)
				box := resample(plane.in, plane.stride, plane.w, plane.h, plane.dw, plane.dh, 1.5, area(scale))
				ours, bar := distance(out, want), distance(box, want)
				t.Logf("plane %d: %.1f dB, area %.1f dB", i, ours, bar)
				if ours < min(bar, 42)-0.3 {
					t.Errorf("plane %d: %.1f dB from Lanczos, the area filter %.1f dB", i, ours, bar)
				}
			}
		})
	}
}
