package composer

import (
	"context"
	"fmt"

	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/scene"
	"github.com/footlight-live/footlight/internal/composer/video"
	"github.com/footlight-live/footlight/internal/composer/wire"
)

// look is how one canvas looks: an immutable snapshot, which it puts on at a frame boundary.
type look struct {
	layout layout.Config
	scene  scene.Scene
	ready  *video.Look
}

// dress makes the looks of a scene for all canvases and hands them over, or changes nothing when the scene is no
// good. It may take as long as its images take to decode.
func (c *Composer) dress(s wire.Scene) error {
	sc, err := scene.Parse(s.Document)
	if err != nil {
		return fmt.Errorf("change the scene: %w", err)
	}
	images, err := sc.DecodeImages(s.Images)
	if err != nil {
		return fmt.Errorf("change the scene: %w", err)
	}
	looks := make([]*look, len(c.canvases))
	for i, cv := range c.canvases {
		ready, err := video.NewLook(video.Config{Width: cv.width, Height: cv.height}, sc, images)
		if err != nil {
			return fmt.Errorf("change the scene: %w", err)
		}
		looks[i] = &look{layout: sc.LayoutOver(c.layout), scene: sc, ready: ready}
	}
	for i, cv := range c.canvases {
		cv.look.Store(looks[i])
	}
	return nil
}

// change hands a scene to the dresser, in place of one that waits there. The main loop calls it.
func (c *Composer) change(s wire.Scene) {
	select {
	case <-c.scenes:
	default:
	}
	c.scenes <- s
}

// dresser puts on each scene that comes, in order, until ctx ends.
func (c *Composer) dresser(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-c.scenes:
			if err := c.dress(s); err != nil {
				c.Log.Error("the scene stays as it was", "reason", err)
			} else {
				c.Log.Info("scene has changed")
			}
		}
	}
}
