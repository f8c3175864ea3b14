package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/synth/signal"
)

// decode has the composer program decode media of a kind: arguments say how.
func (d *Doctor) decode(ctx context.Context, kind string, media io.Reader, arguments ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, d.Composer, arguments...)
	var words bytes.Buffer
	cmd.Stdin, cmd.Stderr = media, &words
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the %s cannot be decoded: %w %s", kind, err, strings.TrimSpace(words.String()))
	}
	return out, nil
}

// drawn decodes a key frame in Annex B form and reads when our participant drew the picture.
func (d *Doctor) drawn(ctx context.Context, key []byte) (time.Time, error) {
	out, err := d.decode(ctx, "picture", bytes.NewReader(key), "thumbnail", "0") // as large as it is
	if err != nil {
		return time.Time{}, err
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
