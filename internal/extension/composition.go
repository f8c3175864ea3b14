package extension

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel/hls"
	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/store"
)

// Composition is a composition as lists show it. Times are in UTC; what is not there yet is left out.
type Composition struct {
	ID           string            `json:"id"`
	ARN          string            `json:"arn"`
	StageARN     string            `json:"stageArn"`
	StageName    string            `json:"stageName,omitzero"`
	State        composition.State `json:"state"`
	StartTime    time.Time         `json:"startTime"`
	EndTime      time.Time         `json:"endTime,omitzero"`
	Cause        composition.Cause `json:"cause,omitzero"`
	Tags         map[string]string `json:"tags"`
	Destinations []Destination     `json:"destinations"`
	Composer     Composer          `json:"composer"`
	IdleSince    time.Time         `json:"idleSince,omitzero"` // since when nobody publishes
	StopsAt      time.Time         `json:"stopsAt,omitzero"`   // when it ends by itself, unless something happens
}

// Destination is one output.
type Destination struct {
	ID          string            `json:"id"`
	Name        string            `json:"name,omitzero"`
	ChannelARN  string            `json:"channelArn,omitzero"`
	ChannelName string            `json:"channelName,omitzero"`
	PlaybackURL string            `json:"playbackUrl,omitzero"`
	Recording   *RecordedTo       `json:"recording,omitzero"` // in place of a channel
	State       composition.State `json:"state"`
	StartTime   time.Time         `json:"startTime,omitzero"`
	EndTime     time.Time         `json:"endTime,omitzero"`
	Cause       composition.Cause `json:"cause,omitzero"`
	Video       composition.Video `json:"video"`
	Viewers     int               `json:"viewers"`
	// PartLatency is from a frame's arrival at the channel to the publication of the HLS part that holds it, in
	// milliseconds. With the composer's latency and publish time it is what lies between a camera's packets and
	// the players' reach.
	PartLatency wire.Timing `json:"partLatency"`
}

// RecordedTo is where a destination is recorded.
type RecordedTo struct {
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix"`
}

// Composer is the process that draws, and the figures that tell whether it is well.
type Composer struct {
	PID        int     `json:"pid,omitzero"` // none while there is no process
	Restarts   int     `json:"restarts"`
	LastExit   string  `json:"lastExit,omitzero"` // why the last one was replaced
	CPU        float64 `json:"cpu"`               // cores in use
	Memory     uint64  `json:"memory"`            // resident bytes
	Publishing int     `json:"publishing"`        // participants
	Overloaded bool    `json:"overloaded"`        // the machine is too slow: pictures are left out
	Alert      string  `json:"alert,omitzero"`    // what is wrong with the output
}

// Program is all compositions, the newest first, and what the machine has left for others.
type Program struct {
	Compositions []Composition `json:"compositions"`
	Capacity     *Capacity     `json:"capacity,omitzero"`
}

// Capacity is in cores.
type Capacity struct {
	Cores float64 `json:"cores"` // that composers may take
	Used  float64 `json:"used"`
	Free  float64 `json:"free"` // what a new composition may cost
}

// Details are a composition with how it looks and all that it measures.
type Details struct {
	Composition
	Layout       json.RawMessage `json:"layout"`         // LayoutConfiguration of the IVS Real-Time API
	Scene        json.RawMessage `json:"scene,omitzero"` // see docs/layouts.md
	Measurements *wire.Heartbeat `json:"measurements"`   // null while there is no composer
}

var compositionID = regexp.MustCompile(`^[a-zA-Z0-9]{1,32}$`)

// find reads the composition that a path names.
func (h *Handler) find(r *http.Request) (composition.Status, error) {
	id := r.PathValue("id")
	if !compositionID.MatchString(id) {
		return composition.Status{}, api.ValidationException("A composition's id is the last part of its ARN, not %q", id)
	}
	s, ok := h.Compositions.Status(id)
	if !ok {
		return s, api.ResourceNotFoundException("Resource: %s not found", h.compositionARN(id))
	}
	return s, nil
}

func (h *Handler) listCompositions(r *http.Request, _ []byte) (answer, error) {
	records, err := h.Compositions.List(r.Context())
	if err != nil {
		return answer{}, err
	}
	slices.SortFunc(records, func(a, b composition.Record) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID))
	})
	list, names := make([]Composition, 0, len(records)), h.names(r.Context())
	for _, record := range records {
		if s, ok := h.Compositions.Status(record.ID); ok { // else it has gone meanwhile
			list = append(list, h.view(s, names))
		}
	}
	all := Program{Compositions: list}
	if h.Capacity != nil {
		c, err := h.Capacity(r.Context())
		if err != nil {
			return answer{}, err
		}
		all.Capacity = &Capacity{Cores: c.Cores, Used: c.Used, Free: c.Free()}
	}
	return answer{value: all}, nil
}

func (h *Handler) getComposition(r *http.Request, _ []byte) (answer, error) {
	s, err := h.find(r)
	if err != nil {
		return answer{}, err
	}
	return answer{value: Details{
		Composition: h.view(s, h.names(r.Context())), Layout: s.Record.Layout, Scene: s.Record.Scene, Measurements: listed(s.Heartbeat),
	}}, nil
}

// listed gives a heartbeat lists that are empty, where it has none: null is one more case for clients.
func listed(b *wire.Heartbeat) *wire.Heartbeat {
	if b == nil {
		return nil
	}
	full := *b
	full.Participants = append([]wire.Input{}, b.Participants...)
	full.Canvases = append([]wire.Canvas{}, b.Canvases...)
	full.Destinations = append([]wire.DestinationFigure{}, b.Destinations...)
	for i := range full.Canvases {
		full.Canvases[i].Tiles = append([]wire.Tile{}, full.Canvases[i].Tiles...)
	}
	return &full
}

// names finds the names of stages and channels by ARN, each once: an answer may have the same ones many times.
func (h *Handler) names(ctx context.Context) func(arn string) string {
	known := map[string]string{}
	return func(arn string) string {
		name, ok := known[arn]
		if !ok {
			name = h.Control.NameOf(ctx, arn)
			known[arn] = name
		}
		return name
	}
}

func (h *Handler) view(s composition.Status, names func(arn string) string) Composition {
	c := Composition{
		ID: s.Record.ID, ARN: h.compositionARN(s.Record.ID), StageARN: s.Record.StageARN, StageName: names(s.Record.StageARN),
		State: s.Record.State, StartTime: s.Record.Started.UTC(), EndTime: s.Record.Ended, Cause: s.Record.Cause, Tags: s.Record.Tags,
		Composer:  Composer{PID: s.ComposerPID, Restarts: s.Restarts, LastExit: s.LastExit},
		IdleSince: s.IdleSince, StopsAt: s.StopsAt,
	}
	if c.Tags == nil {
		c.Tags = map[string]string{}
	}
	if b := s.Heartbeat; b != nil {
		c.Composer.CPU, c.Composer.Memory, c.Composer.Publishing = b.CPU, b.Memory, b.Publishing
		c.Composer.Overloaded, c.Composer.Alert = b.Overloaded, b.Alert
	}
	for _, d := range s.Record.Destinations {
		v := h.viewDestination(s.Record.ID, d)
		v.ChannelName = names(d.ChannelARN)
		c.Destinations = append(c.Destinations, v)
	}
	return c
}

func (h *Handler) viewDestination(id string, d composition.Destination) Destination {
	v := Destination{
		ID: d.ID, Name: d.Name, ChannelARN: d.ChannelARN, State: d.State, StartTime: d.Started, EndTime: d.Ended,
		Cause: d.Cause, Video: d.Video,
	}
	if d.Records() {
		v.Recording = &RecordedTo{Bucket: d.S3.Bucket, Prefix: d.S3.Prefix}
		return v
	}
	if a, err := arn.Parse(d.ChannelARN); err == nil {
		v.PlaybackURL = h.Control.PlaybackURL(a.ID)
	}
	// A channel may have another publisher before the composition and after it.
	if st, ok := h.Streams.StreamStats(d.ChannelARN); ok && st.Stream.Source == "composition/"+id {
		v.Viewers, v.PartLatency = st.Stream.ViewerCount, timing(st.Delay)
	}
	return v
}

// timing writes durations the way heartbeats do.
func timing(d hls.Delay) wire.Timing {
	return wire.Timing{Count: uint64(d.Count), P50: milliseconds(d.P50), P99: milliseconds(d.P99)}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (h *Handler) putCompositionScene(r *http.Request, body []byte) (answer, error) {
	s, err := h.find(r)
	if err != nil {
		return answer{}, err
	}
	return answer{}, h.Control.UseScene(r.Context(), body, func(document json.RawMessage) error {
		return h.setScene(r, s.Record.ID, document)
	})
}

func (h *Handler) deleteCompositionScene(r *http.Request, _ []byte) (answer, error) {
	s, err := h.find(r)
	if err != nil {
		return answer{}, err
	}
	return answer{}, h.setScene(r, s.Record.ID, nil)
}

func (h *Handler) setScene(r *http.Request, id string, document json.RawMessage) error {
	switch err := h.Compositions.SetScene(r.Context(), id, document); {
	case errors.Is(err, store.ErrNotFound):
		return api.ResourceNotFoundException("Resource: %s not found", h.compositionARN(id))
	case errors.Is(err, composition.ErrConflict):
		return api.ConflictException("%v", err)
	default:
		return err
	}
}
