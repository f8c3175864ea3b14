package scene

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg" // the formats that a scene's images may have
	_ "image/png"
)

// MaxImageSide is the longest side of an image, in pixels.
const MaxImageSide = 1920

// DecodeImages decodes the images that the scene needs, PNG or JPEG, by their names. Errors are of kind
// ErrInvalid and name the image; others in encoded are ignored.
func (s *Scene) DecodeImages(encoded map[string][]byte) (map[string]image.Image, error) {
	out := make(map[string]image.Image, len(s.Images))
	for _, name := range s.Images {
		data, ok := encoded[name]
		if !ok {
			return nil, fmt.Errorf("%w: there is no image %q", ErrInvalid, name)
		}
		img, err := decodeImage(data)
		if err != nil {
			return nil, fmt.Errorf("%w: image %q: %w", ErrInvalid, name, err)
		}
		out[name] = img
	}
	return out, nil
}

// decodeImage looks at the size before it decodes: a small file can claim a huge one.
func decodeImage(data []byte) (image.Image, error) {
	head, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if head.Width < 1 || head.Height < 1 || head.Width > MaxImageSide || head.Height > MaxImageSide {
		return nil, fmt.Errorf("it has %dx%d pixels, more than %d a side", head.Width, head.Height, MaxImageSide)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	return img, err
}
