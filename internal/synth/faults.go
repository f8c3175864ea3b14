package synth

import (
	"slices"

	"github.com/footlight-live/footlight/internal/synth/link"
)

// Faults is what goes wrong with a publisher on purpose. The zero value does nothing wrong.
// Changes take effect within a picture.
type Faults struct {
	PauseVideo  bool            `json:"pauseVideo,omitzero"`  // sends no video
	PauseAudio  bool            `json:"pauseAudio,omitzero"`  // sends no audio
	PauseLayers []string        `json:"pauseLayers,omitzero"` // sends none of these simulcast layers (hi, mid, low), as browsers do that lack bandwidth or time
	Silent      bool            `json:"silent,omitzero"`      // sends neither, nor reports: a stall, with the connection alive
	Garbage     bool            `json:"garbage,omitzero"`     // random bytes instead of both payloads
	Offline     bool            `json:"offline,omitzero"`     // no packet leaves or reaches the publisher, as with a cut cable
	NoReports   bool            `json:"noReports,omitzero"`   // no sender reports
	Drift       float64         `json:"drift,omitzero"`       // by how much the publisher's clock is too fast, parts per million
	Width       int             `json:"width,omitzero"`       // another picture size from now on, even pixels;
	Height      int             `json:"height,omitzero"`      // 0 is the publisher's own
	Up          link.Conditions `json:"up,omitzero"`          // from the publisher to the stage
	Down        link.Conditions `json:"down,omitzero"`        // from the stage to the publisher
}

// pauses tells whether the layer is not to be sent.
func (f Faults) pauses(rid string) bool {
	return f.Silent || f.PauseVideo || slices.Contains(f.PauseLayers, rid)
}

func (f Faults) up() link.Conditions {
	f.Up.Cut = f.Up.Cut || f.Offline
	return f.Up
}

func (f Faults) down() link.Conditions {
	f.Down.Cut = f.Down.Cut || f.Offline
	return f.Down
}
