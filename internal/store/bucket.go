package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// markerTTL is how long a bucket remembers that a key was deleted, for watchers that reconnect.
const markerTTL = time.Hour

// operationTimeout bounds what opens, reads or follows a whole bucket. One record has the 5 s that nats.go gives a context
// without a deadline: a server whose disk is full answers no write at all, and its callers learn that after these 5 s.
const operationTimeout = 30 * time.Second

// Bucket keeps records of one type as JSON under string keys. A slash in a key separates segments, so that
// List, Watch and DeletePrefix reach a subtree without looking at the rest. Keys hold up to 1024 bytes.
type Bucket[T any] struct {
	name   string
	kv     jetstream.KeyValue
	stream jetstream.Stream // the stream below kv

	// Of a mirrored bucket:
	compare func(a, b *T) int
	derive  func(*T)
	mirror  *mirror[T]
}

// BucketOption changes a bucket's configuration.
type BucketOption func(*jetstream.KeyValueConfig)

// Retain deletes a record once it has not been written for d.
func Retain(d time.Duration) BucketOption {
	return func(c *jetstream.KeyValueConfig) { c.TTL = d }
}

// NewBucket opens the bucket of that name ([A-Za-z0-9_-]+) and creates it when missing.
func NewBucket[T any](ctx context.Context, s *Store, name string, opts ...BucketOption) (*Bucket[T], error) {
	cfg := jetstream.KeyValueConfig{
		Bucket:         name,
		History:        1,
		Storage:        jetstream.FileStorage,
		LimitMarkerTTL: markerTTL,
	}
	for _, opt := range opts {
		opt(&cfg)
	}
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	kv, err := s.js.CreateOrUpdateKeyValue(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("store: open bucket %s: %w", name, err)
	}
	stream, err := s.js.Stream(ctx, "KV_"+name)
	if err != nil {
		return nil, fmt.Errorf("store: open bucket %s: %w", name, err)
	}
	return &Bucket[T]{name: name, kv: kv, stream: stream}, nil
}

// subject is the NATS subject of an encoded key or filter.
func (b *Bucket[T]) subject(name string) string { return "$KV." + b.name + "." + name }

func (b *Bucket[T]) fail(op, key string, err error) error {
	return fmt.Errorf("store: %s %s/%s: %w", op, b.name, key, err)
}

// Get returns the record and its revision, which grows with every write in the bucket. ErrNotFound when
// there is none.
func (b *Bucket[T]) Get(ctx context.Context, key string) (T, uint64, error) {
	if b.mirror != nil {
		if e, ok := b.mirror.get(key); ok {
			if e.value == nil {
				var none T
				return none, 0, b.fail("get", key, ErrNotFound)
			}
			return *e.value, e.rev, nil
		}
	}
	value, _, rev, err := b.get(ctx, key)
	if err != nil {
		return value, 0, b.fail("get", key, err)
	}
	return value, rev, nil
}

// written waits until the mirror, if any, has a write.
func (b *Bucket[T]) written(rev uint64) {
	if b.mirror != nil {
		b.mirror.wait(rev)
	}
}

func (b *Bucket[T]) get(ctx context.Context, key string) (value T, data []byte, rev uint64, err error) {
	name, err := encodeKey(key)
	if err != nil {
		return value, nil, 0, ErrNotFound // nothing can be under a key that is too long
	}
	entry, err := b.kv.Get(ctx, name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return value, nil, 0, ErrNotFound
	}
	if err != nil {
		return value, nil, 0, err
	}
	if err := json.Unmarshal(entry.Value(), &value); err != nil {
		return value, nil, 0, fmt.Errorf("decode record: %w", err)
	}
	return value, entry.Value(), entry.Revision(), nil
}

// Create writes a record that must not exist yet; otherwise ErrExists.
func (b *Bucket[T]) Create(ctx context.Context, key string, value T) error {
	return b.create(ctx, key, value)
}

// CreateUntil is Create of a record that disappears by itself after ttl, at least a second.
func (b *Bucket[T]) CreateUntil(ctx context.Context, key string, value T, ttl time.Duration) error {
	return b.create(ctx, key, value, jetstream.KeyTTL(max(ttl.Round(time.Second), time.Second)))
}

func (b *Bucket[T]) create(ctx context.Context, key string, value T, opts ...jetstream.KVCreateOpt) error {
	name, data, err := encode(key, value)
	if err != nil {
		return b.fail("create", key, err)
	}
	rev, err := b.kv.Create(ctx, name, data, opts...)
	if errors.Is(err, jetstream.ErrKeyExists) {
		err = ErrExists
	}
	if err != nil {
		return b.fail("create", key, err)
	}
	b.written(rev)
	return nil
}

// Put writes a record whether or not it exists.
func (b *Bucket[T]) Put(ctx context.Context, key string, value T) error {
	name, data, err := encode(key, value)
	if err != nil {
		return b.fail("put", key, err)
	}
	rev, err := b.kv.Put(ctx, name, data)
	if err != nil {
		return b.fail("put", key, err)
	}
	b.written(rev)
	return nil
}

func encode(key string, value any) (name string, data []byte, err error) {
	if name, err = encodeKey(key); err != nil {
		return "", nil, err
	}
	if data, err = json.Marshal(value); err != nil {
		return "", nil, fmt.Errorf("encode record: %w", err)
	}
	return name, data, nil
}

// Update changes a record by compare-and-set and returns what is stored afterwards. change sees the newest
// record and runs again when another writer came first, so it must depend on nothing but its argument. An
// error of change is returned as it is and nothing is written; nor is anything when the record stays the
// same. ErrNotFound when there is no record.
func (b *Bucket[T]) Update(ctx context.Context, key string, change func(*T) error) (T, error) {
	for {
		value, before, rev, err := b.get(ctx, key)
		if err != nil {
			return value, b.fail("update", key, err)
		}
		if err := change(&value); err != nil {
			return value, err
		}
		name, after, err := encode(key, value)
		if err != nil {
			return value, b.fail("update", key, err)
		}
		if bytes.Equal(before, after) {
			return value, nil
		}
		now, err := b.kv.Update(ctx, name, after, rev)
		if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			continue
		}
		if err != nil {
			return value, b.fail("update", key, err)
		}
		b.written(now)
		return value, nil
	}
}

// Delete removes a record that must exist; otherwise ErrNotFound, so that of two racing deletes one learns
// that it lost. Each condition sees the newest record; its error is returned as it is and nothing is removed.
func (b *Bucket[T]) Delete(ctx context.Context, key string, conditions ...func(T) error) error {
	name, err := encodeKey(key)
	if err != nil {
		return b.fail("delete", key, err)
	}
	for {
		value, _, rev, err := b.get(ctx, key)
		if err != nil {
			return b.fail("delete", key, err)
		}
		for _, ok := range conditions {
			if err := ok(value); err != nil {
				return err
			}
		}
		err = b.kv.Purge(ctx, name, jetstream.LastRevision(rev), jetstream.PurgeTTL(markerTTL))
		if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			continue
		}
		if err != nil {
			return b.fail("delete", key, err)
		}
		if b.mirror != nil {
			b.mirror.waitGone(key, rev)
		}
		return nil
	}
}

// DeletePrefix removes every record below prefix, which ends with a slash, in one step. Nothing there is
// fine. Watchers are not told.
func (b *Bucket[T]) DeletePrefix(ctx context.Context, prefix string) error {
	if len(prefix) < 2 || prefix[len(prefix)-1] != '/' {
		return b.fail("delete below", prefix, errors.New("the prefix must be a key followed by a slash"))
	}
	if b.mirror != nil {
		return b.fail("delete below", prefix, errors.New("the bucket has a mirror, which would not be told"))
	}
	filter, err := encodePrefix(prefix)
	if err != nil {
		return b.fail("delete below", prefix, err)
	}
	if err := b.stream.Purge(ctx, jetstream.WithPurgeSubject(b.subject(filter))); err != nil {
		return b.fail("delete below", prefix, err)
	}
	return nil
}
