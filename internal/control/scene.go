package control

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/composer/scene"
	"github.com/footlight-live/footlight/internal/store"
)

// SceneTag is the tag of StartComposition whose value is the name of the scene to begin with.
const SceneTag = "footlight:scene"

// maxSceneDocument is the size of a scene's document in bytes. It travels in one record with its composition.
const maxSceneDocument = 64 << 10

// How many scenes and images there may be.
var (
	sceneLimit = limit{"scenes", 200}
	imageLimit = limit{"images", 200}
)

var resourceName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// checkName is for the names of scenes and images, which stand in paths and in scenes' documents.
func checkName(what, name string) error {
	if !resourceName.MatchString(name) {
		return api.ValidationException("The name of a %s is 1 to 64 letters, digits, dashes and underscores, not %q", what, name)
	}
	return nil
}

// NamedScene is a look that compositions can be started with, or be given while they run. They keep a copy:
// neither a change of it nor its end reaches those that have it already.
type NamedScene struct {
	Name     string          `json:"name"`
	Changed  time.Time       `json:"changed"`
	Document json.RawMessage `json:"scene"` // see package scene
}

// SceneFor is the document of the scene that a composition's tags ask for; nil when they ask for none. The
// caller holds references, since the document names images.
func (c *Control) SceneFor(ctx context.Context, tags map[string]string) (json.RawMessage, error) {
	name, ok := tags[SceneTag]
	if !ok {
		return nil, nil
	}
	s, _, err := c.scenes.Get(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, api.ValidationException("tag %s: there is no scene %q", SceneTag, name)
	}
	return s.Document, err
}

// PutScene stores a scene under a name, in place of the one that had it.
func (c *Control) PutScene(ctx context.Context, name string, document json.RawMessage) (NamedScene, error) {
	if err := checkName("scene", name); err != nil {
		return NamedScene{}, err
	}
	c.references.RLock()
	defer c.references.RUnlock()
	document, err := c.checkScene(ctx, document)
	if err != nil {
		return NamedScene{}, err
	}
	c.counting.Lock()
	defer c.counting.Unlock()
	if err := allowOneMore(ctx, c.scenes, name); err != nil {
		return NamedScene{}, err
	}
	s := NamedScene{Name: name, Changed: c.Now().UTC(), Document: document}
	return s, c.scenes.Put(ctx, name, s)
}

func allowOneMore(ctx context.Context, scenes *store.Bucket[NamedScene], name string) error {
	all, err := scenes.List(ctx, "")
	if err != nil || slices.ContainsFunc(all, func(s NamedScene) bool { return s.Name == name }) {
		return err
	}
	return sceneLimit.allow(len(all))
}

// Scene reads a scene.
func (c *Control) Scene(ctx context.Context, name string) (NamedScene, error) {
	if err := checkName("scene", name); err != nil {
		return NamedScene{}, err
	}
	s, _, err := c.scenes.Get(ctx, name)
	return s, orNotFound(err, "scene/"+name)
}

// Scenes reads all scenes, by name.
func (c *Control) Scenes(ctx context.Context) ([]NamedScene, error) {
	all, err := c.scenes.List(ctx, "")
	slices.SortFunc(all, func(a, b NamedScene) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

// DeleteScene removes a scene. Compositions that have it keep it.
func (c *Control) DeleteScene(ctx context.Context, name string) error {
	if err := checkName("scene", name); err != nil {
		return err
	}
	return orNotFound(c.scenes.Delete(ctx, name), "scene/"+name)
}

// UseScene lets use store or draw a scene that a caller wrote: a document, or {"name": "…"} for one that is kept
// under a name. use gets the document, checked, and may count on its images until it returns.
func (c *Control) UseScene(ctx context.Context, document json.RawMessage, use func(json.RawMessage) error) error {
	c.references.RLock()
	defer c.references.RUnlock()
	if name, ok := sceneName(document); ok {
		s, err := c.Scene(ctx, name)
		if err != nil {
			return err
		}
		document = s.Document
	}
	document, err := c.checkScene(ctx, document)
	if err != nil {
		return err
	}
	return use(document)
}

// sceneName reads {"name": "…"}, which is no scene: scenes have no member of that name.
func sceneName(document json.RawMessage) (string, bool) {
	var members map[string]json.RawMessage
	var name string
	if json.Unmarshal(document, &members) != nil || len(members) != 1 || members["name"] == nil {
		return "", false
	}
	return name, json.Unmarshal(members["name"], &name) == nil
}

// checkScene refuses a document that is none, or whose images are not all here, and returns it without the
// spaces between its members. The caller holds references.
func (c *Control) checkScene(ctx context.Context, document json.RawMessage) (json.RawMessage, error) {
	if len(document) > maxSceneDocument {
		return nil, api.ValidationException("A scene has at most %d bytes, not %d", maxSceneDocument, len(document))
	}
	s, err := scene.Parse(document)
	if err != nil {
		return nil, api.ValidationException("%v", err)
	}
	if err := c.checkImages(ctx, s.Images, nil); err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		return nil, api.ValidationException("%v: %v", scene.ErrInvalid, err)
	}
	return compact.Bytes(), nil
}
