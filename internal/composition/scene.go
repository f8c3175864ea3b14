package composition

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/footlight-live/footlight/internal/composer/scene"
	"github.com/footlight-live/footlight/internal/composer/wire"
)

// SetScene gives a composition another look, at a frame boundary and for good: the document of package scene is
// stored with the composition, and a composer that starts later gets it too. Nothing, null and {} go back to the
// plain layout. It returns when the document is stored. Errors: scene.ErrInvalid, store.ErrNotFound, those of
// Images, and a Refusal of kind ErrConflict when the composition is stopping or has ended.
func (m *Manager) SetScene(ctx context.Context, id string, document json.RawMessage) error {
	full, err := m.sceneOf(ctx, document)
	if err != nil {
		return fmt.Errorf("scene of composition %s: %w", id, err)
	}
	return m.ask(ctx, id, request{scene: &full})
}

// sceneOf checks a document and adds the images that it names.
func (m *Manager) sceneOf(ctx context.Context, document json.RawMessage) (wire.Scene, error) {
	s, err := scene.Parse(document)
	if err != nil {
		return wire.Scene{}, err
	}
	full := wire.Scene{Document: document}
	if len(s.Images) == 0 || m.Images == nil {
		return full, nil
	}
	if full.Images, err = m.Images(ctx, s.Images); err != nil {
		return wire.Scene{}, fmt.Errorf("read images: %w", err)
	}
	return full, nil
}
