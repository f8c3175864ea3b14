package main

import (
	"context"
	"fmt"
	"image"
	"os/exec"
	"regexp"
	"strconv"

	"github.com/footlight-live/footlight/internal/composer/video"
)

// ideal is the precision of the composite that outputs are compared with.
const ideal = ":flags=lanczos+accurate_rnd"

var ssimOf = regexp.MustCompile(`SSIM Y:([0-9.]+)`)

// ssim is the luma SSIM of an output against the ideal composite: the same pictures, scaled by Lanczos, not
// encoded. Our engine crops by up to 1/64 where that spares it a filter; its ideal is cropped alike, since a
// shift of half a pixel is no loss. Engines may begin a picture early or late: the best match counts.
func (j Job) ssim(ctx context.Context, path string, cropped bool) (float64, error) {
	var crops []string
	if cropped {
		for _, t := range j.tiles() {
			r := image.Rect(t.Rect.X, t.Rect.Y, t.Rect.X+t.Rect.W, t.Rect.Y+t.Rect.H)
			src, _ := video.Fit(t.Fill, j.inputWidth(), j.InputHeight, r)
			crops = append(crops, fmt.Sprintf("%d:%d:%d:%d", src.Dx(), src.Dy(), src.Min.X, src.Min.Y))
		}
	}
	compare := func(output, reference, frames int) (float64, error) {
		args := []string{"-nostdin", "-v", "info", "-threads", "2", "-r", fmt.Sprint(j.FrameRate), "-i", path}
		for _, in := range j.Files {
			args = append(args, "-i", in)
		}
		graph := fmt.Sprintf("%s,trim=start_frame=%d,setpts=PTS-STARTPTS[want];[0:v]trim=start_frame=%d,setpts=PTS-STARTPTS[got];[got][want]ssim=shortest=1",
			j.stack(1, crops, ideal), reference, output)
		args = append(args, "-filter_complex", graph, "-frames:v", fmt.Sprint(frames), "-f", "null", "-")
		out, err := exec.CommandContext(ctx, "ffmpeg", args...).CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("compare with the ideal: %w: %s", err, out)
		}
		found := ssimOf.FindSubmatch(out)
		if found == nil {
			return 0, fmt.Errorf("compare with the ideal: no result in %s", out)
		}
		return strconv.ParseFloat(string(found[1]), 64)
	}
	best, output, reference := -1.0, 0, 0
	for _, shift := range [][2]int{{0, 0}, {1, 0}, {0, 1}} {
		v, err := compare(shift[0], shift[1], 45)
		if err != nil {
			return 0, err
		}
		if v > best {
			best, output, reference = v, shift[0], shift[1]
		}
	}
	return compare(output, reference, j.Seconds*j.FrameRate-1)
}
