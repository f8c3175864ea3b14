package control

import (
	"cmp"
	"sync"
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

// paces remember how much of each rate is used up: a bucket of tokens for each. Safe for concurrent use.
type paces struct {
	mu      sync.Mutex
	buckets map[string]*tokenBucket
}

type tokenBucket struct {
	tokens float64 // at most a second's worth
	at     time.Time
}

// manyBuckets is where those that are full again are thrown away.
const manyBuckets = 10_000

// take refuses a call of an operation that comes too early: the name says for what the rate is kept.
func (p *paces) take(operation, name string, perSecond int, now time.Time) error {
	if perSecond < 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.buckets == nil {
		p.buckets = map[string]*tokenBucket{}
	}
	if len(p.buckets) >= manyBuckets {
		for key, b := range p.buckets {
			if now.Sub(b.at) > time.Second {
				delete(p.buckets, key)
			}
		}
	}
	key, limit := operation+" "+name, float64(perSecond)
	b := p.buckets[key]
	if b == nil {
		b = &tokenBucket{tokens: limit, at: now}
		p.buckets[key] = b
	}
	b.tokens = min(limit, b.tokens+max(0, now.Sub(b.at).Seconds())*limit)
	b.at = now
	if b.tokens < 1 {
		return api.ThrottlingException("Rate exceeded: at most %d %s requests per second", perSecond, operation)
	}
	b.tokens--
	return nil
}
