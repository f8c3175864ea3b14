// Package wire is what the server and a composer process say to each other.
//
// The channel is a Unix socket pair that the composer inherits as file descriptor 3, so that neither the
// job nor its secrets appear in arguments or environment. Each message is one JSON object on a line.
// The server sends Job first, then a Scene whenever the composition gets another one, and at most one Stop.
// The composer sends Ready once it is subscribed to the
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
	Scene       *Scene       `json:"scene,omitzero"`
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
	Scene         Scene             `json:"scene,omitzero"`
	Outputs       []OutputJob       `json:"outputs"`
	Live          bool              `json:"live,omitzero"` // publish the mix to the stage too, over WHIP with the token
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

// Scene is how the picture looks beyond the API's layout; see package scene. The zero value is nothing beyond.
type Scene struct {
	Document json.RawMessage   `json:"document,omitzero"` // a scene.Scene; when it has a layout, that replaces Job.Layout
	Images   map[string][]byte `json:"images,omitzero"`   // PNG or JPEG by the name that the document uses
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

// Heartbeat proves that the composer's clock runs, and carries its measurements: counters since the start,
// timings of the last ten seconds.
type Heartbeat struct {
	Time         time.Time `json:"time"`
	Frames       uint64    `json:"frames"`         // pictures encoded
	LateTicks    uint64    `json:"lateTicks"`      // ticks that ended after the next one was due
	MissedFrames uint64    `json:"missedFrames"`   // pictures that were not made
	Overloaded   bool      `json:"overloaded"`     // pictures are left out because the machine is too slow
	CPU          float64   `json:"cpu"`            // cores in use since the heartbeat before
	Memory       uint64    `json:"memory"`         // resident bytes
	Decode       Timing    `json:"decode"`         // of one video access unit
	Draw         Timing    `json:"draw"`           // of one picture
	Mix          Timing    `json:"mix"`            // of one audio frame, with its encoding
	Encode       Timing    `json:"encode"`         // of one picture
	Publish      Timing    `json:"publish"`        // from the encoded frame to the end of its write to the destination
	Latency      Timing    `json:"latency"`        // from the last packet of a picture to the encoded frame that shows it
	Alert        string    `json:"alert,omitzero"` // what is wrong with the output although the inputs are well, e.g. "black"

	Publishing   int                 `json:"publishing"` // participants publishing on the stage
	Participants []Input             `json:"participants"`
	Canvases     []Canvas            `json:"canvases"`
	Destinations []DestinationFigure `json:"destinations"`
}

// Timing sums up the durations of the last ten seconds, in milliseconds.
type Timing struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
}

// Input is what the composer sees of one participant.
type Input struct {
	ID          string  `json:"id"`
	Label       string  `json:"label"`
	Video       string  `json:"video"` // waiting, live, muted, stalled, none, tooLarge
	Audio       string  `json:"audio"` // waiting, live, muted, stalled, none
	Width       int     `json:"width,omitzero"`
	Height      int     `json:"height,omitzero"`
	Decoded     uint64  `json:"decoded"`  // access units and audio packets
	Received    uint64  `json:"received"` // packets
	Lost        uint64  `json:"lost"`     // packets that never came, or came too late
	KeyRequests uint64  `json:"keyRequests"`
	Jitter      float64 `json:"jitter"` // of arrival, milliseconds, as RFC 3550 section 6.4.1
	Delay       float64 `json:"delay"`  // from arrival to the picture's time, milliseconds
	Level       float64 `json:"level"`  // of the sound, dBFS; -120 for silence
	Speaking    bool    `json:"speaking"`
}

// Canvas is one composed picture, which one or more destinations get.
type Canvas struct {
	Destinations []string `json:"destinations"` // their ids
	Encoder      string   `json:"encoder"`      // and its settings, in words
	Width        int      `json:"width"`
	Height       int      `json:"height"`
	FrameRate    float64  `json:"frameRate"`
	Tiles        []Tile   `json:"tiles"` // in drawing order
}

// Tile is a participant's place on a canvas, in pixels.
type Tile struct {
	ParticipantID string  `json:"participantId"`
	X             int     `json:"x"`
	Y             int     `json:"y"`
	Width         int     `json:"width"`
	Height        int     `json:"height"`
	Z             int     `json:"z,omitzero"`
	Shows         string  `json:"shows"` // video, placeholder
	Age           float64 `json:"age"`   // of the picture shown, milliseconds beyond the participant's delay
}

// DestinationFigure counts what a destination got.
type DestinationFigure struct {
	ID      string `json:"id"`
	Bytes   uint64 `json:"bytes"`
	Dropped uint64 `json:"dropped"` // frames, because the destination was too slow
	Queue   int    `json:"queue"`   // frames that wait
	Retries int    `json:"retries"`
}

// Stopped is the composer's last word.
type Stopped struct {
	Reason string `json:"reason"`
	Error  string `json:"error,omitzero"` // empty after a graceful end
}
