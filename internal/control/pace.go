package control

import (
	"cmp"
	"time"

	"github.com/footlight-live/footlight/internal/api"
)

// Rates limit how often some operations may be called, in calls per second. Zero means the default of IVS, which each
// field names; a negative number means no limit. As many calls as a second allows may come at once.
type Rates struct {
	Metadata           int // PutMetadata: 155
	MetadataPerChannel int // PutMetadata for one channel: 5
	AdBreaks           int // InsertAdBreak: 1
	Revocations        int // StartViewerSessionRevocation: 10
	RevocationBatches  int // BatchStartViewerSessionRevocation: 2
}

func (r Rates) metadata() int           { return cmp.Or(r.Metadata, 155) }
func (r Rates) metadataPerChannel() int { return cmp.Or(r.MetadataPerChannel, 5) }
func (r Rates) adBreaks() int           { return cmp.Or(r.AdBreaks, 1) }
func (r Rates) revocations() int        { return cmp.Or(r.Revocations, 10) }
func (r Rates) revocationBatches() int  { return cmp.Or(r.RevocationBatches, 2) }

// paces remember how much of each rate is used up. Safe for concurrent use.
type paces struct{ buckets api.Buckets }

// take refuses a call of an operation that comes too early: the name says for what the rate is kept.
func (p *paces) take(operation, name string, perSecond int, now time.Time) error {
	if perSecond >= 0 && !p.buckets.Take(operation+" "+name, float64(perSecond), now) {
		return api.ThrottlingException("Rate exceeded: at most %d %s requests per second", perSecond, operation)
	}
	return nil
}
