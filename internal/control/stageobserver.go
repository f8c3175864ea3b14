package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/store"
)

// stageObserver writes what stages report into sessions, participants and events, by way of the stage journal.
type stageObserver struct{ c *Control }

// Observe does not block.
func (o stageObserver) Observe(e stage.Event) {
	o.c.publishing.observe(e)
	o.c.stageJournal.observe(func(ctx context.Context) error { return o.c.recordStage(ctx, e) })
	o.c.tapeParticipant(e)
}

// recordStage runs on the journal's goroutine, so nobody else changes these records meanwhile. It may run
// twice for one event when the first try failed half way; the second writes the same.
func (c *Control) recordStage(ctx context.Context, e stage.Event) error {
	if e.Grant.Hidden || e.SessionID == "" {
		return nil
	}
	if e.Replication != nil {
		if err := c.recordReplication(ctx, e); err != nil {
			return err
		}
	}
	if _, _, err := c.stages.Get(ctx, e.StageID); errors.Is(err, store.ErrNotFound) {
		// Deleted while somebody was joining. The history went with it.
		if e.Kind == stage.Joined && c.Stages != nil {
			c.Stages.CloseStage(e.StageID, stageDeleted)
		}
		return nil
	} else if err != nil {
		return err
	}
	switch e.Kind {
	case stage.SessionStarted:
		s := stageSessionRecord{StageID: e.StageID, ID: e.SessionID, Start: e.Time}
		return c.stageSessions.Put(ctx, s.key(), s)
	case stage.SessionEnded:
		s, _, err := c.stageSessions.Get(ctx, e.StageID+"/"+e.SessionID)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return c.endStageSession(ctx, s, e.Time)
	}
	if err := c.recordParticipant(ctx, e); err != nil {
		return err
	}
	if e.Kind == stage.ReplicationResumed || e.Kind == stage.Changed {
		return nil // the API has no such events
	}
	if err := c.recordEvent(ctx, e.StageID+"/"+e.SessionID, eventOf(e)); err != nil {
		return err
	}
	return c.publishStage(ctx, e)
}

// eventOf is the participant's event of what a stage reports. Joining and leaving are no events of a replica's
// (spec/realtime.md §7).
func eventOf(e stage.Event) eventRecord {
	r := eventRecord{
		Name: string(e.Kind), ParticipantID: e.Grant.ParticipantID, Time: e.Time,
		Remote: e.RemoteParticipant, ErrorCode: errorCode(e.ErrorCode),
		Replica: e.Origin != nil && e.Kind != stage.Joined && e.Kind != stage.Left,
	}
	if of := e.Replication; of != nil {
		r.DestinationStage, r.DestinationSession = of.DestinationID, of.DestinationSession
	}
	if e.Previous != nil {
		r.Previous, r.New = exchangedTokenOf(*e.Previous), exchangedTokenOf(e.Grant)
	}
	return r
}

// recordParticipant applies an event to the participant's record.
func (c *Control) recordParticipant(ctx context.Context, e stage.Event) error {
	p := participantRecord{StageID: e.StageID, SessionID: e.SessionID, ID: e.Grant.ParticipantID}
	before, _, err := c.participants.Get(ctx, p.key())
	switch {
	case err == nil:
		p = before
	case !errors.Is(err, store.ErrNotFound):
		return err
	case e.Kind != stage.Joined:
		return nil // refused before joining: there is an event but no participant
	default:
		p.FirstJoin, p.Protocol = e.Time, ivsrealtime.ParticipantProtocolUnknown
	}
	switch e.Kind {
	case stage.Joined:
		p.Connected = true
		p.UserID, p.Attributes = e.Grant.UserID, e.Grant.Attributes
		p.Agent = parseUserAgent(e.UserAgent)
		p.IngestConfigurationARN, p.RedundantIngest = e.Grant.IngestConfigurationARN, e.Grant.RedundantIngest
		if e.Origin != nil {
			p.Replication = participantReplication{ivsrealtime.ReplicationTypeReplica, true, e.Origin.StageID, e.Origin.SessionID}
		}
		if e.Protocol != "" {
			p.Protocol = e.Protocol
		}
		if err := c.keepOut(ctx, e); err != nil {
			return err
		}
	case stage.Left:
		p.leave()
	case stage.TokenExchanged, stage.Changed:
		p.UserID, p.Attributes = e.Grant.UserID, e.Grant.Attributes
	case stage.ReplicationStarted, stage.ReplicationResumed, stage.ReplicationStopped:
		active, err := c.replicated(ctx, e.StageID, e.Grant.ParticipantID)
		if err != nil {
			return err
		}
		p.Replication = participantReplication{Type: ivsrealtime.ReplicationTypeSource, Active: active}
	case stage.PublishStarted:
		p.Published = true
		if e.Protocol != "" {
			p.Protocol = e.Protocol
		}
	default:
		return nil
	}
	return c.participants.Put(ctx, p.key(), p)
}

// keepOut disconnects a participant who was admitted just before the token was revoked.
func (c *Control) keepOut(ctx context.Context, e stage.Event) error {
	revoked, err := c.revoked(ctx, e.StageID, e.Grant.ParticipantID)
	if revoked && e.Origin == nil && c.Stages != nil {
		c.Stages.Disconnect(e.StageID, e.Grant.ParticipantID, "the participant was disconnected")
	}
	return err
}

// recordEvent writes an event under a key that sorts as it happened.
func (c *Control) recordEvent(ctx context.Context, session string, r eventRecord) error {
	// Events of one participant at the same nanosecond keep their order by the kind's place in a session.
	r.Order = fmt.Sprintf("%019d-%d-%s-%s", r.Time.UnixNano(), eventRank[r.Name], r.Name, r.Remote)
	return c.events.Put(ctx, session+"/"+r.ParticipantID+"/"+r.Order, r)
}

// eventRank is the order in which the events of a participant can happen at one instant.
var eventRank = map[string]int{
	string(stage.Joined): 1, string(stage.PublishStarted): 2, string(stage.SubscribeStarted): 3,
	string(stage.JoinError): 4, string(stage.PublishError): 4, string(stage.SubscribeError): 5,
	string(stage.TokenExchanged): 5, string(stage.ReplicationStarted): 5,
	string(stage.SubscribeStopped): 6, string(stage.PublishStopped): 7, string(stage.Left): 8,
	string(stage.ReplicationStopped): 9,
}

// endStageSession ends a session and lets everyone leave who is still connected according to the records:
// after a crash nobody has said so.
func (c *Control) endStageSession(ctx context.Context, s stageSessionRecord, now time.Time) error {
	people, err := c.participants.List(ctx, s.key()+"/")
	if err != nil {
		return err
	}
	for _, p := range people {
		if !p.Connected {
			continue
		}
		p.leave()
		if err := c.recordEvent(ctx, s.key(), eventRecord{Name: string(stage.Left), ParticipantID: p.ID, Time: now}); err != nil {
			return err
		}
		if err := c.participants.Put(ctx, p.key(), p); err != nil {
			return err
		}
	}
	s.End = now
	return c.stageSessions.Put(ctx, s.key(), s)
}
