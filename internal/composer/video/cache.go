package video

import (
	"image"

	"github.com/footlight-live/footlight/internal/av"
)

// maxCached bounds a cache: twice as many as a stage has publishers.
const maxCached = 24

// cache keeps layers that were made before. Its zero value is empty.
type cache[K comparable] struct {
	layers map[K]*av.Layer
	order  []K // oldest first
}

// get returns the layer of a key, made of draw's image when it is not there; nil when draw returns nil.
func (c *cache[K]) get(key K, draw func() *image.RGBA) *av.Layer {
	if l, ok := c.layers[key]; ok {
		return l
	}
	if c.layers == nil {
		c.layers = map[K]*av.Layer{}
	}
	if len(c.order) == maxCached {
		delete(c.layers, c.order[0])
		c.order = append(c.order[:0], c.order[1:]...)
	}
	var layer *av.Layer
	if img := draw(); img != nil {
		layer, _ = av.NewLayer(img) // nil for an image without size
	}
	c.layers[key] = layer
	c.order = append(c.order, key)
	return layer
}
