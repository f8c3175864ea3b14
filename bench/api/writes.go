package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/footlight-live/footlight/internal/store"
)

// writes measures CreateChannel, alone and with sixteen at once, beside synced puts of the records that it writes, and
// its tail also beside synced appends of them to plain files.
func writes(ctx context.Context, o options, dir string, out *report) error {
	r, err := newRig(ctx, filepath.Join(dir, "ours"))
	if err != nil {
		return err
	}
	defer r.close()
	address, stop, err := listen(r.handler)
	if err != nil {
		return err
	}
	defer stop()
	const body = `{"name":"my-channel","tags":{"team":"live"}}`
	create, err := newTarget("CreateChannel", address, "CreateChannel", body)
	if err != nil {
		return err
	}
	answer, err := answerOf(create)
	if err != nil {
		return err
	}
	records, err := writtenRecords(ctx, r.store.JetStream())
	if err != nil {
		return err
	}
	bareStore, err := store.Open(ctx, store.Options{Dir: filepath.Join(dir, "bare")})
	if err != nil {
		return err
	}
	defer bareStore.Close()
	puts, err := newPutter(ctx, bareStore.JetStream(), records)
	if err != nil {
		return err
	}
	for _, writers := range []int{1, 16} {
		ours, than, err := compare(o.Rounds,
			func() (speed, error) { return flood(ctx, create, writers, o.Round) },
			func() (speed, error) { return puts.flood(ctx, writers, o.Round) })
		if err != nil {
			return err
		}
		out.cost(result{What: fmt.Sprintf("CreateChannel, %d at once, to synced puts of its records", writers),
			Ours: ours.perSecond, Bare: than.perSecond, Unit: "1/s", Ratio: ours.perSecond / than.perSecond, Goal: "≥ 0.4", Met: ours.perSecond >= 0.4*than.perSecond})
	}
	files, err := newAppender(dir, records)
	if err != nil {
		return err
	}
	defer files.close()
	targets := []target{create}
	for _, b := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"a bare handler with the same puts", puts.put},
		{"a bare handler that appends the same to files", files.append},
	} {
		address, stop, err := listen(bare(answer, b.do))
		if err != nil {
			return err
		}
		defer stop()
		t, err := newTarget(b.what, address, create.what, body)
		if err != nil {
			return err
		}
		targets = append(targets, t)
	}
	slow, err := tails(ctx, o, targets...)
	if err != nil {
		return err
	}
	out.tails(slow)
	return nil
}

// record is what CreateChannel writes into a bucket.
type record struct {
	bucket string
	data   []byte
}

// writtenRecords are the records of the only channel, in the order in which they are written.
func writtenRecords(ctx context.Context, js jetstream.JetStream) ([]record, error) {
	var out []record
	for _, bucket := range []string{"stream-keys", "channels"} {
		kv, err := js.KeyValue(ctx, bucket)
		if err != nil {
			return nil, err
		}
		names, err := kv.Keys(ctx)
		if err != nil {
			return nil, err
		}
		entry, err := kv.Get(ctx, names[0])
		if err != nil {
			return nil, err
		}
		out = append(out, record{bucket, entry.Value()})
	}
	return out, nil
}

// putter writes records into buckets of their own.
type putter struct {
	records []record
	buckets []jetstream.KeyValue // of the records
	last    atomic.Int64
}

func newPutter(ctx context.Context, js jetstream.JetStream, records []record) (*putter, error) {
	p := &putter{records: records}
	for _, r := range records {
		kv, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: r.bucket, History: 1, Storage: jetstream.FileStorage})
		if err != nil {
			return nil, err
		}
		p.buckets = append(p.buckets, kv)
	}
	return p, nil
}

// put writes every record once, under a new key.
func (p *putter) put(ctx context.Context) error {
	name := fmt.Sprint(p.last.Add(1))
	for i, r := range p.records {
		if _, err := p.buckets[i].Put(ctx, name, r.data); err != nil {
			return err
		}
	}
	return nil
}

// flood returns how many times a second all the records were put.
func (p *putter) flood(ctx context.Context, writers int, length time.Duration) (speed, error) {
	var total atomic.Int64
	var failed error
	var mu sync.Mutex
	var work sync.WaitGroup
	start, measured := time.Now(), meter()
	for range writers {
		work.Go(func() {
			for time.Since(start) < length {
				if err := p.put(ctx); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
				total.Add(1)
			}
		})
	}
	work.Wait()
	return measured(int(total.Load())), failed
}

// appender writes records to the end of a plain file each: what the disk and its file system do when nobody else has
// a say. Each file has one writer at a time, as a bucket has.
type appender struct {
	records []record
	files   []*os.File
	turns   []sync.Mutex
}

func newAppender(dir string, records []record) (*appender, error) {
	a := &appender{records: records, turns: make([]sync.Mutex, len(records))}
	for _, r := range records {
		f, err := os.Create(filepath.Join(dir, r.bucket))
		if err != nil {
			a.close()
			return nil, err
		}
		a.files = append(a.files, f)
	}
	return a, nil
}

func (a *appender) close() {
	for _, f := range a.files {
		f.Close()
	}
}

// append writes every record once, and returns when they are on the disk.
func (a *appender) append(context.Context) error {
	for i := range a.records {
		if err := a.appendTo(i); err != nil {
			return err
		}
	}
	return nil
}

func (a *appender) appendTo(i int) error {
	a.turns[i].Lock()
	defer a.turns[i].Unlock()
	if _, err := a.files[i].Write(a.records[i].data); err != nil {
		return err
	}
	return a.files[i].Sync()
}
