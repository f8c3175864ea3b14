package composer

import (
	"cmp"

	"github.com/footlight-live/footlight/internal/composer/audio"
)

// cast is who publishes on the stage, in order of arrival: an immutable snapshot for canvases and sound.
type cast struct {
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

func (c *cast) timelines() []*audio.Timeline {
	out := make([]*audio.Timeline, 0, len(c.entries)+1)
	for i := range c.entries {
		out = append(out, c.entries[i].input.timeline)
	}
	return out
}
