package composer

import (
	"context"
	"errors"
	"strings"
	"time"
)

// backoff waits longer and longer: first, then twice as long each time, up to most.
type backoff struct {
	first, most time.Duration
	next        time.Duration
}

func (b *backoff) reset() { b.next = 0 }

// wait returns early when ctx ends, or when there is word that the next attempt will do better: that one begins anew.
// word may be nil.
func (b *backoff) wait(ctx context.Context, word <-chan struct{}) {
	b.next = min(max(b.first, 2*b.next), b.most)
	t := time.NewTimer(b.next)
	defer t.Stop()
	select {
	case <-t.C:
	case <-word:
		b.reset()
	case <-ctx.Done():
	}
}

// sleep waits for d or the end of ctx, and tells whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// redact takes a secret out of an error's text, keeping nothing of its chain.
func redact(err error, secret string) error {
	if err == nil || secret == "" || !strings.Contains(err.Error(), secret) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), secret, "…"))
}
