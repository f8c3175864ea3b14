package event

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/footlight-live/footlight/internal/store"
)

// How much the log keeps.
const (
	defaultMaxAge   = 30 * 24 * time.Hour
	defaultMaxBytes = 256 << 20 // some 400 000 events
	// duplicateWindow is how long the log refuses an event of an id that it has.
	duplicateWindow = 10 * time.Minute
	publishTimeout  = 10 * time.Second
)

// Log keeps events and hands them out. Set the fields, then Start, then use it from any goroutine, then Close.
type Log struct {
	Store    *store.Store  // required
	MaxAge   time.Duration // of an event; default 30 days
	MaxBytes int64         // of all; default 256 MiB: then the oldest go
	Webhooks []string      // URLs that get each event from the first Start with them on
	Secret   []byte        // signs what webhooks get
	Client   *http.Client  // of the webhooks; default: one that follows no redirects
	Log      *slog.Logger
	Now      func() time.Time // wall clock; default time.Now

	retryAfter time.Duration // the first pause of webhooks, for tests; default defaultFirstPause

	stream  jetstream.Stream
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// streamName is the stream below the log.
const streamName = "FOOTLIGHT_EVENTS"

// Start opens the log and goes on with the webhooks.
func (l *Log) Start(ctx context.Context) error {
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	l.Log = l.Log.With("component", "event")
	if l.Now == nil {
		l.Now = time.Now
	}
	if l.Client == nil {
		l.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var err error
	l.stream, err = l.Store.JetStream().CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Description: "What happened to the resources of Footlight", Subjects: []string{subjects},
		Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld,
		MaxAge: l.maxAge(), MaxBytes: cmp.Or(l.MaxBytes, defaultMaxBytes),
		Duplicates: min(duplicateWindow, l.maxAge()),
	})
	if err != nil {
		return fmt.Errorf("open the event log: %w", err)
	}
	hooks, err := l.openWebhooks(ctx)
	if err != nil {
		return fmt.Errorf("open webhooks: %w", err)
	}
	background, stop := context.WithCancel(context.Background())
	l.cancel = stop
	for _, w := range hooks {
		l.running.Go(func() { w.run(background) })
	}
	return nil
}

// Close ends the webhooks where they are; the next Start goes on from there.
func (l *Log) Close() {
	if l.cancel != nil {
		l.cancel()
		l.running.Wait()
		l.Client.CloseIdleConnections()
	}
}

// Publish appends an event. What need not be said is filled in: the version, source, account, region, and an ID. It
// returns when the event is on disk. Publishing one ID again within ten minutes changes nothing.
func (l *Log) Publish(ctx context.Context, e Event) error {
	resource, err := e.fill()
	if err != nil {
		return fmt.Errorf("publish event %s: %w", e.DetailType, err)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("publish event %s: %w", e.DetailType, err)
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if _, err := l.Store.JetStream().Publish(ctx, subject(resource), body, jetstream.WithMsgID(e.ID)); err != nil {
		return fmt.Errorf("publish event %s of %s: %w", e.DetailType, e.Resources[0], err)
	}
	return nil
}

// Query says what Read reads. The zero value is everything that there is.
type Query struct {
	Since    time.Time    // leaves out what was published before
	After    uint64       // leaves out what is up to this position; used when Since is zero
	Resource string       // ARN; leaves out what happened to others
	Follow   bool         // waits for what comes, until the context ends
	Idle     func() error // is called when nothing has come for IdleTime
	IdleTime time.Duration
}

// Entry is an event in the log.
type Entry struct {
	Position uint64 // grows
	Subject  string // on NATS; one per resource
	Body     []byte // the event as JSON
}

// Read calls yield with each event in order. It ends with the error of yield or Idle, of the context when it follows,
// or of the store.
func (l *Log) Read(ctx context.Context, q Query, yield func(Entry) error) error {
	if err := l.read(ctx, q, yield); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return nil
}

func (l *Log) read(ctx context.Context, q Query, yield func(Entry) error) error {
	config, err := q.consumer()
	if err != nil {
		return err
	}
	consumer, err := l.stream.OrderedConsumer(ctx, config)
	if err != nil {
		return err
	}
	if !q.Follow && consumer.CachedInfo().NumPending == 0 {
		return nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		m, err := q.next(ctx, messages)
		if err != nil {
			return err
		}
		if m == nil {
			continue
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if err := yield(Entry{Position: meta.Sequence.Stream, Subject: m.Subject(), Body: m.Data()}); err != nil {
			return err
		}
		if !q.Follow && meta.NumPending == 0 {
			return nil
		}
	}
}

// next waits for a message; it returns none when Idle has been called in its place.
func (q *Query) next(ctx context.Context, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	wait, cancel := ctx, context.CancelFunc(func() {})
	if q.Idle != nil {
		wait, cancel = context.WithTimeout(ctx, q.IdleTime)
	}
	defer cancel()
	m, err := messages.Next(jetstream.NextContext(wait))
	switch {
	case err == nil:
		return m, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case q.Idle != nil && errors.Is(err, context.DeadlineExceeded):
		return nil, q.Idle()
	}
	return nil, err
}

func (q *Query) consumer() (jetstream.OrderedConsumerConfig, error) {
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
	switch {
	case !q.Since.IsZero():
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &q.Since
	case q.After > 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, q.After+1
	}
	if q.Resource != "" {
		one, err := subjectOf(q.Resource)
		if err != nil {
			return config, err
		}
		config.FilterSubjects = []string{one}
	}
	return config, nil
}

func (l *Log) maxAge() time.Duration { return cmp.Or(l.MaxAge, defaultMaxAge) }

func (l *Log) firstPause() time.Duration { return cmp.Or(l.retryAfter, defaultFirstPause) }
