package control

import (
	"context"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/store"
)

// What Get, List and Delete do for the kinds of resources that are only named, kept and shown: configurations and keys.

// named reads the record that an ARN of a kind names.
func named[T any](ctx context.Context, c *Control, b *store.Bucket[T], kind arn.Type, name string) (r T, err error) {
	a, err := c.ours(name, kind)
	if err != nil {
		return r, err
	}
	r, _, err = b.Get(ctx, a.ID)
	return r, orNotFound(err, name)
}

// deleteNamed removes the record that an ARN of a kind names; see Bucket.Delete for the conditions.
func deleteNamed[T any](ctx context.Context, c *Control, b *store.Bucket[T], kind arn.Type, name string, conditions ...func(T) error) error {
	a, err := c.ours(name, kind)
	if err != nil {
		return err
	}
	return orNotFound(b.Delete(ctx, a.ID, conditions...), name)
}

// pageOf is a page of all records of a bucket, oldest first. scope is the name of the operation.
func pageOf[T interface{ order() string }](ctx context.Context, c *Control, scope string, b *store.Bucket[T], n *int32, next *string, size pageSize) ([]T, *string, error) {
	all, err := b.List(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	return oldestFirst(c, scope, all, T.order, n, next, size)
}
