package stage

import (
	"encoding/json"
	"net/http"
	"time"
)

// audienceDelay is for how long the number of subscribers may be old: on a large stage it changes all the time.
const audienceDelay = time.Second

// layerState is what clients are told of a simulcast layer. Without simulcast there is one, whose name is empty, or of a Feed 0.
type layerState struct {
	RID     string `json:"rid"`
	Width   int    `json:"width"` // pixels, 0 before the first key frame
	Height  int    `json:"height"`
	BitRate int    `json:"bitRate,omitzero"` // bits per second over the newest second
	Active  bool   `json:"active"`           // something came within the last 3 s
}

// same tells whether nothing changed but the bit rate.
func (a layerState) same(b layerState) bool {
	a.BitRate, b.BitRate = 0, 0
	return a == b
}

// states lists the layers as they are offered.
func (t *track) states(now time.Time) []layerState {
	if t == nil {
		return nil // of a publisher that has no media yet
	}
	var out []layerState
	sources := t.layers()
	for i, l := range lookAll(sources, now) {
		out = append(out, layerState{RID: sources[i].rid, Width: l.width, Height: l.height, BitRate: l.rate, Active: l.flows})
	}
	return out
}

// layersChanged has the extended snapshot tell of layers that came, went, or changed size.
type layersChanged struct{}

func (layersChanged) apply(st *stage) { st.change() }

// counted takes note of a subscriber that connected, or that was connected and has ended.
func (st *stage) counted(u *subscriber, by int) {
	if !u.grant.Hidden {
		u.publisher.audience += by
		st.changeWithin(audienceDelay)
	}
}

// getLayers tells a subscriber which layers there are and which it gets.
func (s *Server) getLayers(w http.ResponseWriter, r *http.Request) {
	res, ok := s.resource(r.PathValue("id"))
	if !ok || res.subscriber == nil {
		s.fail(w, r, refuse(SessionNotFound, "there is no such subscription; it may have ended"))
		return
	}
	u := res.subscriber
	var out struct {
		Layers   []layerState `json:"layers"`
		Selected *string      `json:"selected"` // rid of the layer that is sent; null before the first
		// Bandwidth is what the connection is estimated to carry, in bits per second; null where nothing depends on it.
		Bandwidth *int `json:"bandwidth"`
	}
	out.Layers = u.publisher.video.states(time.Now())
	for _, t := range u.outlets {
		if t.sink == nil || !t.sink.video {
			continue
		}
		if src := t.sink.sends(); src != nil {
			out.Selected = &src.rid
		}
		if t.sink.bandwidth != nil {
			out.Bandwidth = new(t.sink.bandwidth.estimate())
		}
	}
	w.Header().Set("Content-Type", typeJSON)
	_ = json.NewEncoder(w).Encode(out) // a client that is gone needs no answer
}
