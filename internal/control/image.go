package control

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // the formats that a scene's images may have
	_ "image/png"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/composer/scene"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/store"
)

// What an image may be, and all images of one scene together. The composer keeps them decoded.
const (
	MaxImageSize  = 4 << 20  // bytes
	maxImageSide  = 1920     // pixels
	maxSceneBytes = 16 << 20 // of all images of one scene
)

// Image describes a picture that scenes can use by its name.
type Image struct {
	Name    string    `json:"name"`
	Type    string    `json:"type"` // image/png or image/jpeg
	Width   int       `json:"width"`
	Height  int       `json:"height"`
	Size    int       `json:"size"` // bytes
	Changed time.Time `json:"changed"`
}

// PutImage stores a PNG or JPEG picture under a name, in place of the one that had it. It has been decoded
// before, so that what is stored can be drawn. Compositions that use the name are given the new picture at once.
func (c *Control) PutImage(ctx context.Context, name string, data []byte) (Image, error) {
	if err := checkName("image", name); err != nil {
		return Image{}, err
	}
	c.decoding.Lock()
	img, err := inspect(data)
	c.decoding.Unlock()
	if err != nil {
		return Image{}, err
	}
	img.Name, img.Changed = name, c.Now().UTC()
	c.references.Lock() // nobody counts on the picture that goes
	defer c.references.Unlock()
	if _, err := c.images.Info(ctx, name); errors.Is(err, store.ErrNotFound) {
		all, err := c.images.List(ctx)
		if err != nil {
			return Image{}, err
		}
		if err := imageLimit.allow(len(all)); err != nil {
			return Image{}, err
		}
	} else if err != nil {
		return Image{}, err
	}
	users, err := c.usersOf(ctx, name)
	if err != nil {
		return Image{}, err
	}
	for _, u := range users {
		if err := c.checkImages(ctx, u.images, map[string]int{name: img.Size}); err != nil {
			return Image{}, api.ValidationException("%s uses the image: %s", u.what, message(err))
		}
	}
	err = c.images.Put(ctx, name, data, map[string]string{
		"type": img.Type, "width": strconv.Itoa(img.Width), "height": strconv.Itoa(img.Height),
	})
	if err == nil {
		c.redraw(ctx, users)
	}
	return img, err
}

// redraw gives compositions their scene again, so that their composers get its images as they are now.
func (c *Control) redraw(ctx context.Context, users []user) {
	m, err := c.manager()
	if err != nil {
		return
	}
	for _, u := range users {
		if u.composition == "" {
			continue
		}
		// One that has ended meanwhile needs no picture.
		err := m.SetScene(ctx, u.composition, u.document)
		if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, composition.ErrConflict) {
			c.Log.Error("a composition keeps an old image until its composer starts again", "composition", u.composition, "error", err)
		}
	}
}

// Image reads a picture.
func (c *Control) Image(ctx context.Context, name string) (Image, []byte, error) {
	if err := checkName("image", name); err != nil {
		return Image{}, nil, err
	}
	o, err := c.images.Info(ctx, name)
	if err != nil {
		return Image{}, nil, orNotFound(err, "image/"+name)
	}
	data, err := c.images.Get(ctx, name)
	return viewImage(o), data, orNotFound(err, "image/"+name)
}

// Images describes all pictures, by name.
func (c *Control) Images(ctx context.Context) ([]Image, error) {
	all, err := c.images.List(ctx)
	list := each(all, viewImage)
	slices.SortFunc(list, func(a, b Image) int { return cmp.Compare(a.Name, b.Name) })
	return list, err
}

// DeleteImage removes a picture, unless a scene or a composition that has not ended uses it.
func (c *Control) DeleteImage(ctx context.Context, name string) error {
	if err := checkName("image", name); err != nil {
		return err
	}
	c.references.Lock()
	defer c.references.Unlock()
	users, err := c.usersOf(ctx, name)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return api.ConflictException("The image %s is in use by %s", name, users[0].what)
	}
	return orNotFound(c.images.Delete(ctx, name), "image/"+name)
}

// ImageData reads the pictures of a scene, for its composer. An error names the one that is not here.
func (c *Control) ImageData(ctx context.Context, names []string) (map[string][]byte, error) {
	pictures := make(map[string][]byte, len(names))
	for _, name := range names {
		data, err := c.images.Get(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", name, err)
		}
		pictures[name] = data
	}
	return pictures, nil
}

func viewImage(o store.Object) Image {
	width, _ := strconv.Atoi(o.About["width"]) // written by PutImage
	height, _ := strconv.Atoi(o.About["height"])
	return Image{Name: o.Name, Type: o.About["type"], Width: width, Height: height, Size: o.Size, Changed: o.Changed}
}

// inspect decodes a picture. Its size is read and judged before there is memory for its pixels.
func inspect(data []byte) (Image, error) {
	if len(data) > MaxImageSize {
		return Image{}, api.ValidationException("An image has at most %d bytes, not %d", MaxImageSize, len(data))
	}
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return Image{}, api.ValidationException("This is no PNG or JPEG picture: %v", err)
	}
	if config.Width < 1 || config.Height < 1 || config.Width > maxImageSide || config.Height > maxImageSide {
		return Image{}, api.ValidationException("An image has 1 to %d pixels a side, not %dx%d", maxImageSide, config.Width, config.Height)
	}
	if _, _, err := image.Decode(bytes.NewReader(data)); err != nil {
		return Image{}, api.ValidationException("The %s picture is damaged: %v", strings.ToUpper(format), err)
	}
	return Image{Type: "image/" + format, Width: config.Width, Height: config.Height, Size: len(data)}, nil
}

// checkImages refuses images that are not here, or are too large together. sizes, in bytes, replaces those of
// the store.
func (c *Control) checkImages(ctx context.Context, names []string, sizes map[string]int) error {
	total := 0
	for _, name := range names {
		if err := checkName("image", name); err != nil {
			return err
		}
		size, ok := sizes[name]
		if !ok {
			o, err := c.images.Info(ctx, name)
			if errors.Is(err, store.ErrNotFound) {
				return api.ValidationException("There is no image %q", name)
			}
			if err != nil {
				return err
			}
			size = o.Size
		}
		if total += size; total > maxSceneBytes {
			return api.ValidationException("The images of a scene have at most %d bytes together; those of %s have more", maxSceneBytes, strings.Join(names, ", "))
		}
	}
	return nil
}

// user is something that uses an image: a scene by name, or a composition that has not ended.
type user struct {
	what        string // for messages
	composition string // its id; empty for a scene
	document    json.RawMessage
	images      []string
}

// usersOf finds who uses an image.
func (c *Control) usersOf(ctx context.Context, image string) ([]user, error) {
	scenes, err := c.Scenes(ctx)
	if err != nil {
		return nil, err
	}
	all := each(scenes, func(s NamedScene) user { return user{what: "scene " + s.Name, document: s.Document} })
	if m, err := c.manager(); err == nil {
		compositions, err := m.List(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range compositions {
			if !r.State.Ended() {
				all = append(all, user{what: "composition " + r.ID, composition: r.ID, document: r.Scene})
			}
		}
	}
	var users []user
	for _, u := range all {
		s, err := scene.Parse(u.document)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", u.what, err)
		}
		if slices.Contains(s.Images, image) {
			u.images = s.Images
			users = append(users, u)
		}
	}
	return users, nil
}

// message is the text of an error for the caller.
func message(err error) string {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Message
	}
	return err.Error()
}
