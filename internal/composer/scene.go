package composer

import (
	"cmp"

	"github.com/footlight-live/footlight/internal/composer/audio"
)

// scene is who publishes on the stage, in order of arrival: an immutable snapshot for canvases and sound.
type scene struct {
	entries []entry
}

// entry is one participant with its media.
type entry struct {
	member
	input *input
}

// label is what a placeholder shows: a name that people gave, if any.
func (e *entry) label() string {
	return cmp.Or(e.Attributes["username"], e.Attributes["name"], e.UserID, e.ID)
}

func (s *scene) timelines() []*audio.Timeline {
	out := make([]*audio.Timeline, 0, len(s.entries)+1)
	for i := range s.entries {
		out = append(out, s.entries[i].input.timeline)
	}
	return out
}
