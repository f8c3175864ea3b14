package control

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// journal does jobs in order on one goroutine. Adding a job never blocks, so the goroutines that own stages
// and streams may report from where they are; the goroutine of the journal owns every record of history that
// the jobs write.
type journal struct {
	log  *slog.Logger
	wake chan struct{} // holds one: there are jobs, or the end has come
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	jobs    []job
	ended   bool
	dropped int // observations lost to a full queue, since the last report
}

type job func(context.Context) error

// journalLimit is how many observations may wait for the disk. 10 000 subscribers who arrive at once cause
// three each.
const journalLimit = 1 << 16

// Times of the journal.
const (
	jobTimeout   = 30 * time.Second
	drainTimeout = 5 * time.Second // for what is queued when the server ends
	retryFirst   = 50 * time.Millisecond
	retries      = 5 // doubling: about 1.5 s in all
)

// flushTimeout is how long a reader waits: it rather sees the past than waits longer. Tests do not want the past, and wait.
var flushTimeout = 2 * time.Second

func startJournal(log *slog.Logger) *journal {
	j := &journal{log: log, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go j.run()
	return j
}

// observe adds a job that may be lost when the queue is full; that is counted and logged.
func (j *journal) observe(f job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.jobs) >= journalLimit {
		j.dropped++
		return
	}
	j.push(f)
}

// do runs a job after everything that was added before, and waits for it. It reports the job's error.
func (j *journal) do(ctx context.Context, f job) error {
	result := make(chan error, 1)
	j.mu.Lock()
	j.push(func(ctx context.Context) error {
		err := f(ctx)
		result <- err
		return nil
	})
	j.mu.Unlock()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-j.done:
		return context.Canceled
	}
}

// flush waits until everything that was reported before is written, but no longer than a reader should.
func (j *journal) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	// Late history is worth more than an error about it.
	_ = j.do(ctx, func(context.Context) error { return nil })
}

// push is called with the lock held.
func (j *journal) push(f job) {
	if j.ended {
		return
	}
	j.jobs = append(j.jobs, f)
	j.signal()
}

func (j *journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// take returns all waiting jobs.
func (j *journal) take() (jobs []job, dropped int, ended bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	jobs, j.jobs = j.jobs, nil
	dropped, j.dropped = j.dropped, 0
	return jobs, dropped, j.ended
}

func (j *journal) run() {
	defer close(j.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range j.wake {
		jobs, dropped, ended := j.take()
		if dropped > 0 {
			j.log.Error("history is incomplete: the store is too slow for what happens", "observations lost", dropped)
		}
		if ended {
			defer time.AfterFunc(drainTimeout, cancel).Stop()
		}
		for _, f := range jobs {
			j.try(ctx, f)
		}
		if ended {
			return
		}
	}
}

// try repeats a job that fails for as long as a short failure of the store takes.
func (j *journal) try(ctx context.Context, f job) {
	pause := retryFirst
	for attempt := range retries + 1 {
		bounded, cancel := context.WithTimeout(ctx, jobTimeout)
		err := f(bounded)
		cancel()
		if err == nil {
			return
		}
		if attempt == retries || ctx.Err() != nil {
			j.log.Error("history is incomplete: not written", "error", err)
			return
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
		}
	}
}

// close does what is queued and ends the goroutine.
func (j *journal) close() {
	j.mu.Lock()
	j.ended = true
	j.mu.Unlock()
	j.signal()
	<-j.done
}
