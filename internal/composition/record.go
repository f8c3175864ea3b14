package composition

import (
	"encoding/json"
	"slices"
	"time"
)

// State is the state of a composition or of a destination, as the API shows it.
type State string

// The states of spec/composition.md §3. Reconnecting is for destinations only.
const (
	Starting     State = "STARTING"
	Active       State = "ACTIVE"
	Reconnecting State = "RECONNECTING"
	Stopping     State = "STOPPING"
	Stopped      State = "STOPPED"
	Failed       State = "FAILED"
)

// Ended reports whether nothing comes after this state.
func (s State) Ended() bool { return s == Stopped || s == Failed }

// next is what may follow each state, for compositions and destinations alike.
var next = map[State][]State{
	Starting:     {Active, Reconnecting, Stopping, Failed},
	Active:       {Reconnecting, Stopping, Failed},
	Reconnecting: {Active, Stopping, Failed},
	Stopping:     {Stopped, Failed},
}

// Cause says why a composition or a destination ended. Code is an error_code of the composition events
// (spec/composition.md §3), empty when nothing failed.
type Cause struct {
	Code   string `json:"code,omitzero"`
	Reason string `json:"reason,omitzero"`
}

// The failures that concern a whole composition, or a destination that its composer could not serve.
var (
	stageDeleted      = Cause{"StageDeleted", "Stage has been deleted"}
	destinationFailed = Cause{"DestinationFailure", "One or more outputs failed"}
	internalFailure   = Cause{"InternalServerException", "Service internal error"}
)

// Video is what a destination is encoded with.
type Video struct {
	Width     int     `json:"width"`     // pixels, even
	Height    int     `json:"height"`    // pixels, even
	FrameRate float64 `json:"framerate"` // frames per second
	BitRate   int     `json:"bitrate"`   // bits per second
}

// Destination is one output of a composition: a channel, or a recording when S3 is there.
type Destination struct {
	ID         string    `json:"id"`
	Name       string    `json:"name,omitzero"`
	ChannelARN string    `json:"channelArn,omitzero"`
	S3         *S3       `json:"s3,omitzero"`
	EncoderARN string    `json:"encoderConfigurationArn,omitzero"` // empty: the default profile
	Video      Video     `json:"video"`
	State      State     `json:"state"`
	Started    time.Time `json:"startTime,omitzero"` // of its first ACTIVE
	Ended      time.Time `json:"endTime,omitzero"`
	Cause      Cause     `json:"cause,omitzero"`
}

// Record is a composition as the store keeps it, from StartComposition until five minutes after its end.
type Record struct {
	ID           string            `json:"id"`
	StageARN     string            `json:"stageArn"`
	State        State             `json:"state"`
	Started      time.Time         `json:"startTime"`
	Ended        time.Time         `json:"endTime,omitzero"`
	Cause        Cause             `json:"cause,omitzero"`
	Layout       json.RawMessage   `json:"layout"`         // LayoutConfiguration, defaults filled in
	Scene        json.RawMessage   `json:"scene,omitzero"` // a document of package scene; empty: nothing beyond the layout
	Destinations []Destination     `json:"destinations"`
	Tags         map[string]string `json:"tags,omitempty"`

	Untold []Event `json:"untold,omitempty"` // happened, in order, and not yet in the event log

	IdempotencyToken string `json:"idempotencyToken,omitzero"`
	RequestHash      string `json:"requestHash,omitzero"` // of the request without the token
}

// uses reports whether the composition refers to a resource.
func (r *Record) uses(arn string) bool {
	return r.StageARN == arn || slices.ContainsFunc(r.Destinations, func(d Destination) bool {
		return d.ChannelARN == arn || d.EncoderARN == arn || d.S3 != nil && d.S3.StorageARN == arn
	})
}

// recording reports whether an output is recorded that has not ended.
func (r *Record) recording() bool {
	return slices.ContainsFunc(r.Destinations, func(d Destination) bool { return d.Records() && !d.State.Ended() })
}

// Encodes reports whether an output uses the encoder configuration.
func (r *Record) Encodes(encoderARN string) bool {
	return slices.ContainsFunc(r.Destinations, func(d Destination) bool { return d.EncoderARN == encoderARN })
}

// destination finds an output by its id; nil when there is none.
func (r *Record) destination(id string) *Destination {
	for i := range r.Destinations {
		if r.Destinations[i].ID == id {
			return &r.Destinations[i]
		}
	}
	return nil
}
