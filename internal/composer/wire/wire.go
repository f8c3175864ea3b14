// Package wire is what the server and a composer process say to each other.
//
// The channel is a Unix socket pair that the composer inherits as file descriptor 3, so that neither the
// job nor its secrets appear in arguments or environment. Each message is one JSON object on a line.
// The server sends Job first, then at most Stop. The composer sends Ready once it is subscribed to the
// stage and its clock runs, Heartbeat every 500 ms, Destination on every change of a destination's state,
// and Stopped as its last word. Closing the socket on either side ends the composer.
package wire

import (
	"encoding/json"
	"time"
)

// Message is the envelope: exactly one member is set.
type Message struct {
	Job         *Job         `json:"job,omitzero"`
	Stop        *Stop        `json:"stop,omitzero"`
	Ready       *Ready       `json:"ready,omitzero"`
	Heartbeat   *Heartbeat   `json:"heartbeat,omitzero"`
	Destination *Destination `json:"destination,omitzero"`
	Stopped     *Stopped     `json:"stopped,omitzero"`
}

// Job is everything that a composer must know.
type Job struct {
	CompositionID string            `json:"compositionId"`
	EventsURL     string            `json:"eventsUrl"` // ws(s)://…/events/<stageId>, complete
	WHIPURL       string            `json:"whipUrl"`   // subscribe at <WHIPURL>/subscribe/<participantId>
	Token         string            `json:"token"`     // hidden participant token; a secret
	Layout        json.RawMessage   `json:"layout"`    // LayoutConfiguration of the IVS Real-Time API, defaults filled in
	Outputs       []OutputJob       `json:"outputs"`
	Tags          map[string]string `json:"tags,omitzero"`
}

// OutputJob is one destination with its encoder settings.
type OutputJob struct {
	DestinationID string  `json:"destinationId"`
	URL           string  `json:"url"`       // rtmp(s)://host:port/app
	StreamKey     string  `json:"streamKey"` // a secret
	Width         int     `json:"width"`     // pixels, even
	Height        int     `json:"height"`    // pixels, even
	FrameRate     float64 `json:"frameRate"` // frames per second, 1 to 60
	BitRate       int     `json:"bitRate"`   // of the video, bits per second
}

// Stop asks for a graceful end: flush, say goodbye to each destination, then Stopped.
type Stop struct {
	Reason string `json:"reason"`
}

// Ready says that the composer is subscribed and its clock runs.
type Ready struct {
	PID int `json:"pid"`
}

// DestinationState is the state of one output as the composer sees it.
type DestinationState string

// The states of an output.
const (
	Connecting   DestinationState = "CONNECTING"
	Active       DestinationState = "ACTIVE"
	Reconnecting DestinationState = "RECONNECTING"
	Failed       DestinationState = "FAILED" // retries exhausted or refused for good
	Ended        DestinationState = "ENDED"
)

// Destination reports a change of one output.
type Destination struct {
	ID      string           `json:"id"`
	State   DestinationState `json:"state"`
	Code    string           `json:"code,omitzero"` // for FAILED: an error_code of the composition events, e.g. ConflictException
	Reason  string           `json:"reason,omitzero"`
	Retries int              `json:"retries,omitzero"`
}

// Heartbeat proves that the composer's clock runs, and carries its measurements since the start.
type Heartbeat struct {
	Time         time.Time `json:"time"`
	Frames       uint64    `json:"frames"`       // pictures encoded
	LateTicks    uint64    `json:"lateTicks"`    // ticks that ended after the next one was due
	MissedFrames uint64    `json:"missedFrames"` // pictures that were not made
	Publishing   int       `json:"publishing"`   // participants publishing on the stage
	Participants []Input   `json:"participants"`
}

// Input is what the composer sees of one participant.
type Input struct {
	ID      string `json:"id"`
	Video   string `json:"video"` // waiting, live, stalled, none
	Audio   string `json:"audio"`
	Width   int    `json:"width,omitzero"`
	Height  int    `json:"height,omitzero"`
	Decoded uint64 `json:"decoded"`
	Lost    uint64 `json:"lost"`
}

// Stopped is the composer's last word.
type Stopped struct {
	Reason string `json:"reason"`
	Error  string `json:"error,omitzero"` // empty after a graceful end
}
