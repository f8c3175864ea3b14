package composer

import (
	"math"
	"time"

	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/scene"
	"github.com/footlight-live/footlight/internal/composer/video"
	"github.com/footlight-live/footlight/internal/composer/wire"
)

// Tiles without picture follow these rules, all at a frame boundary and on each canvas alike:
//
//	before the first key frame   no tile for arriving, then a placeholder
//	says that its video is off   a placeholder at once, whatever it sends; back with its first new picture
//	sends no video track         a placeholder; so does one that has sent no picture after neverSends
//	sends nothing any more       its last picture for stalledAfter, then a placeholder; back with the next picture
//	gets another connection      the same, over the time that it takes
//	sends more than 1080p        a placeholder, as on IVS
//
// Each of them but the first counts as stopped video for layouts that omit that.

// placed is a participant's tile as the main loop and the heartbeat see it.
type placed struct {
	tile  wire.Tile
	needs size // the picture's size that shows it one to one
}

// sight is what a canvas shows at one time.
type sight struct {
	tiles []video.Tile
	views []view          // whose pictures are to be released
	fresh []time.Duration // when the pictures that were not shown before were complete
}

func (s *sight) release() {
	for i := range s.views {
		s.views[i].picture().Release()
	}
}

// see lays the participants out as they are at t, in the look of now.
func (c *canvas) see(t time.Duration) *sight {
	l := c.look.Load()
	if l != c.worn {
		c.mixer.SetLook(l.ready)
		c.worn = l
	}
	entries := c.cast.Load().entries
	s := &sight{views: make([]view, 0, len(entries))}
	ps := make([]layout.Participant, 0, len(entries))
	at := make(map[string]int, len(entries)) // index in views and in ps by id
	who := make([]*entry, 0, len(entries))
	shown := make(map[*session]int64, len(entries))
	slop := min(maxSlop, time.Duration(float64(time.Second)/c.frameRate/4))
	take := func(s *session) (*shot, bool) { return s.pictures.at(t, slop, c.keep(), c.last(s)) }
	for i := range entries {
		e := &entries[i]
		v := e.input.show(t, take)
		if v.session != nil {
			shown[v.session] = c.last(v.session)
		}
		if v.shown != nil {
			if v.shown.PTS != shown[v.session] {
				s.fresh = append(s.fresh, v.shown.complete)
			}
			shown[v.session] = v.shown.PTS
		}
		if v.video == waiting && t-e.input.born < arriving {
			continue
		}
		p := e.participant(i)
		p.HasVideo = v.video == live || v.video == waiting
		p.VideoWidth, p.VideoHeight = v.size()
		at[e.ID] = len(ps)
		who, ps, s.views = append(who, e), append(ps, p), append(s.views, v)
	}
	c.shown = shown
	places := layout.Compute(l.layout, layout.Size{W: c.width, H: c.height}, ps)
	s.tiles = make([]video.Tile, len(places))
	report := make([]placed, len(places))
	for i, p := range places {
		k := at[p.ParticipantID]
		v := &s.views[k]
		s.tiles[i] = video.Tile{Rect: p.Rect, Fill: p.Fill, CornerRadius: p.CornerRadius, Label: scene.DisplayName(&ps[k]), Name: l.scene.PlateName(&ps[k]),
			Picture: v.picture(), Speaking: who[k].input.timeline.Speaking()}
		report[i] = placedAt(p, v, t)
	}
	c.tiles.Store(&report)
	return s
}

// keep is for how long pictures stay for other canvases, as see looks ahead.
func (c *canvas) keep() time.Duration {
	if !c.shared {
		return 0
	}
	return sharedLateness + c.ahead()
}

// last is the PTS of the picture of a session that was shown last.
func (c *canvas) last(s *session) int64 {
	if pts, ok := c.shown[s]; ok {
		return pts
	}
	return never
}

func placedAt(p layout.Tile, v *view, t time.Duration) placed {
	out := placed{tile: wire.Tile{ParticipantID: p.ParticipantID, X: p.Rect.X, Y: p.Rect.Y, Width: p.Rect.W, Height: p.Rect.H, Z: p.Z, Shows: "placeholder"}}
	w, h := v.size()
	out.needs = shownAt(size{p.Rect.W, p.Rect.H}, size{w, h}, p.Fill == layout.Cover)
	if v.shown != nil {
		out.tile.Shows = "video"
		out.tile.Age = math.Max(0, milliseconds(t-v.session.pictures.due(v.shown.PTS)))
	}
	return out
}
