package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"os/exec"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/synth/signal"
)

// drawn decodes a key frame in Annex B form and reads when our participant drew the picture. The composer program decodes, as it does
// for thumbnails.
func (d *Doctor) drawn(ctx context.Context, key []byte) (time.Time, error) {
	cmd := exec.CommandContext(ctx, d.Composer, "thumbnail", "0") // as large as it is
	var words bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(key), &words
	out, err := cmd.Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("the picture cannot be decoded: %w %s", err, strings.TrimSpace(words.String()))
	}
	picture, err := jpeg.Decode(bytes.NewReader(out))
	if err != nil {
		return time.Time{}, fmt.Errorf("the picture cannot be decoded: %w", err)
	}
	return readDrawn(signal.Luma(picture, picture.Bounds()))
}

// readDrawn reads the time in a picture that our participant fills.
func readDrawn(luma *image.Gray) (time.Time, error) {
	index, ms, ok := signal.ReadStrip(luma, luma.Rect)
	if !ok || index != 0 {
		return time.Time{}, errors.New("the picture that arrives is not the one that was sent")
	}
	return time.UnixMilli(ms), nil
}
