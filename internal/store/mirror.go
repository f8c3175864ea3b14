package store

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// mirror is a bucket's records in memory. A goroutine of its own follows the bucket and is the only one that changes
// it, so that it holds what the bucket holds in the order of the writes, whoever made them. A writer waits until its
// own write has come around: what a caller was told is what the next one reads.
type mirror[T any] struct {
	compare func(a, b *T) int
	derive  func(*T)

	mu      sync.RWMutex
	moved   *sync.Cond // with the write lock
	entries map[string]entry[T]
	sorted  []*T        // by compare
	lent    atomic.Bool // a reader may have sorted: it is not changed in place any more
	settled bool        // what existed at the start has been seen, and is sorted
	applied uint64      // the newest revision that was seen
	ended   bool        // the bucket is no longer followed: what is here is old
}

type entry[T any] struct {
	value *T
	rev   uint64
}

// Mirrored opens a bucket as NewBucket does and keeps its records in memory, so that Get, List and Sorted ask nobody.
// It is for buckets that are read far more often than written and that fit into memory. compare orders Sorted. derive,
// which may be nil, sets what follows from the rest of a record and is not stored, before Sorted returns the record for
// the first time; what other reads return may lack it.
//
// With an external NATS server, where other nodes write as well, there is no mirror: a write would be seen elsewhere
// only after a while.
//
// What reads return is shared: callers must not change what maps, slices and pointers of a record lead to. A mirrored
// bucket has no DeletePrefix, which tells no watcher.
func Mirrored[T any](ctx context.Context, s *Store, name string, compare func(a, b *T) int, derive func(*T)) (*Bucket[T], error) {
	b, err := NewBucket[T](ctx, s, name)
	if err != nil {
		return nil, err
	}
	b.compare, b.derive = compare, derive
	if b.derive == nil {
		b.derive = func(*T) {}
	}
	if s.server == nil {
		return b, nil
	}
	m := &mirror[T]{compare: compare, derive: b.derive, entries: map[string]entry[T]{}}
	m.moved = sync.NewCond(&m.mu)
	following, cancel := context.WithCancel(context.Background())
	w, err := b.startWatch(following, "")
	if err != nil {
		cancel()
		return nil, b.fail("mirror", "", err)
	}
	synced := make(chan struct{})
	s.mirrors.Go(func() {
		defer cancel()
		// An error means that the connection is closed or that a record cannot be decoded: reads ask the bucket, and
		// say so themselves.
		_ = follow(following, w, "", func(c Change[T]) bool {
			if c.Synced {
				m.settle()
				close(synced)
			} else {
				m.apply(c)
			}
			return true
		})
		m.end()
	})
	select {
	case <-synced:
		b.mirror = m
		return b, nil
	case <-ctx.Done():
		cancel()
		return nil, b.fail("mirror", "", ctx.Err())
	}
}

// apply takes one change over.
func (m *mirror[T]) apply(c Change[T]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, there := m.entries[c.Key]; there {
		delete(m.entries, c.Key)
		if i := slices.Index(m.sorted, old.value); i >= 0 {
			m.takeBack()
			m.sorted = slices.Delete(m.sorted, i, i+1)
		}
	}
	if !c.Deleted {
		m.derive(&c.Value)
		m.entries[c.Key] = entry[T]{&c.Value, c.Revision}
		if m.settled {
			i, _ := slices.BinarySearchFunc(m.sorted, &c.Value, m.compare)
			m.takeBack()
			m.sorted = slices.Insert(m.sorted, i, &c.Value)
		}
	}
	m.applied = c.Revision
	m.moved.Broadcast()
}

// takeBack makes sorted a list that no reader has: many writes between two reads copy it once.
func (m *mirror[T]) takeBack() {
	if m.lent.Swap(false) {
		const room = 64 // for what comes next
		m.sorted = append(make([]*T, 0, len(m.sorted)+room), m.sorted...)
	}
}

// settle sorts what existed at the start.
func (m *mirror[T]) settle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled = true
	for _, e := range m.entries {
		m.sorted = append(m.sorted, e.value)
	}
	slices.SortFunc(m.sorted, m.compare)
}

func (m *mirror[T]) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	m.moved.Broadcast()
}

// wait returns once the write with a revision has come around.
func (m *mirror[T]) wait(rev uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.applied < rev && !m.ended {
		m.moved.Wait()
	}
}

// waitGone returns once the record that had a revision is gone.
func (m *mirror[T]) waitGone(key string, rev uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for !m.ended {
		if e, there := m.entries[key]; m.applied > rev && (!there || e.rev > rev) {
			return
		}
		m.moved.Wait()
	}
}

// get returns an entry, the zero one when there is none. ok is false when the mirror has ended.
func (m *mirror[T]) get(key string) (e entry[T], ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.entries[key], !m.ended
}

// all returns the records in order.
func (m *mirror[T]) all() (sorted []*T, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	m.lent.Store(true)
	return m.sorted, !m.ended
}

// count returns how many records there are.
func (m *mirror[T]) count() (n int, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.sorted), !m.ended
}

// list returns the records whose key starts with prefix, in the order of the keys.
func (m *mirror[T]) list(prefix string) (list []T, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	keys := make([]string, 0, len(m.entries))
	for key := range m.entries {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	list = make([]T, 0, len(keys))
	for _, key := range keys {
		list = append(list, *m.entries[key].value)
	}
	return list, !m.ended
}

// Sorted returns every record, in the order of a mirrored bucket. The list is shared: callers must not change it, nor
// the records.
func (b *Bucket[T]) Sorted(ctx context.Context) ([]*T, error) {
	if b.mirror != nil {
		if sorted, ok := b.mirror.all(); ok {
			return sorted, nil
		}
	}
	list, err := b.List(ctx, "")
	if err != nil {
		return nil, err
	}
	sorted := make([]*T, len(list))
	for i := range list {
		sorted[i] = &list[i]
		b.derive(sorted[i])
	}
	slices.SortFunc(sorted, b.compare)
	return sorted, nil
}
