package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/store"
)

// ingestRecord is an ingest configuration: an encoder with its stream key publishes to its stage as its participant.
// Whether one does is the live side's to know.
type ingestRecord struct {
	ID       string    `json:"id"`
	Created  time.Time `json:"created"`
	Name     string    `json:"name"`
	Protocol string    `json:"protocol"` // RTMP or RTMPS
	Insecure bool      `json:"insecure"` // RTMP will do
	StageID  string    `json:"stageId"`  // empty: the key opens nothing
	ingestCredential
	UserID     string            `json:"userId,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	// Redundant are the two physical streams; the participant of the configuration itself then shows one of them.
	Redundant []ingestCredential `json:"redundant,omitempty"`
	Tags      map[string]string  `json:"tags,omitempty"`
}

// ingestCredential is a participant and the secret of the stream key that makes an encoder it.
type ingestCredential struct {
	ParticipantID string `json:"participantId"`
	Secret        string `json:"secret"`
}

func newIngestCredential() ingestCredential {
	return ingestCredential{ParticipantID: arn.NewID(12), Secret: arn.NewID(streamKeySecret)}
}

// redundantIngest is how many encoders redundant ingest has (spec/realtime.md §6).
const redundantIngest = 2

// makeRedundant switches redundant ingest on, with new credentials, or off.
func (r *ingestRecord) makeRedundant(on bool) {
	switch {
	case !on:
		r.Redundant = nil
	case r.Redundant == nil:
		for range redundantIngest {
			r.Redundant = append(r.Redundant, newIngestCredential())
		}
	}
}

// has tells whether a participant is one of the configuration's.
func (r ingestRecord) has(participantID string) bool {
	for _, c := range append(r.Redundant[:len(r.Redundant):len(r.Redundant)], r.ingestCredential) {
		if c.ParticipantID == participantID {
			return true
		}
	}
	return false
}

func (r ingestRecord) order() string { return orderKey(r.Created, r.ID) }

// ingestOf reads the ingest configuration that an ARN names.
func (c *Control) ingestOf(ctx context.Context, s string) (ingestRecord, error) {
	a, err := c.ours(s, arn.IngestConfiguration)
	if err != nil {
		return ingestRecord{}, err
	}
	r, _, err := c.ingests.Get(ctx, a.ID)
	return r, orNotFound(err, s)
}

func (c *Control) ingestConfigurationARN(id string) string {
	return c.Account.Of(arn.IngestConfiguration, id).String()
}

// ingestKey is what an encoder sends (spec/realtime.md §6).
func (c *Control) ingestKey(id, secret string) string {
	return ingestKey + "_" + c.Account.ID + "_" + c.Account.Region + "_" + id + "_" + secret
}

func (c *Control) ingestState(id string) string {
	if c.ingestActive(id) {
		return ivsrealtime.IngestConfigurationStateActive
	}
	return ivsrealtime.IngestConfigurationStateInactive
}

func (c *Control) ingestStageARN(r ingestRecord) string {
	if r.StageID == "" {
		return ""
	}
	return c.stageARN(r.StageID)
}

func (c *Control) viewIngest(r ingestRecord) *ivsrealtime.IngestConfiguration {
	view := &ivsrealtime.IngestConfiguration{
		Name:            new(r.Name),
		Arn:             new(c.ingestConfigurationARN(r.ID)),
		IngestProtocol:  new(r.Protocol),
		StreamKey:       new(c.ingestKey(r.ID, r.Secret)),
		StageArn:        new(c.ingestStageARN(r)),
		ParticipantId:   new(r.ParticipantID),
		State:           new(c.ingestState(r.ID)),
		UserId:          new(r.UserID),
		RedundantIngest: new(r.Redundant != nil),
		Attributes:      given(r.Attributes),
		Tags:            given(r.Tags),
	}
	if r.Redundant != nil {
		view.RedundantIngestCredentials = each(r.Redundant, func(x ingestCredential) ivsrealtime.RedundantIngestCredential {
			return ivsrealtime.RedundantIngestCredential{ParticipantId: new(x.ParticipantID), StreamKey: new(c.ingestKey(r.ID, x.Secret))}
		})
	}
	return view
}

func (c *Control) summarizeIngest(r ingestRecord) ivsrealtime.IngestConfigurationSummary {
	return ivsrealtime.IngestConfigurationSummary{
		Name:            new(r.Name),
		Arn:             new(c.ingestConfigurationARN(r.ID)),
		IngestProtocol:  new(r.Protocol),
		StageArn:        new(c.ingestStageARN(r)),
		ParticipantId:   new(r.ParticipantID),
		State:           new(c.ingestState(r.ID)),
		UserId:          new(r.UserID),
		RedundantIngest: new(r.Redundant != nil),
	}
}

// ingestStage finds the stage that a request points to; empty for none. The caller holds references from before until the
// configuration is stored.
func (c *Control) ingestStage(ctx context.Context, stageARN string) (id string, err error) {
	if stageARN == "" {
		return "", nil
	}
	a, err := c.reference("stageArn", stageARN, arn.Stage)
	if err != nil {
		return "", err
	}
	_, err = c.findStage(ctx, a.ID, stageARN)
	return a.ID, err
}

// CreateIngestConfiguration makes a stream key with which an encoder publishes to a stage.
func (c *Control) CreateIngestConfiguration(ctx context.Context, in *ivsrealtime.CreateIngestConfigurationRequest) (*ivsrealtime.CreateIngestConfigurationResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := checkAttributes(in.Attributes); err != nil {
		return nil, err
	}
	r := ingestRecord{
		ID: arn.NewID(12), Created: c.Now(), Name: value(in.Name, ""), Protocol: *in.IngestProtocol, Insecure: value(in.InsecureIngest, false),
		ingestCredential: newIngestCredential(), UserID: value(in.UserId, ""), Attributes: in.Attributes, Tags: in.Tags,
	}
	if r.Protocol == ivsrealtime.IngestProtocolRtmp && !r.Insecure {
		return nil, api.ValidationException("ingestProtocol RTMP is not encrypted: it needs insecureIngest to be true")
	}
	r.makeRedundant(value(in.RedundantIngest, false))
	c.references.RLock()
	defer c.references.RUnlock()
	var err error
	if r.StageID, err = c.ingestStage(ctx, value(in.StageArn, "")); err != nil {
		return nil, err
	}
	if err := createWithin(ctx, c, c.Quotas.ingestConfigurations(), c.ingests, r.ID, r); err != nil {
		return nil, err
	}
	return &ivsrealtime.CreateIngestConfigurationResponse{IngestConfiguration: c.viewIngest(r)}, nil
}

// GetIngestConfiguration shows one ingest configuration with its stream keys.
func (c *Control) GetIngestConfiguration(ctx context.Context, in *ivsrealtime.GetIngestConfigurationRequest) (*ivsrealtime.GetIngestConfigurationResponse, error) {
	r, err := c.ingestOf(ctx, *in.Arn)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.GetIngestConfigurationResponse{IngestConfiguration: c.viewIngest(r)}, nil
}

// ListIngestConfigurations shows all ingest configurations, or those of a stage or in a state, without stream keys.
func (c *Control) ListIngestConfigurations(ctx context.Context, in *ivsrealtime.ListIngestConfigurationsRequest) (*ivsrealtime.ListIngestConfigurationsResponse, error) {
	if in.FilterByStageArn != nil && in.FilterByState != nil {
		return nil, api.ValidationException("Only one filter can be used at a time")
	}
	all, err := c.ingests.List(ctx, "")
	if err != nil {
		return nil, err
	}
	var list []ingestRecord
	for _, r := range all {
		if in.FilterByStageArn != nil && c.ingestStageARN(r) != *in.FilterByStageArn || in.FilterByState != nil && c.ingestState(r.ID) != *in.FilterByState {
			continue
		}
		list = append(list, r)
	}
	scope := fmt.Sprintf("ListIngestConfigurations %s %s", value(in.FilterByStageArn, ""), value(in.FilterByState, ""))
	page, next, err := oldestFirst(c, scope, list, ingestRecord.order, in.MaxResults, in.NextToken, pageOf50)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.ListIngestConfigurationsResponse{IngestConfigurations: each(page, c.summarizeIngest), NextToken: next}, nil
}

// UpdateIngestConfiguration moves an ingest configuration to another stage, or to none, and switches redundant ingest on
// or off. Not while an encoder publishes.
func (c *Control) UpdateIngestConfiguration(ctx context.Context, in *ivsrealtime.UpdateIngestConfigurationRequest) (*ivsrealtime.UpdateIngestConfigurationResponse, error) {
	a, err := c.ours(*in.Arn, arn.IngestConfiguration)
	if err != nil {
		return nil, err
	}
	c.references.RLock()
	defer c.references.RUnlock()
	var stageID string
	if in.StageArn != nil {
		if stageID, err = c.ingestStage(ctx, *in.StageArn); err != nil {
			return nil, err
		}
	}
	r, err := c.ingests.Update(ctx, a.ID, func(r *ingestRecord) error {
		if c.ingestActive(a.ID) {
			return api.ConflictException("IngestConfiguration: %s is active; stop its encoder or disconnect its participant first", *in.Arn)
		}
		if in.StageArn != nil {
			r.StageID = stageID
		}
		if in.RedundantIngest != nil {
			r.makeRedundant(*in.RedundantIngest)
		}
		return nil
	})
	if err != nil {
		return nil, orNotFound(err, *in.Arn)
	}
	// An encoder that connected meanwhile comes back to what the configuration is now.
	c.stopIngest(a.ID, "the ingest configuration was changed")
	return &ivsrealtime.UpdateIngestConfigurationResponse{IngestConfiguration: c.viewIngest(r)}, nil
}

// DeleteIngestConfiguration removes an ingest configuration; with force also one whose encoder publishes, which is
// disconnected.
func (c *Control) DeleteIngestConfiguration(ctx context.Context, in *ivsrealtime.DeleteIngestConfigurationRequest) error {
	a, err := c.ours(*in.Arn, arn.IngestConfiguration)
	if err != nil {
		return err
	}
	err = c.ingests.Delete(ctx, a.ID, func(ingestRecord) error {
		if c.ingestActive(a.ID) && !value(in.Force, false) {
			return api.ConflictException("IngestConfiguration: %s is active; delete it with force to disconnect its encoder", *in.Arn)
		}
		return nil
	})
	if err != nil {
		return orNotFound(err, *in.Arn)
	}
	c.stopIngest(a.ID, "the ingest configuration was deleted")
	return nil
}

// ingestOfParticipant finds the ingest configuration by which a participant publishes to a stage.
func (c *Control) ingestOfParticipant(ctx context.Context, stageID, participantID string) (r ingestRecord, found bool, err error) {
	all, err := c.ingests.List(ctx, "")
	for _, r := range all {
		if r.StageID == stageID && r.has(participantID) {
			return r, true, nil
		}
	}
	return ingestRecord{}, false, err
}

// detachIngest takes an ingest configuration off a stage, so that its stream key opens nothing, and disconnects its
// encoder.
func (c *Control) detachIngest(ctx context.Context, id, stageID, reason string) error {
	_, err := c.ingests.Update(ctx, id, func(r *ingestRecord) error {
		if r.StageID == stageID {
			r.StageID = ""
		}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil // deleted meanwhile, which does the same
	}
	if err != nil {
		return err
	}
	c.stopIngest(id, reason)
	return nil
}

// detachIngests takes all ingest configurations off the stages that do not exist.
func (c *Control) detachIngests(ctx context.Context) error {
	all, err := c.ingests.List(ctx, "")
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.StageID == "" {
			continue
		}
		_, _, err := c.stages.Get(ctx, r.StageID)
		if errors.Is(err, store.ErrNotFound) {
			err = c.detachIngest(ctx, r.ID, r.StageID, stageDeleted)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
