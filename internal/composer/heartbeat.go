package composer

import (
	"math"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/composer/scene"
	"github.com/footlight-live/footlight/internal/composer/wire"
)

// heartbeat describes everything as it is now. The main loop calls it.
func (c *Composer) heartbeat() *wire.Heartbeat {
	now := c.clock.Now()
	h := &wire.Heartbeat{Time: time.Now().UTC(), Alert: c.alert(now)}
	h.CPU, h.Memory = c.usage.measure()
	h.Decode, h.Draw, h.Mix = c.meters.decode.sum(now), c.meters.draw.sum(now), c.meters.mix.sum(now)
	h.Encode, h.Publish, h.Latency = c.meters.encode.sum(now), c.meters.publish.sum(now), c.meters.latency.sum(now)
	for _, cv := range c.canvases {
		h.Frames += cv.frames.Load()
		h.LateTicks += cv.late.Load()
		h.MissedFrames += cv.missed.Load()
		h.Overloaded = h.Overloaded || cv.overloaded()
		h.Canvases = append(h.Canvases, cv.report())
	}
	for i, e := range c.cast.Load().entries {
		in, who := e.input.report(now), e.participant(i)
		in.Label = scene.DisplayName(&who)
		h.Participants = append(h.Participants, in)
	}
	h.Publishing = len(h.Participants)
	for _, o := range c.outputs {
		h.Destinations = append(h.Destinations, o.figures())
	}
	return h
}

// alert names what is wrong with the output although the inputs are well.
func (c *Composer) alert(now time.Duration) string {
	var wrong []string
	for _, cv := range c.canvases {
		if cv.dark.lasts(now) {
			wrong = append(wrong, "black")
			break
		}
	}
	if c.sound.silent.lasts(now) {
		wrong = append(wrong, "silent")
	}
	return strings.Join(wrong, ", ")
}

// resize tells each input how large the largest canvas shows it.
func (c *Composer) resize() {
	sizes := map[string]size{}
	for _, cv := range c.canvases {
		for _, p := range *cv.tiles.Load() {
			s := sizes[p.tile.ParticipantID]
			sizes[p.tile.ParticipantID] = size{max(s.width, p.needs.width), max(s.height, p.needs.height)}
		}
	}
	for id, s := range sizes {
		if in := c.inputs[id]; in != nil && s.width > 0 && s.height > 0 {
			in.size.set(s)
		}
	}
}

// report describes the canvas for the heartbeat.
func (c *canvas) report() wire.Canvas {
	r := wire.Canvas{Encoder: c.encoder.String(), Width: c.width, Height: c.height, FrameRate: c.frameRate}
	for _, o := range c.outputs {
		r.Destinations = append(r.Destinations, o.job.DestinationID)
	}
	for _, p := range *c.tiles.Load() {
		p.tile.Age = math.Round(p.tile.Age*10) / 10
		r.Tiles = append(r.Tiles, p.tile)
	}
	return r
}
