package event

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/footlight-live/footlight/internal/store"
)

// How webhooks are delivered.
const (
	attemptTimeout    = 10 * time.Second
	defaultFirstPause = time.Second // after a failed attempt, doubling
	lastPause         = 5 * time.Minute
	atOnce            = 8   // attempts, each of another resource
	window            = 512 // events taken from the log and not yet delivered
)

// progress is how far a webhook has come, as the store keeps it under a digest of its URL: it has got everything up
// to a position in the log, but for what it is owed.
type progress struct {
	URL     string   `json:"url"`
	Through uint64   `json:"through"`
	Owed    []uint64 `json:"owed,omitempty"` // in order, at most window
}

// from is the position after which to go on reading.
func (p progress) from() uint64 {
	if len(p.Owed) > 0 {
		return p.Owed[0] - 1
	}
	return p.Through
}

// has reports whether the webhook has got what is at a position.
func (p progress) has(position uint64) bool {
	_, owed := slices.BinarySearch(p.Owed, position)
	return position <= p.Through && !owed
}

// webhook is one receiver. Its goroutine, run, owns the fields below log.
type webhook struct {
	url     string
	secret  []byte
	client  *http.Client
	log     *slog.Logger
	source  *Log
	records *store.Bucket[progress]
	slots   chan struct{} // one per attempt under way
	now     func() time.Time

	key     string
	reached progress
	lanes   map[string][]Entry // what is owed, by subject; of each lane the first is being delivered
}

// openWebhooks finds out how far each webhook has come. A new one begins with what comes next; one that is no longer
// wanted is forgotten.
func (l *Log) openWebhooks(ctx context.Context) ([]*webhook, error) {
	records, err := store.NewBucket[progress](ctx, l.Store, "webhooks")
	if err != nil {
		return nil, err
	}
	known, err := records.List(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, d := range known {
		if !slices.Contains(l.Webhooks, d.URL) {
			if err := records.Delete(ctx, keyOf(d.URL)); err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
		}
	}
	info, err := l.stream.Info(ctx)
	if err != nil {
		return nil, err
	}
	var hooks []*webhook
	for _, url := range slices.Compact(slices.Sorted(slices.Values(l.Webhooks))) {
		w := &webhook{url: url, key: keyOf(url), secret: l.Secret, client: l.Client, log: l.Log.With("webhook", url), source: l,
			records: records, slots: make(chan struct{}, atOnce), now: l.Now, lanes: map[string][]Entry{}}
		w.reached, _, err = records.Get(ctx, w.key)
		if errors.Is(err, store.ErrNotFound) {
			w.reached = progress{URL: url, Through: info.State.LastSeq}
			if err := records.Create(ctx, w.key, w.reached); err != nil {
				return nil, err
			}
		} else if err != nil {
			return nil, err
		}
		w.reached.Owed = slices.DeleteFunc(w.reached.Owed, func(p uint64) bool { return p < info.State.FirstSeq })
		hooks = append(hooks, w)
	}
	return hooks, nil
}

func keyOf(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:16])
}

// outcome is how the delivery of an event ended: it is over, or the context was first.
type outcome struct {
	Entry
	over bool
}

// run delivers until the context ends.
func (w *webhook) run(ctx context.Context) {
	incoming := make(chan Entry)
	done := make(chan outcome)
	room := make(chan struct{}, window) // one per pending event
	go w.pump(ctx, progress{Through: w.reached.Through, Owed: slices.Clone(w.reached.Owed)}, room, incoming)
	attempts := 0
	for {
		select {
		case e, ok := <-incoming:
			if !ok {
				// The pump ends with the context only; the deliveries do too.
				for ; attempts > 0; attempts-- {
					if o := <-done; o.over {
						w.finish(o.Entry)
					}
				}
				return
			}
			w.owe(e.Position)
			w.lanes[e.Subject] = append(w.lanes[e.Subject], e)
			if len(w.lanes[e.Subject]) == 1 {
				attempts++
				go w.deliver(ctx, e, done)
			}
		case o := <-done:
			attempts--
			if !o.over {
				continue
			}
			w.finish(o.Entry)
			<-room
			if lane := w.lanes[o.Subject]; len(lane) > 0 {
				attempts++
				go w.deliver(ctx, lane[0], done)
			}
		}
	}
}

// owe takes up that an event was taken from the log.
func (w *webhook) owe(position uint64) {
	w.reached.Through = max(w.reached.Through, position)
	if at, known := slices.BinarySearch(w.reached.Owed, position); !known {
		w.reached.Owed = slices.Insert(w.reached.Owed, at, position)
	}
}

// finish takes up that an event is delivered.
func (w *webhook) finish(e Entry) {
	if lane := w.lanes[e.Subject][1:]; len(lane) > 0 {
		w.lanes[e.Subject] = lane
	} else {
		delete(w.lanes, e.Subject)
	}
	w.reached.Owed = slices.DeleteFunc(w.reached.Owed, func(p uint64) bool { return p == e.Position })
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	if err := w.records.Put(ctx, w.key, w.reached); err != nil {
		w.log.Error("cannot store how far the webhook has come; it may get events twice", "error", err)
	}
}

// pump reads the log, for as long as the context lasts, and hands on what has not been delivered.
func (w *webhook) pump(ctx context.Context, reached progress, room chan<- struct{}, incoming chan<- Entry) {
	defer close(incoming)
	after := reached.from()
	for ctx.Err() == nil {
		err := w.source.Read(ctx, Query{After: after, Follow: true}, func(e Entry) error {
			if reached.has(e.Position) {
				return nil
			}
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case incoming <- e:
			case <-ctx.Done():
				return ctx.Err()
			}
			after = e.Position
			reached.Owed = slices.DeleteFunc(reached.Owed, func(p uint64) bool { return p <= after })
			reached.Through = max(reached.Through, after)
			return nil
		})
		if ctx.Err() == nil {
			w.log.Warn("cannot read events, trying again", "error", err)
			pause(ctx, w.source.firstPause())
		}
	}
}

// deliver tries until the receiver has taken the event, or the context ends. An event that the log would no longer
// have is given up.
func (w *webhook) deliver(ctx context.Context, e Entry, done chan<- outcome) {
	over := false
	defer func() { done <- outcome{e, over} }()
	born := w.now()
	for attempt := 0; ; attempt++ {
		select {
		case w.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		err := w.post(ctx, e.Body)
		<-w.slots
		if err == nil || ctx.Err() != nil {
			over = err == nil
			return
		}
		wait := min(w.source.firstPause()<<min(attempt, 16), lastPause)
		wait += rand.N(wait / 4) // so that receivers are not met by everything at once
		if w.now().Sub(born) > w.source.maxAge() {
			w.log.Error("event given up", "position", e.Position, "error", err)
			over = true
			return
		}
		w.log.Warn("event not delivered, trying again", "position", e.Position, "attempt", attempt+1, "in", wait, "error", err)
		if !pause(ctx, wait) {
			return
		}
	}
}

// post is one attempt. Anything but a 2xx is an error.
func (w *webhook) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("post event: %w", err)
	}
	var e struct{ ID string }
	// What is in the log was encoded by Publish.
	_ = json.Unmarshal(body, &e)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Footlight")
	r.Header.Set("Footlight-Event-Id", e.ID)
	r.Header.Set("Footlight-Signature", Sign(w.secret, w.now(), body))
	response, err := w.client.Do(r)
	if err != nil {
		return fmt.Errorf("post event: %w", err)
	}
	defer response.Body.Close()
	// A body that is read leaves the connection for the next event.
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("post event: the receiver answered %s", response.Status)
	}
	return nil
}

// Sign is the value of the header Footlight-Signature: t=<seconds since 1970>,v1=<HMAC-SHA256 in hex, under the
// secret, of those seconds, a dot, and the body>. A receiver that compares the time with its own clock is safe from
// repetition.
func Sign(secret []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// pause waits and reports whether it did to the end.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
