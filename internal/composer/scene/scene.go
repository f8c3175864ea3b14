// Package scene describes how a composition looks beyond what the IVS API can say: custom layouts, background,
// overlays, name plates, and a border around who speaks. It is pure: a JSON document in, a Scene out.
//
// A scene changes nothing that it does not name: the zero value leaves a composition as IVS would draw it.
package scene

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/footlight-live/footlight/internal/composer/layout"
)

// ErrInvalid is the kind of every error of Parse; its text names the member.
var ErrInvalid = errors.New("invalid scene")

// Scene is one look. Colours are written #rrggbb.
type Scene struct {
	Layout *layout.Config // nil: the composition's own
	Images []string       // names of the images that the scene needs, without repetition
}

// Parse reads a scene document. Nothing, null and {} are the zero Scene. It refuses unknown members.
func Parse(data []byte) (Scene, error) {
	if len(data) == 0 {
		return Scene{}, nil
	}
	var document map[string]json.RawMessage
	if err := json.Unmarshal(data, &document); err != nil {
		return Scene{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	for name := range document {
		return Scene{}, fmt.Errorf("%w: no member is called %q", ErrInvalid, name)
	}
	return Scene{}, nil
}
