package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/footlight-live/footlight/internal/store"
)

// connections is how many clients there are at once: enough that two processors never wait.
const connections = 8

// reads measures GetStage, ListChannels and CreateParticipantToken. The store stays in dir.
func reads(ctx context.Context, o options, dir string) ([]result, error) {
	r, err := newRig(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer r.close()
	stage, err := r.seed(ctx, o.Channels, o.Stages)
	if err != nil {
		return nil, err
	}
	address, stop, err := listen(r.handler)
	if err != nil {
		return nil, err
	}
	defer stop()

	var results []result
	for _, c := range []struct{ what, operation, body string }{
		{"GetStage", "GetStage", fmt.Sprintf(`{"arn":%q}`, stage)},
		{fmt.Sprintf("ListChannels, 100 of %d", o.Channels), "ListChannels", `{}`},
	} {
		wire, err := request(address, c.operation, c.body)
		if err != nil {
			return nil, err
		}
		body, err := answerOf(address, wire)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
		bareAddress, stopBare, err := listen(bare(body))
		if err != nil {
			return nil, err
		}
		bareWire, err := request(bareAddress, c.operation, c.body)
		if err != nil {
			return nil, err
		}
		ours, than, err := compare(o.Rounds,
			func() (speed, error) { return flood(ctx, address, wire, connections, o.Round) },
			func() (speed, error) { return flood(ctx, bareAddress, bareWire, connections, o.Round) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
		results = append(results, byProcessor(c.what, ours, than, 0.5))
		tails, err := atHalfLoad(ctx, o, target{address, wire}, target{bareAddress, bareWire})
		stopBare()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
		results = append(results, byTail(fmt.Sprintf("%s at half load: p99, to the median (of the bare handler at the same rate %.2f ms, %.1f)",
			c.what, ms(tails[1].p99), tails[1].ratio()), tails[0]))
	}

	wire, err := request(address, "CreateParticipantToken", fmt.Sprintf(`{"stageArn":%q,"userId":"ada"}`, stage))
	if err != nil {
		return nil, err
	}
	ours, than, err := compare(o.Rounds,
		func() (speed, error) { return flood(ctx, address, wire, connections, o.Round) },
		func() (speed, error) { return signatures(o.Round) })
	if err != nil {
		return nil, err
	}
	return append(results, byProcessor("CreateParticipantToken, to ES384 signing", ours, than, 0.6)), nil
}

// byProcessor judges what keeps the processors busy.
func byProcessor(what string, ours, bare speed, goal float64) result {
	ratio := ours.perCPUSecond / bare.perCPUSecond
	return result{What: fmt.Sprintf("%s (%.0f a second of time, bare %.0f)", what, ours.perSecond, bare.perSecond), Ours: ours.perCPUSecond, Bare: bare.perCPUSecond,
		Unit: "per CPU second", Ratio: ratio, Goal: fmt.Sprintf("≥ %.1f", goal), Met: ratio >= goal}
}

func answerOf(address string, wire []byte) (body []byte, err error) {
	c, err := dial(address, wire)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	return body, c.do(&body)
}

// target is where requests go.
type target struct {
	address string
	wire    []byte
}

// tail says how long answers took.
type tail struct{ p50, p99 time.Duration }

func (t tail) ratio() float64 { return float64(t.p99) / float64(t.p50) }

// atHalfLoad measures targets, all in turns, at half of what the first one can do with the same load beside it.
func atHalfLoad(ctx context.Context, o options, targets ...target) ([]tail, error) {
	all, err := pace(ctx, plan{targets[0].address, targets[0].wire, connections, 0, o.Round})
	if err != nil {
		return nil, err
	}
	rate := float64(len(all)) / o.Round.Seconds() / 2
	took := make([][]time.Duration, len(targets))
	for range o.Rounds {
		for i, t := range targets {
			more, err := pace(ctx, plan{t.address, t.wire, connections, rate, o.Round})
			if err != nil {
				return nil, fmt.Errorf("at half load: %w", err)
			}
			took[i] = append(took[i], more...)
		}
	}
	tails := make([]tail, len(targets))
	for i, all := range took {
		if len(all) == 0 {
			return nil, errors.New("at half load: no request was due")
		}
		slices.Sort(all)
		tails[i] = tail{all[len(all)/2], all[len(all)*99/100]}
	}
	return tails, nil
}

// byTail compares the slowest hundredth with the median.
func byTail(what string, t tail) result {
	return result{What: what, Ours: ms(t.p99), Bare: ms(t.p50), Unit: "ms", Ratio: t.ratio(), Goal: "≤ 10", Met: t.ratio() <= 10}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// signatures counts bare ES384 signatures a second on all processors.
func signatures(length time.Duration) (speed, error) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return speed{}, err
	}
	text := strings.Repeat("x", 600) // the length of a token's header and claims
	var total atomic.Int64
	var failed atomic.Bool
	var work sync.WaitGroup
	start, measured := time.Now(), meter()
	for range runtime.GOMAXPROCS(0) {
		work.Go(func() {
			for time.Since(start) < length {
				if _, err := jwt.SigningMethodES384.Sign(text, key); err != nil {
					failed.Store(true)
					return
				}
				total.Add(1)
			}
		})
	}
	work.Wait()
	if failed.Load() {
		return speed{}, errors.New("signing failed")
	}
	return measured(int(total.Load())), nil
}

// writes measures CreateChannel, alone and with sixteen at once, beside puts of the records that it writes.
func writes(ctx context.Context, o options, dir string) ([]result, error) {
	r, err := newRig(ctx, filepath.Join(dir, "ours"))
	if err != nil {
		return nil, err
	}
	defer r.close()
	address, stop, err := listen(r.handler)
	if err != nil {
		return nil, err
	}
	defer stop()
	wire, err := request(address, "CreateChannel", `{"name":"my-channel","tags":{"team":"live"}}`)
	if err != nil {
		return nil, err
	}
	if _, err := answerOf(address, wire); err != nil {
		return nil, err
	}
	records, err := writtenRecords(ctx, r.store.JetStream())
	if err != nil {
		return nil, err
	}
	bareStore, err := store.Open(ctx, store.Options{Dir: filepath.Join(dir, "bare")})
	if err != nil {
		return nil, err
	}
	defer bareStore.Close()
	puts := &putter{records: records}
	if err := puts.open(ctx, bareStore.JetStream()); err != nil {
		return nil, err
	}
	var results []result
	for _, writers := range []int{1, 16} {
		ours, than, err := compare(o.Rounds,
			func() (speed, error) { return flood(ctx, address, wire, writers, o.Round) },
			func() (speed, error) { return puts.flood(ctx, writers, o.Round) })
		if err != nil {
			return nil, err
		}
		results = append(results, result{What: fmt.Sprintf("CreateChannel, %d at once, to synced puts of its records", writers),
			Ours: ours.perSecond, Bare: than.perSecond, Unit: "1/s", Ratio: ours.perSecond / than.perSecond, Goal: "≥ 0.4", Met: ours.perSecond >= 0.4*than.perSecond})
	}
	tails, err := atHalfLoad(ctx, o, target{address, wire})
	if err != nil {
		return nil, err
	}
	return append(results, byTail("CreateChannel at half load: p99, to the median", tails[0])), nil
}

// writtenRecords are the records of the only channel, by bucket.
func writtenRecords(ctx context.Context, js jetstream.JetStream) (map[string][]byte, error) {
	out := map[string][]byte{}
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
		out[bucket] = entry.Value()
	}
	return out, nil
}

// putter writes records into buckets of their own.
type putter struct {
	records map[string][]byte
	buckets map[string]jetstream.KeyValue
	last    atomic.Int64
}

func (p *putter) open(ctx context.Context, js jetstream.JetStream) error {
	p.buckets = map[string]jetstream.KeyValue{}
	for name := range p.records {
		kv, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, History: 1, Storage: jetstream.FileStorage})
		if err != nil {
			return err
		}
		p.buckets[name] = kv
	}
	return nil
}

// flood returns how many times a second all the records were put, under new keys.
func (p *putter) flood(ctx context.Context, writers int, length time.Duration) (speed, error) {
	var total atomic.Int64
	var failed error
	var mu sync.Mutex
	var work sync.WaitGroup
	start, measured := time.Now(), meter()
	for range writers {
		work.Go(func() {
			for time.Since(start) < length {
				name := fmt.Sprint(p.last.Add(1))
				for bucket, data := range p.records {
					if _, err := p.buckets[bucket].Put(ctx, name, data); err != nil {
						mu.Lock()
						failed = err
						mu.Unlock()
						return
					}
				}
				total.Add(1)
			}
		})
	}
	work.Wait()
	return measured(int(total.Load())), failed
}

// process measures the server itself: its memory with everything that was seeded, and how long its start takes
// beside that of an empty one.
func process(ctx context.Context, full, empty string) ([]result, error) {
	var starts [2][]float64
	var resident float64
	for range 3 {
		for i, dir := range []string{full, empty} {
			took, rss, err := startServer(ctx, dir)
			if err != nil {
				return nil, err
			}
			starts[i] = append(starts[i], float64(took)/float64(time.Millisecond))
			if i == 0 {
				resident = max(resident, rss)
			}
			if err := os.RemoveAll(empty); err != nil {
				return nil, err
			}
		}
	}
	ours, than := median(starts[0]), median(starts[1])
	return []result{
		{What: "resident memory after the start", Ours: resident, Unit: "MiB", Goal: "≤ 300 MiB", Met: resident <= 300},
		{What: "start, to that of an empty server", Ours: ours, Bare: than, Unit: "ms", Ratio: ours / than, Goal: "≤ 10", Met: ours <= 10*than},
	}, nil
}

// startServer runs bin/footlight on a data dir until it is up, and returns its resident memory in MiB a second later.
func startServer(ctx context.Context, dir string) (took time.Duration, rss float64, err error) {
	const any = "127.0.0.1:0"
	cmd := exec.CommandContext(ctx, filepath.Join("bin", "footlight"), "serve", "--data-dir", dir,
		"--http-addr", any, "--webrtc-addr", any, "--rtmp-addr", any, "--rtmps-addr", any)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, fmt.Errorf("%w (make build puts it in place)", err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "Footlight is up") {
			took = time.Since(start)
			break
		}
	}
	time.Sleep(time.Second)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	cmd.Process.Signal(syscall.SIGTERM)
	for lines.Scan() {
	}
	cmd.Wait() // how it ends is not measured
	if took == 0 || err != nil {
		return 0, 0, fmt.Errorf("the server did not come up on %s: %w", dir, err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kib float64
			fmt.Sscan(value, &kib)
			rss = kib / 1024
		}
	}
	return took, rss, nil
}
