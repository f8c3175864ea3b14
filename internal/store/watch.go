package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// List returns every record whose key starts with prefix, in the byte order of the keys. It reads them in
// one pass, not one by one. A record that exists all the while appears once, even when it is written
// meanwhile; then it may be the old or the new one.
func (b *Bucket[T]) List(ctx context.Context, prefix string) ([]T, error) {
	if b.mirror != nil {
		if list, ok := b.mirror.list(prefix); ok {
			return list, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	found, err := b.collect(ctx, prefix)
	if err != nil {
		return nil, b.fail("list", prefix, err)
	}
	list := make([]T, 0, len(found))
	for _, key := range slices.Sorted(maps.Keys(found)) {
		if c := found[key]; !c.Deleted {
			list = append(list, c.Value)
		}
	}
	return list, nil
}

// collect reads the newest change of every key. A pass delivers records in the order of their last writes:
// one that is written while the pass runs moves to the end, perhaps behind where the pass stops. So when
// there was any write meanwhile, the keys that the pass did not see are read one by one.
func (b *Bucket[T]) collect(ctx context.Context, prefix string) (map[string]Change[T], error) {
	before, err := b.lastRevision(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]Change[T]{}
	if err := b.watch(ctx, prefix, func(c Change[T]) bool {
		if !c.Synced {
			found[c.Key] = c
		}
		return !c.Synced
	}); err != nil {
		return nil, err
	}
	after, err := b.lastRevision(ctx)
	if err != nil || after == before {
		return found, err
	}
	keys, err := b.keys(ctx, prefix)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if _, seen := found[key]; seen {
			continue
		}
		value, _, rev, err := b.get(ctx, key)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[key] = Change[T]{Key: key, Value: value, Revision: rev}
	}
	return found, nil
}

// Bound returns a number that the bucket's records do not exceed, at the cost of one question to the server:
// records that were deleted within the last hour are counted as well. A mirrored bucket knows the exact number.
func (b *Bucket[T]) Bound(ctx context.Context) (int, error) {
	if b.mirror != nil {
		if n, ok := b.mirror.count(); ok {
			return n, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	info, err := b.stream.Info(ctx)
	if err != nil {
		return 0, b.fail("count", "", err)
	}
	return int(info.State.Msgs), nil
}

// lastRevision is the revision of the newest write in the bucket.
func (b *Bucket[T]) lastRevision(ctx context.Context) (uint64, error) {
	info, err := b.stream.Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

// keys returns every key that starts with prefix, and some that were deleted.
func (b *Bucket[T]) keys(ctx context.Context, prefix string) ([]string, error) {
	filter, err := encodePrefix(prefix)
	if err != nil {
		return nil, err
	}
	info, err := b.stream.Info(ctx, jetstream.WithSubjectFilter(b.subject(filter)))
	if err != nil {
		return nil, err
	}
	var keys []string
	for subject := range info.State.Subjects {
		key, err := decodeKey(strings.TrimPrefix(subject, b.subject("")))
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// Change is one thing that a watcher sees.
type Change[T any] struct {
	Key      string
	Value    T // zero when Deleted
	Revision uint64
	Deleted  bool
	// Synced marks, once and alone, the end of what existed at the start of the watch. A record that was
	// written meanwhile may come after it.
	Synced bool
}

// watchBuffer is how many changes wait for a slow reader before the watch itself waits.
const watchBuffer = 64

// Watch tells of every record whose key starts with prefix: first those that exist, then Synced, then each
// change in order, until ctx ends and the channel closes. A reader that stops reading must end ctx.
func (b *Bucket[T]) Watch(ctx context.Context, prefix string) (<-chan Change[T], error) {
	w, err := b.startWatch(ctx, prefix)
	if err != nil {
		return nil, b.fail("watch", prefix, err)
	}
	changes := make(chan Change[T], watchBuffer)
	go func() {
		defer close(changes)
		// A record that cannot be decoded ends the watch as well: the reader sees the channel close.
		_ = follow(ctx, w, prefix, func(c Change[T]) bool {
			select {
			case changes <- c:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	return changes, nil
}

func (b *Bucket[T]) watch(ctx context.Context, prefix string, each func(Change[T]) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := b.startWatch(ctx, prefix)
	if err != nil {
		return err
	}
	return follow(ctx, w, prefix, each)
}

func (b *Bucket[T]) startWatch(ctx context.Context, prefix string) (jetstream.KeyWatcher, error) {
	filter, err := encodePrefix(prefix)
	if err != nil {
		return nil, err
	}
	return b.kv.Watch(ctx, filter)
}

// follow hands changes to each until it returns false, ctx ends or the connection is closed.
func follow[T any](ctx context.Context, w jetstream.KeyWatcher, prefix string, each func(Change[T]) bool) error {
	defer func() {
		// The client delivers into a bounded channel while holding its lock: unread entries would keep
		// its goroutine for ever. An error means that it is closed already.
		_ = w.Stop()
		for range w.Updates() {
		}
	}()
	for {
		select {
		case entry, open := <-w.Updates():
			if !open {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return errors.New("the connection to nats is closed")
			}
			c, ok, err := change[T](entry, prefix)
			if err != nil {
				return err
			}
			if ok && !each(c) {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// change decodes an entry; false means that its key does not start with prefix.
func change[T any](entry jetstream.KeyValueEntry, prefix string) (Change[T], bool, error) {
	if entry == nil {
		return Change[T]{Synced: true}, true, nil
	}
	key, err := decodeKey(entry.Key())
	if err != nil {
		return Change[T]{}, false, err
	}
	if !strings.HasPrefix(key, prefix) {
		return Change[T]{}, false, nil
	}
	c := Change[T]{Key: key, Revision: entry.Revision(), Deleted: entry.Operation() != jetstream.KeyValuePut}
	if !c.Deleted {
		if err := json.Unmarshal(entry.Value(), &c.Value); err != nil {
			return Change[T]{}, false, fmt.Errorf("decode record %s: %w", key, err)
		}
	}
	return c, true, nil
}
