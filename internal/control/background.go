package control

import (
	"context"
	"sync"
)

// background runs what outlives the request that asked for it. Open it before use.
type background struct {
	mu     sync.Mutex // nothing starts once close has begun
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
}

func (b *background) open() { b.ctx, b.cancel = context.WithCancel(context.Background()) }

// start runs a task, whose context ends with close. After close it does nothing.
func (b *background) start(task func(context.Context)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() == nil {
		b.tasks.Go(func() { task(b.ctx) })
	}
}

// close ends the tasks and waits for them.
func (b *background) close() {
	b.mu.Lock()
	if b.cancel != nil {
		b.cancel()
	}
	b.mu.Unlock()
	b.tasks.Wait()
}
