package control

import (
	"cmp"
	"context"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
)

// sessionOf reads a session of the stage that an ARN names, after what has been reported is written down.
func (c *Control) sessionOf(ctx context.Context, stageARN, sessionID string) (stageSessionRecord, error) {
	r, err := c.stageOf(ctx, stageARN)
	if err != nil {
		return stageSessionRecord{}, err
	}
	c.stageJournal.flush(ctx)
	s, _, err := c.stageSessions.Get(ctx, r.ID+"/"+sessionID)
	return s, orNotFound(err, sessionID)
}

// ListStageSessions shows the sessions of a stage, newest first.
func (c *Control) ListStageSessions(ctx context.Context, in *ivsrealtime.ListStageSessionsRequest) (*ivsrealtime.ListStageSessionsResponse, error) {
	r, err := c.stageOf(ctx, *in.StageArn)
	if err != nil {
		return nil, err
	}
	c.stageJournal.flush(ctx)
	list, err := c.stageSessions.List(ctx, r.ID+"/")
	if err != nil {
		return nil, err
	}
	page, next, err := newestFirst(c, "ListStageSessions "+r.ID, list, stageSessionRecord.order, in.MaxResults, in.NextToken, pageOf50)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.ListStageSessionsResponse{
		StageSessions: each(page, func(s stageSessionRecord) ivsrealtime.StageSessionSummary {
			return ivsrealtime.StageSessionSummary{SessionId: new(s.ID), StartTime: api.TimeOf(s.Start), EndTime: optionalTime(s.End)}
		}),
		NextToken: next,
	}, nil
}

// GetStageSession shows one session of a stage.
func (c *Control) GetStageSession(ctx context.Context, in *ivsrealtime.GetStageSessionRequest) (*ivsrealtime.GetStageSessionResponse, error) {
	s, err := c.sessionOf(ctx, *in.StageArn, *in.SessionId)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.GetStageSessionResponse{StageSession: &ivsrealtime.StageSession{
		SessionId: new(s.ID), StartTime: api.TimeOf(s.Start), EndTime: optionalTime(s.End),
	}}, nil
}

// ListParticipants shows who has been in a session, in the order of their first joining.
func (c *Control) ListParticipants(ctx context.Context, in *ivsrealtime.ListParticipantsRequest) (*ivsrealtime.ListParticipantsResponse, error) {
	passes, filters := participantFilter(in)
	if filters > 1 {
		return nil, api.ValidationException("Only one filter can be used at a time")
	}
	s, err := c.sessionOf(ctx, *in.StageArn, *in.SessionId)
	if err != nil {
		return nil, err
	}
	all, err := c.participants.List(ctx, s.key()+"/")
	if err != nil {
		return nil, err
	}
	var list []participantRecord
	for _, p := range all {
		if passes(p) {
			list = append(list, p)
		}
	}
	page, next, err := oldestFirst(c, "ListParticipants "+s.key(), list, participantRecord.order, in.MaxResults, in.NextToken, pageOf50)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.ListParticipantsResponse{Participants: each(page, c.summarizeParticipant), NextToken: next}, nil
}

// participantFilter reads the filter of a request, and how many it has.
func participantFilter(in *ivsrealtime.ListParticipantsRequest) (passes func(participantRecord) bool, filters int) {
	passes = func(participantRecord) bool { return true }
	if in.FilterByUserId != nil {
		filters++
		passes = func(p participantRecord) bool { return p.UserID == *in.FilterByUserId }
	}
	if in.FilterByState != nil {
		filters++
		passes = func(p participantRecord) bool { return p.state() == *in.FilterByState }
	}
	if in.FilterByPublished != nil {
		filters++
		// False asks for everyone (spec/realtime.md §7).
		passes = func(p participantRecord) bool { return p.Published || !*in.FilterByPublished }
	}
	if in.FilterByRecordingState != nil {
		filters++
		passes = func(p participantRecord) bool { return p.Recording.state() == *in.FilterByRecordingState }
	}
	return passes, filters
}

// GetParticipant shows one participant of a session. A token alone makes none: it takes joining.
func (c *Control) GetParticipant(ctx context.Context, in *ivsrealtime.GetParticipantRequest) (*ivsrealtime.GetParticipantResponse, error) {
	s, err := c.sessionOf(ctx, *in.StageArn, *in.SessionId)
	if err != nil {
		return nil, err
	}
	p, _, err := c.participants.Get(ctx, s.key()+"/"+*in.ParticipantId)
	if err != nil {
		return nil, orNotFound(err, *in.ParticipantId)
	}
	return &ivsrealtime.GetParticipantResponse{Participant: c.viewParticipant(p)}, nil
}

// ListParticipantEvents shows what a participant did in a session, newest first.
func (c *Control) ListParticipantEvents(ctx context.Context, in *ivsrealtime.ListParticipantEventsRequest) (*ivsrealtime.ListParticipantEventsResponse, error) {
	s, err := c.sessionOf(ctx, *in.StageArn, *in.SessionId)
	if err != nil {
		return nil, err
	}
	key := s.key() + "/" + *in.ParticipantId
	list, err := c.events.List(ctx, key+"/")
	if err != nil {
		return nil, err
	}
	// Someone who was refused has events without ever having joined. Someone unknown has neither.
	if len(list) == 0 {
		return nil, notFound(*in.ParticipantId)
	}
	page, next, err := newestFirst(c, "ListParticipantEvents "+key, list, eventRecord.order, in.MaxResults, in.NextToken, pageOf50)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.ListParticipantEventsResponse{Events: each(page, c.viewEvent), NextToken: next}, nil
}

// DisconnectParticipant ends a participant's connections and revokes the token. Someone who is not connected
// is kept out beforehand. An ingest configuration's participant has no token: the configuration is taken off the stage.
func (c *Control) DisconnectParticipant(ctx context.Context, in *ivsrealtime.DisconnectParticipantRequest) error {
	if *in.ParticipantId == "" {
		return api.ValidationException("participantId must not be empty")
	}
	r, err := c.stageOf(ctx, *in.StageArn)
	if err != nil {
		return err
	}
	reason := value(in.Reason, "")
	configuration, byIngest, err := c.ingestOfParticipant(ctx, r.ID, *in.ParticipantId)
	if err != nil {
		return err
	}
	if byIngest {
		return c.detachIngest(ctx, configuration.ID, r.ID, cmp.Or(reason, disconnected))
	}
	if err := c.revoke(ctx, r.ID, *in.ParticipantId, reason); err != nil {
		return err
	}
	if c.Stages != nil {
		c.Stages.Disconnect(r.ID, *in.ParticipantId, cmp.Or(reason, disconnected))
	}
	return nil
}

// disconnected is the reason that a participant is told who is disconnected without one.
const disconnected = "disconnected by DisconnectParticipant"
