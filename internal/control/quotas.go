package control

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/store"
)

// Quotas limit how many resources there may be. Zero means the default of IVS, which each field names.
type Quotas struct {
	Channels              int // 5000
	Stages                int // 1000
	EncoderConfigurations int // 20
	Compositions          int // 20 that have not ended
	CompositionsPerStage  int // 5 that have not ended
	PlaybackKeyPairs      int // 3
	RestrictionPolicies   int // 3
	AdConfigurations      int // 20
	PublicKeys            int // 3
	ConcurrentStreams     int // 100 channels that are live
	ConcurrentViewers     int // 15000 of all channels

	StorageConfigurations   int // 5
	RecordingConfigurations int // 20
	IngestConfigurations    int // 100

	// What the live side of stages keeps.
	PublishersPerStage         int // 12
	SubscribersPerStage        int // 10 000
	ConcurrentPublishers       int // 1000 of all stages
	ConcurrentSubscriptions    int // 20 000 of all stages, one for each publisher that somebody watches
	ReplicationsPerParticipant int // 5
	PublishBitRate             int // 8 500 000 bits per second, all layers and sound together
	PublishLines               int // 720: the shorter side of a publisher's pictures; the longer may be 16/9 of it
	ConnectionHours            int // 24, of publishing and of subscribing
}

// Set changes a quota by its name: that of the field in lower case with dashes, such as encoder-configurations.
func (q *Quotas) Set(name string, n int) error {
	fields := reflect.ValueOf(q).Elem()
	var names []string
	for i := range fields.NumField() {
		dashed := wordStart.ReplaceAllStringFunc(fields.Type().Field(i).Name, func(s string) string { return s[:1] + "-" + s[1:] })
		names = append(names, strings.ToLower(dashed))
	}
	i := slices.Index(names, name)
	if i < 0 {
		return fmt.Errorf("there is no quota %q, only %s", name, strings.Join(names, ", "))
	}
	if n < 1 {
		return fmt.Errorf("the quota %s must be 1 or more, not %d", name, n)
	}
	fields.Field(i).SetInt(int64(n))
	return nil
}

var wordStart = regexp.MustCompile(`[a-z][A-Z]`)

// limit is a quota that a response names.
type limit struct {
	what string
	max  int
}

func (q Quotas) channels() limit { return limit{"channels", cmp.Or(q.Channels, 5000)} }
func (q Quotas) stages() limit   { return limit{"stages", cmp.Or(q.Stages, 1000)} }
func (q Quotas) encoderConfigurations() limit {
	return limit{"encoder configurations", cmp.Or(q.EncoderConfigurations, 20)}
}
func (q Quotas) compositions() limit {
	return limit{"concurrent compositions", cmp.Or(q.Compositions, 20)}
}
func (q Quotas) compositionsPerStage() limit {
	return limit{"concurrent compositions per stage", cmp.Or(q.CompositionsPerStage, 5)}
}

func (q Quotas) playbackKeyPairs() limit {
	return limit{"playback key pairs", cmp.Or(q.PlaybackKeyPairs, 3)}
}
func (q Quotas) playbackRestrictionPolicies() limit {
	return limit{"playback restriction policies", cmp.Or(q.RestrictionPolicies, 3)}
}
func (q Quotas) adConfigurations() limit {
	return limit{"ad configurations", cmp.Or(q.AdConfigurations, 20)}
}
func (q Quotas) publicKeys() limit { return limit{"public keys", cmp.Or(q.PublicKeys, 3)} }

func (q Quotas) storageConfigurations() limit {
	return limit{"storage configurations", cmp.Or(q.StorageConfigurations, 5)}
}
func (q Quotas) recordingConfigurations() limit {
	return limit{"recording configurations", cmp.Or(q.RecordingConfigurations, 20)}
}

func (q Quotas) ingestConfigurations() limit {
	return limit{"ingest configurations", cmp.Or(q.IngestConfigurations, 100)}
}

func (q Quotas) replicationsPerParticipant() limit {
	return limit{"replications per participant", cmp.Or(q.ReplicationsPerParticipant, 5)}
}

// allow refuses one more than the limit.
func (l limit) allow(have int) error {
	if have >= l.max {
		return api.ServiceQuotaExceededException("The quota of %d %s is used up", l.max, l.what)
	}
	return nil
}

// createWithin stores one more record unless there are as many as the limit allows.
func createWithin[T any](ctx context.Context, c *Control, l limit, b *store.Bucket[T], key string, value T) error {
	if done, err := createWell(ctx, c, l, b, key, value); done {
		return err
	}
	c.counting.Lock()
	defer c.counting.Unlock()
	have, err := b.Bound(ctx)
	if err != nil {
		return err
	}
	if have >= l.max { // perhaps only because of what was deleted lately
		all, err := b.List(ctx, "")
		if err != nil {
			return err
		}
		if err := l.allow(len(all)); err != nil {
			return err
		}
	}
	return b.Create(ctx, key, value)
}

// createWell is createWithin well below the limit, where creates need not wait for one another. done is false when
// the limit is so near that they must.
func createWell[T any](ctx context.Context, c *Control, l limit, b *store.Bucket[T], key string, value T) (done bool, err error) {
	c.counting.RLock()
	defer c.counting.RUnlock()
	// Whoever creates counts itself before it counts what there is: what others store meanwhile is in one of the two.
	creating := c.creating.Add(1)
	defer c.creating.Add(-1)
	have, err := b.Bound(ctx)
	if err != nil {
		return true, err
	}
	if have+int(creating) > l.max {
		return false, nil
	}
	return true, b.Create(ctx, key, value)
}
