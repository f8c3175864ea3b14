package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/ingest"
	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/store"
)

// ingestKey is the first part of the stream keys of ingest configurations.
const ingestKey = "rt"

// IsIngestKey tells whether a stream key is one of an ingest configuration, valid or not.
func IsIngestKey(key string) bool { return strings.HasPrefix(key, ingestKey+"_") }

// isDerivedIngestKey tells whether a stream key has the form of derivedIngestKey.
func isDerivedIngestKey(key string) bool { return strings.Count(key, "_") == 5 }

// derivedIngestKey is rt_<account>_<region>_<id>_<end>_<secret>, derived from own.
func (c *Control) derivedIngestKey(own string, end time.Time) string {
	return c.derive(ingestKeyName(own), own, end)
}

// ingestKeyName is a key without its secret.
func ingestKeyName(own string) string { return own[:strings.LastIndexByte(own, '_')] }

// opensIngest tells whether a key is own, or was derived from it and still holds.
func (c *Control) opensIngest(key, own string) bool {
	return same(key, own) || c.derived(key, ingestKeyName(own), own)
}

// ResolveIngestKey says whom a stream key rt_<account>_<region>_<id>_<secret>, or one that was derived from it, lets in; see
// ingest.Directory. With redundant ingest the keys of the two streams open it, and the configuration's own does not.
func (c *Control) ResolveIngestKey(ctx context.Context, key string) (ingest.Credential, error) {
	parts := strings.Split(key, "_")
	if len(parts) != 5 && !isDerivedIngestKey(key) || parts[0] != ingestKey || parts[1] != c.Account.ID || parts[2] != c.Account.Region || parts[3] == "" {
		return ingest.Credential{}, ingest.ErrUnknownKey
	}
	r, _, err := c.ingests.Get(ctx, parts[3])
	if errors.Is(err, store.ErrNotFound) {
		return ingest.Credential{}, ingest.ErrUnknownKey
	}
	if err != nil {
		return ingest.Credential{}, fmt.Errorf("resolve stream key: %w", err)
	}
	out := ingest.Credential{ConfigurationID: r.ID, AllowPlain: r.Insecure}
	if out.Grant, err = c.ingestGrant(ctx, r); err != nil {
		return ingest.Credential{}, fmt.Errorf("resolve stream key: %w", err)
	}
	if r.Redundant == nil {
		if !c.opensIngest(key, c.ingestKey(r.ID, r.Secret)) {
			return out, ingest.ErrUnknownKey
		}
		return out, nil
	}
	for i, x := range r.Redundant {
		if c.opensIngest(key, c.ingestKey(r.ID, x.Secret)) {
			physical := out.Grant
			physical.ParticipantID, physical.Backstage = x.ParticipantID, true
			out.Stream, out.Physical = i, &physical
			return out, nil
		}
	}
	return out, ingest.ErrUnknownKey
}

// ingestGrant is what the configuration's participant may do. It has no stage when the configuration has none, or one that
// has just been deleted.
func (c *Control) ingestGrant(ctx context.Context, r ingestRecord) (stage.Grant, error) {
	g := stage.Grant{
		ParticipantID: r.ParticipantID, UserID: r.UserID, Attributes: r.Attributes, Publish: true,
		IngestConfigurationARN: c.ingestConfigurationARN(r.ID), RedundantIngest: r.Redundant != nil,
	}
	if r.StageID == "" {
		return g, nil
	}
	_, _, err := c.stages.Get(ctx, r.StageID)
	if errors.Is(err, store.ErrNotFound) {
		return g, nil
	}
	g.StageID, g.StageARN = r.StageID, c.stageARN(r.StageID)
	return g, err
}
