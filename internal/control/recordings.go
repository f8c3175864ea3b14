package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/event"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/store"
)

// recordedRecord is a recording as the list of all of them keeps it, those that have left the spool included.
type recordedRecord struct {
	ID     string        `json:"id"`
	Status record.Status `json:"status"`
}

// Recordings are all recordings of the last historyRetention, the newest first: what the recorder has as it is now, the
// others as they ended.
func (c *Control) Recordings(ctx context.Context) ([]record.Status, error) {
	kept, err := c.recorded.List(ctx, "")
	if err != nil {
		return nil, err
	}
	live := map[string]record.Status{}
	if c.Recorder != nil {
		for _, r := range c.Recorder.All() {
			live[r.Spec().ID] = r.Status()
		}
	}
	var all []record.Status
	for _, r := range kept {
		if _, ok := live[r.ID]; !ok {
			all = append(all, r.Status)
		}
	}
	for _, s := range live {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b record.Status) int {
		if order := b.Spec.Started.Compare(a.Spec.Started); order != 0 {
			return order
		}
		return strings.Compare(a.Spec.ID, b.Spec.ID)
	})
	return all, nil
}

// Recording finds one of them; store.ErrNotFound.
func (c *Control) Recording(ctx context.Context, id string) (record.Status, error) {
	if c.Recorder != nil {
		if r := c.Recorder.Get(id); r != nil {
			return r.Status(), nil
		}
	}
	r, _, err := c.recorded.Get(ctx, id)
	return r.Status, err
}

// FindRecording says where a recording is; see record.Links.
func (c *Control) FindRecording(ctx context.Context, id string) (bucket, prefix string, ok bool) {
	s, err := c.Recording(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		c.Log.Error("a recording cannot be looked up", "recording", id, "error", err)
	}
	return s.Spec.Bucket, s.Spec.Prefix, err == nil
}

// RecordingLinkKey seals links to recordings.
func (c *Control) RecordingLinkKey() []byte { return c.linkKey }

// footlightRecording is the detail type of what IVS has no event for.
const footlightRecording = "Footlight Recording State Change"

// recordingDetail is the detail of footlightRecording.
type recordingDetail struct {
	EventName  string `json:"event_name"`
	Recording  string `json:"recording_id"`
	Kind       string `json:"kind"`
	Bucket     string `json:"recording_s3_bucket_name"`
	Prefix     string `json:"recording_s3_key_prefix"`
	DurationMS int64  `json:"recording_duration_ms,omitzero"`
	Waiting    int    `json:"files_waiting,omitzero"`
	Dropped    uint64 `json:"frames_dropped,omitzero"`
	Reason     string `json:"reason,omitzero"`
}

// RecordingsNoted returns when what ObserveRecording has heard is written down; see record.Recorder.
func (c *Control) RecordingsNoted(ctx context.Context) error {
	nothing := func(context.Context) error { return nil }
	if err := c.stageJournal.do(ctx, nothing); err != nil { // whose jobs tell the other one
		return err
	}
	return c.recordingJournal.do(ctx, nothing)
}

// ObserveRecording hears what happens to recordings, writes it down and tells it.
func (c *Control) ObserveRecording(e record.Event) {
	if e.Status.Spec.Kind == record.Channel && (e.Kind == record.Started || e.Kind == record.Ended) {
		c.publishRecordingState(e.Status.Spec.Owner, string(e.Kind), e.Time, e.Status, "")
	}
	if e.Status.Spec.Kind == record.Participant && (e.Kind == record.Started || e.Kind == record.Ended) {
		c.observeParticipantTape(e)
	}
	c.recordingJournal.observe(func(ctx context.Context) error {
		s := e.Status
		if err := c.recorded.Put(ctx, s.Spec.ID, recordedRecord{s.Spec.ID, s}); err != nil {
			return err
		}
		resource := s.Spec.StageARN
		if s.Spec.ChannelARN != "" {
			resource = s.Spec.ChannelARN
		}
		if s.Spec.Kind == record.Composite {
			resource = c.Account.Of(arn.Composition, s.Spec.Owner).String()
		}
		id := event.IDOf(s.Spec.ID, string(e.Kind), e.Time.Truncate(time.Second).String())
		if e.Kind == record.Started || e.Kind == record.Ended {
			id = event.IDOf(s.Spec.ID, string(e.Kind)) // once, however often it is told
		}
		return c.publish(ctx, id, footlightRecording, resource, e.Time, recordingDetail{
			EventName: string(e.Kind), Recording: s.Spec.ID, Kind: string(s.Spec.Kind), Bucket: s.Spec.Bucket, Prefix: s.Spec.Prefix,
			DurationMS: s.Duration.Milliseconds(), Waiting: s.Waiting, Dropped: s.Dropped, Reason: s.Problem,
		})
	})
}
