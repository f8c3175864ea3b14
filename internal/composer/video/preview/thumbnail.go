package preview

import (
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"

	"github.com/footlight-live/footlight/internal/av"
)

const (
	maxAccessUnit    = 8 << 20 // bytes
	thumbnailQuality = 85
	// reordering is how often a decoder may have to be given a picture before it shows the first one.
	reordering = 17
)

// Thumbnail reads one H.264 key frame in Annex B form, parameter sets included, and writes it as JPEG, no higher than
// maxHeight pixels unless that is 0.
func Thumbnail(r io.Reader, w io.Writer, maxHeight int) error {
	data, err := io.ReadAll(io.LimitReader(r, maxAccessUnit+1))
	if err != nil {
		return fmt.Errorf("read key frame: %w", err)
	}
	if len(data) > maxAccessUnit {
		return fmt.Errorf("the key frame has more than %d bytes", maxAccessUnit)
	}
	picture, err := decodeKey(data)
	if err != nil {
		return err
	}
	defer picture.Release()
	width, height := picture.Width, picture.Height
	if maxHeight > 0 && height > maxHeight {
		width, height = width*maxHeight/height, maxHeight
	}
	width, height = max(2, width&^1), max(2, height&^1)
	canvas, err := av.NewCanvas(width, height)
	if err != nil {
		return err
	}
	defer canvas.Close()
	if err := canvas.DrawPicture(picture, image.Rect(0, 0, picture.Width&^1, picture.Height&^1), canvas.Bounds()); err != nil {
		return err
	}
	if err := jpeg.Encode(w, rgb(canvas), &jpeg.Options{Quality: thumbnailQuality}); err != nil {
		return fmt.Errorf("write thumbnail: %w", err)
	}
	return nil
}

// decodeKey decodes a key frame. A decoder of a stream whose pictures are reordered shows one only when others have
// come: the same one will do.
func decodeKey(data []byte) (*av.Picture, error) {
	decoder, err := av.NewH264Decoder()
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	for i := range reordering {
		picture, err := decoder.Decode(data, int64(i))
		if err != nil {
			return nil, err
		}
		if picture != nil {
			return picture, nil
		}
	}
	return nil, errors.New("there is no key frame")
}
