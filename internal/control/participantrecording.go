package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/capture"
	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/event"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/store"
)

// participantTapes are the recordings of participants that the store does not have whole, by id. A recording goes on when
// its participant publishes again within the reconnect window. Safe for concurrent use.
type participantTapes struct {
	mu    sync.Mutex
	tapes map[string]*participantTape
	began map[string]time.Time // the newest prefix of each participant, for a minute
}

type participantTape struct {
	participant string            // stage/participant
	recording   *record.Recording // nil while it begins
	config      stageRecording
	sessions    []string // of the stage, in which it was recorded, in order
	runs        int      // of the participant's publishing: an end that was planned before the newest one counts no more
	ending      bool
}

// active tells whether a participant of the stage is recorded, or may be recorded on.
func (t *participantTapes) active(stageID string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.tapes {
		if strings.HasPrefix(p.participant, stageID+"/") && p.goesOn() {
			return true
		}
	}
	return false
}

func (p *participantTape) goesOn() bool {
	if p.recording == nil {
		return !p.ending
	}
	select {
	case <-p.recording.Over():
		return false
	default:
		return !p.ending
	}
}

// take finds the tape that goes on with a participant, or makes one, and begins a run of it. run is its number.
func (t *participantTapes) take(participant, session string, config stageRecording, now time.Time) (id string, p *participantTape, run int, started time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, p := range t.tapes {
		if p.participant == participant && p.recording != nil && p.config.Window > 0 && p.config.Storage == config.Storage && p.goesOn() {
			p.runs++
			if !slices.Contains(p.sessions, session) {
				p.sessions = append(p.sessions, session)
			}
			return id, p, p.runs, p.recording.Spec().Started
		}
	}
	if t.tapes == nil {
		t.tapes, t.began = map[string]*participantTape{}, map[string]time.Time{}
	}
	maps.DeleteFunc(t.began, func(_ string, at time.Time) bool { return now.Sub(at) > time.Minute })
	// Prefixes hold whole seconds: two recordings of one participant never begin in the same one.
	started = now.UTC().Truncate(time.Second)
	if before, ok := t.began[participant]; ok && !started.After(before) {
		started = before.Add(time.Second)
	}
	t.began[participant] = started
	id, p = "participant-"+arn.NewID(12), &participantTape{participant: participant, config: config, sessions: []string{session}, runs: 1}
	t.tapes[id] = p
	return id, p, 1, started
}

func (t *participantTapes) forget(id string) (p *participantTape) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = t.tapes[id]
	delete(t.tapes, id)
	return p
}

// tapeParticipant has a participant recorded who begins to publish where the stage wants it. It does not block.
func (c *Control) tapeParticipant(e stage.Event) {
	if e.Kind != stage.PublishStarted || e.Grant.Hidden || e.Grant.Backstage || c.Recorder == nil || c.Stages == nil {
		return
	}
	c.background.start(func(ctx context.Context) {
		r, _, err := c.stages.Get(ctx, e.StageID)
		if err != nil || r.Recording.Storage == "" || e.Origin != nil && !r.Recording.Replicas {
			return // not to be recorded, or deleted meanwhile
		}
		ear, err := c.Stages.Listen(ctx, e.StageID, e.Grant.ParticipantID)
		if err != nil {
			return // gone already
		}
		defer ear.Close()
		c.runParticipantTape(ctx, e, r.Recording, ear)
	})
}

// runParticipantTape records what an ear hears.
func (c *Control) runParticipantTape(ctx context.Context, e stage.Event, config stageRecording, ear *stage.Ear) {
	participant := e.Grant.ParticipantID
	id, p, run, started := c.participantTapes.take(e.StageID+"/"+participant, e.SessionID, config, c.Now())
	recording := p.recording
	if run == 1 {
		spec, err := c.participantSpec(ctx, id, e, config, started)
		if err == nil {
			c.noteRecording(e.StageID, e.SessionID, participant, func(r *participantRecording) {
				*r = participantRecording{ivsrealtime.ParticipantRecordingStateStarting, spec.Bucket, spec.Prefix}
			})
			recording, err = c.Recorder.Open(ctx, spec)
		}
		if err != nil {
			c.participantTapes.forget(id)
			c.failParticipantTape(e, spec, err)
			return
		}
		c.participantTapes.mu.Lock()
		p.recording = recording
		c.participantTapes.mu.Unlock()
	} else {
		s := recording.Spec()
		c.noteRecording(e.StageID, e.SessionID, participant, func(r *participantRecording) {
			*r = participantRecording{ivsrealtime.ParticipantRecordingStateActive, s.Bucket, s.Prefix}
		})
	}
	source := recording.Source()
	capture.Run(ctx, ear, source, keyInterval(recording.Spec()))
	source.Close()
	c.endParticipantTape(id, p, run)
}

// keyInterval is how far apart key frames are wanted: for segments, or for thumbnails where no picture is recorded.
func keyInterval(s record.Spec) time.Duration {
	if s.Media == record.AudioVideo {
		return s.Segment
	}
	return cmp.Or(s.Thumbnails.Interval, s.Segment)
}

// endParticipantTape ends a recording unless its participant publishes again within the window.
func (c *Control) endParticipantTape(id string, p *participantTape, run int) {
	recording, window := p.recording, p.config.window()
	s := recording.Spec()
	c.participantTapes.mu.Lock()
	newest := p.runs == run
	session := p.sessions[len(p.sessions)-1]
	c.participantTapes.mu.Unlock()
	if !newest {
		return
	}
	stageID, _, _ := strings.Cut(p.participant, "/")
	c.noteRecording(stageID, session, s.ParticipantID, func(r *participantRecording) {
		c.participantTapes.mu.Lock()
		newest := p.runs == run // else the next one has noted ACTIVE already, or is about to
		c.participantTapes.mu.Unlock()
		if newest && r.Prefix == s.Prefix && r.State != ivsrealtime.ParticipantRecordingStateStopped {
			r.State = ivsrealtime.ParticipantRecordingStateStopping
		}
	})
	c.background.start(func(ctx context.Context) {
		select {
		case <-time.After(window):
		case <-ctx.Done():
			return // the next start ends it
		}
		c.participantTapes.mu.Lock()
		p.ending = p.ending || p.runs == run
		ends := p.runs == run
		c.participantTapes.mu.Unlock()
		if !ends {
			return
		}
		if err := recording.End(ctx, record.Cause{}); err != nil && ctx.Err() == nil && !errors.Is(err, record.ErrClosed) {
			c.Log.Error("cannot end the recording of a participant", "recording", id, "error", err)
		}
	})
}

// participantSpec is a new recording of a participant.
func (c *Control) participantSpec(ctx context.Context, id string, e stage.Event, config stageRecording, started time.Time) (record.Spec, error) {
	s := record.Spec{
		ID: id, Kind: record.Participant, Started: started, Media: record.MediaTypes(config.MediaType),
		Prefix:  strings.Join([]string{e.StageID, e.SessionID, e.Grant.ParticipantID, started.Format("2006-01-02T15-04-05Z")}, "/"),
		Segment: time.Duration(config.Segment) * time.Second, Rendition: "high",
		StageARN: c.stageARN(e.StageID), SessionID: e.SessionID, ParticipantID: e.Grant.ParticipantID, Owner: e.StageID,
	}
	if t := config.Thumbnails; t.Mode == ivsrealtime.ThumbnailRecordingModeInterval {
		s.Thumbnails = record.Thumbnails{
			Interval:   time.Duration(t.Interval) * time.Second,
			Sequential: slices.Contains(t.Storage, ivsrealtime.ThumbnailStorageTypeSequential),
			Latest:     slices.Contains(t.Storage, ivsrealtime.ThumbnailStorageTypeLatest),
		}
	}
	a, err := arn.Parse(config.Storage)
	if err != nil {
		return s, err
	}
	r, _, err := c.storages.Get(ctx, a.ID)
	if err != nil {
		return s, fmt.Errorf("storage configuration %s: %w", config.Storage, err)
	}
	s.Bucket = r.Bucket
	return s, nil
}

// resumeParticipantTapes takes up the recordings that an earlier process left: each waits for its participant for its
// window, which has begun with the start.
func (c *Control) resumeParticipantTapes(ctx context.Context) error {
	for _, recording := range c.Recorder.All() {
		s := recording.Spec()
		if s.Kind != record.Participant {
			continue
		}
		p := &participantTape{participant: s.Owner + "/" + s.ParticipantID, recording: recording, runs: 1}
		if r, _, err := c.stages.Get(ctx, s.Owner); err == nil {
			p.config = r.Recording
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		var err error
		if p.sessions, err = c.recordedSessions(ctx, s); err != nil {
			return err
		}
		c.participantTapes.mu.Lock()
		if c.participantTapes.tapes == nil {
			c.participantTapes.tapes, c.participantTapes.began = map[string]*participantTape{}, map[string]time.Time{}
		}
		_, known := c.participantTapes.tapes[s.ID] // it began since the start
		if !known {
			c.participantTapes.tapes[s.ID] = p
		}
		c.participantTapes.mu.Unlock()
		if !known && recording.Status().State != record.Uploading {
			c.endParticipantTape(s.ID, p, 1)
		}
	}
	return nil
}

// recordedSessions are the sessions of the stage in which a participant was recorded to one prefix, in order, as the records
// of an earlier process have them.
func (c *Control) recordedSessions(ctx context.Context, s record.Spec) ([]string, error) {
	people, err := c.participants.List(ctx, s.Owner+"/")
	if err != nil {
		return nil, err
	}
	people = slices.DeleteFunc(people, func(r participantRecord) bool { return r.Recording.Prefix != s.Prefix || r.SessionID == s.SessionID })
	slices.SortFunc(people, func(a, b participantRecord) int { return a.FirstJoin.Compare(b.FirstJoin) })
	sessions := []string{s.SessionID}
	for _, r := range people {
		sessions = append(sessions, r.SessionID)
	}
	return sessions, nil
}

// noteRecording changes what a participant's record says of its recording. It does not block.
func (c *Control) noteRecording(stageID, sessionID, participantID string, change func(*participantRecording)) {
	c.stageJournal.observe(func(ctx context.Context) error {
		return c.changeRecording(ctx, stageID, sessionID, participantID, change)
	})
}

// changeRecording does that. Only jobs of the stages' journal call it.
func (c *Control) changeRecording(ctx context.Context, stageID, sessionID, participantID string, change func(*participantRecording)) error {
	p, _, err := c.participants.Get(ctx, stageID+"/"+sessionID+"/"+participantID)
	if errors.Is(err, store.ErrNotFound) {
		return nil // the stage was deleted
	}
	if err != nil {
		return err
	}
	change(&p.Recording)
	return c.participants.Put(ctx, p.key(), p)
}

// participantRecordingDetail is the detail of "IVS Participant Recording State Change" (spec/composition.md §6).
type participantRecordingDetail struct {
	SessionID     string `json:"session_id"`
	EventName     string `json:"event_name"`
	ParticipantID string `json:"participant_id"`
	Bucket        string `json:"recording_s3_bucket_name"`
	Prefix        string `json:"recording_s3_key_prefix"`
	DurationMS    *int64 `json:"recording_duration_ms,omitzero"` // at the end
	ErrorCode     string `json:"error_code,omitzero"`
	Reason        string `json:"reason,omitzero"`
}

// publishParticipantTape tells what has become of a participant's recording.
func (c *Control) publishParticipantTape(s record.Spec, at time.Time, d participantRecordingDetail) {
	d.ParticipantID, d.Bucket, d.Prefix = s.ParticipantID, s.Bucket, s.Prefix
	c.recordingJournal.observe(func(ctx context.Context) error {
		return c.publish(ctx, event.IDOf(s.ID, "participant", d.EventName), "IVS Participant Recording State Change", s.StageARN, at, d)
	})
}

// observeParticipantTape hears that the store has the first object of a recording, or everything. It does not block.
func (c *Control) observeParticipantTape(e record.Event) {
	s := e.Status.Spec
	if e.Kind == record.Started {
		c.publishParticipantTape(s, e.Time, participantRecordingDetail{SessionID: s.SessionID, EventName: string(record.Started)})
		c.noteRecording(s.Owner, s.SessionID, s.ParticipantID, func(r *participantRecording) {
			if r.Prefix == s.Prefix && r.State == ivsrealtime.ParticipantRecordingStateStarting {
				r.State = ivsrealtime.ParticipantRecordingStateActive
			}
		})
		return
	}
	d := participantRecordingDetail{EventName: string(record.Ended), DurationMS: new(e.Status.Duration.Milliseconds())}
	state := ivsrealtime.ParticipantRecordingStateStopped
	if cause := e.Status.Cause; cause.Code != "" {
		d.EventName, d.ErrorCode, d.Reason = "Recording End Failure", cause.Code, cause.Message
		state = ivsrealtime.ParticipantRecordingStateFailed
	}
	tape := c.participantTapes.forget(s.ID)
	c.stageJournal.observe(func(ctx context.Context) (err error) {
		var sessions []string
		if tape != nil {
			sessions = tape.sessions
		} else if sessions, err = c.recordedSessions(ctx, s); err != nil { // it had ended before this process began
			return err
		}
		d.SessionID = sessions[len(sessions)-1]
		c.publishParticipantTape(s, e.Time, d)
		for _, session := range sessions {
			if err := c.changeRecording(ctx, s.Owner, session, s.ParticipantID, func(r *participantRecording) {
				if r.Prefix == s.Prefix {
					r.State = state
				}
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// failParticipantTape tells that a participant cannot be recorded, who publishes all the same.
func (c *Control) failParticipantTape(e stage.Event, s record.Spec, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, record.ErrClosed) {
		return // the server ends
	}
	c.Log.Error("a participant is not recorded", "stage", e.StageID, "participant", e.Grant.ParticipantID, "error", err)
	d := participantRecordingDetail{SessionID: e.SessionID, EventName: "Recording Start Failure", ErrorCode: "InternalServerException", Reason: err.Error()}
	if refusal, ok := errors.AsType[*wire.Refusal](recordingRefusal(err)); ok {
		d.ErrorCode, d.Reason = refusal.Code, refusal.Reason
	}
	c.publishParticipantTape(s, c.Now(), d)
	c.noteRecording(e.StageID, e.SessionID, e.Grant.ParticipantID, func(r *participantRecording) {
		*r = participantRecording{State: ivsrealtime.ParticipantRecordingStateFailed}
	})
}
