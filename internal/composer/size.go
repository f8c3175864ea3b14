package composer

import (
	"context"
	"errors"
	"time"
)

// sizeEvery is the least time between two changes of the size that is asked for: each may cost the sender a key
// frame.
const sizeEvery = time.Second

// size is how large something is shown, in pixels.
type size struct{ width, height int }

// differs tells whether another size is worth asking for: by more than an eighth.
func (s size) differs(other size) bool {
	far := func(a, b int) bool { return 8*max(a-b, b-a) > max(a, b) }
	return far(s.width, other.width) || far(s.height, other.height)
}

// layerSize is the size at which the largest canvas shows a participant, so that the stage can send the layer that
// fits. The main loop sets it, the input's goroutine passes it on. The zero value asks for nothing.
type layerSize struct {
	wanted chan size // the newest one only
}

func newLayerSize() layerSize { return layerSize{wanted: make(chan size, 1)} }

// set replaces what was not passed on yet. One goroutine calls it.
func (l *layerSize) set(s size) {
	select {
	case <-l.wanted:
	default:
	}
	l.wanted <- s
}

// follow asks for each size that differs from the one before, until ctx ends or the server turns out to have one
// size for everybody; then it only waits for ctx.
func (l *layerSize) follow(ctx context.Context, resize func(ctx context.Context, width, height int) error) {
	var asked size
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-l.wanted:
			if !s.differs(asked) {
				continue
			}
			if err := resize(ctx, s.width, s.height); errors.Is(err, errFixedSize) {
				<-ctx.Done()
				return
			} else if err == nil {
				asked = s
			}
		}
		if !sleep(ctx, sizeEvery) {
			return
		}
	}
}

// shownAt is how large a picture of width x height must be so that a tile shows it one to one: covering the tile
// when it is cropped, within the tile otherwise. Of an unknown picture the tile's own size is the best guess.
func shownAt(tile, picture size, cover bool) size {
	if picture.width <= 0 || picture.height <= 0 {
		return tile
	}
	byWidth := tile.width*picture.height >= tile.height*picture.width // the width needs the larger scale
	if byWidth == cover {
		return size{tile.width, (picture.height*tile.width + picture.width/2) / picture.width}
	}
	return size{(picture.width*tile.height + picture.height/2) / picture.height, tile.height}
}
