package composer

import (
	"context"

	"github.com/footlight-live/footlight/internal/composer/audio"
	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/scene"
	"github.com/footlight-live/footlight/internal/composer/video/text"
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

// participant is the nth of the cast as a layout sees it, but for its video.
func (e *entry) participant(n int) layout.Participant {
	return layout.Participant{ID: e.ID, UserID: e.UserID, Attributes: e.Attributes, Joined: int64(n)}
}

func (c *cast) timelines() []*audio.Timeline {
	out := make([]*audio.Timeline, 0, len(c.entries)+1)
	for i := range c.entries {
		out = append(out, c.entries[i].input.timeline)
	}
	return out
}

// follow starts and ends inputs so that they match a snapshot of the stage.
func (c *Composer) follow(ctx context.Context, ms []member) {
	next := &cast{}
	here := map[string]bool{}
	for _, m := range ms {
		in := c.inputs[m.ID]
		if stays := m.Publishing || m.Resuming && in != nil; !stays || m.ID == "" || here[m.ID] {
			continue
		}
		here[m.ID] = true
		if in == nil {
			in = c.start(ctx, m.ID)
		}
		in.resume(m.Resuming)
		in.mute(m)
		e := entry{m, in.input}
		p := e.participant(len(next.entries))
		text.Warm(scene.DisplayName(&p)) // here, so that no canvas has to wait for a font
		next.entries = append(next.entries, e)
	}
	for id, in := range c.inputs {
		if !here[id] {
			in.end()
			delete(c.inputs, id)
			c.Log.Info("participant left", "participant", id)
		}
	}
	c.cast.Store(next)
}

func (c *Composer) start(ctx context.Context, id string) *running {
	w := c.whep
	w.url = c.job.WHIPURL + "/subscribe/" + id
	in := &input{id: id, whep: &w, clock: c.clock, meters: &c.meters, log: c.Log, timeline: &audio.Timeline{}, born: c.clock.Now(), size: newLayerSize(),
		publishes: make(chan struct{}, 1), lateness: lateness}
	if len(c.canvases) > 1 {
		in.lateness = sharedLateness
	}
	ctx, end := context.WithCancel(ctx)
	c.leaving.Go(func() { in.run(ctx) })
	c.inputs[id] = &running{in, end}
	c.Log.Info("participant publishes", "participant", id)
	return c.inputs[id]
}
