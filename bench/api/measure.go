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
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// connections is how many clients there are at once: enough that two processors never wait.
const connections = 8

// reads measures GetStage, ListChannels and CreateParticipantToken. The store stays in dir.
func reads(ctx context.Context, o options, dir string, out *report) error {
	r, err := newRig(ctx, dir)
	if err != nil {
		return err
	}
	defer r.close()
	stage, err := r.seed(ctx, o.Channels, o.Stages)
	if err != nil {
		return err
	}
	address, stop, err := listen(r.handler)
	if err != nil {
		return err
	}
	defer stop()
	for _, c := range []struct{ what, operation, body string }{
		{"GetStage", "GetStage", fmt.Sprintf(`{"arn":%q}`, stage)},
		{fmt.Sprintf("ListChannels, 100 of %d", o.Channels), "ListChannels", `{}`},
	} {
		ours, err := newTarget(c.what, address, c.operation, c.body)
		if err != nil {
			return err
		}
		if err := read(ctx, o, ours, c.operation, c.body, out); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
	}
	tokens, err := newTarget("CreateParticipantToken, to ES384 signing", address, "CreateParticipantToken", fmt.Sprintf(`{"stageArn":%q,"userId":"ada"}`, stage))
	if err != nil {
		return err
	}
	ours, than, err := compare(o.Rounds,
		func() (speed, error) { return flood(ctx, tokens, connections, o.Round) },
		func() (speed, error) { return signatures(o.Round) })
	if err != nil {
		return err
	}
	out.cost(byProcessor(tokens.what, ours, than, 0.6))
	return nil
}

// read measures one operation beside a bare handler that gives the same answer.
func read(ctx context.Context, o options, ours target, operation, body string, out *report) error {
	answer, err := answerOf(ours)
	if err != nil {
		return err
	}
	address, stop, err := listen(bare(answer, nil))
	if err != nil {
		return err
	}
	defer stop()
	bare, err := newTarget("a bare handler with the same answer", address, operation, body)
	if err != nil {
		return err
	}
	a, b, err := compare(o.Rounds,
		func() (speed, error) { return flood(ctx, ours, connections, o.Round) },
		func() (speed, error) { return flood(ctx, bare, connections, o.Round) })
	if err != nil {
		return err
	}
	out.cost(byProcessor(ours.what, a, b, 0.5))
	slow, err := tails(ctx, o, ours, bare)
	if err != nil {
		return err
	}
	out.tails(slow)
	return nil
}

// byProcessor judges what keeps the processors busy.
func byProcessor(what string, ours, bare speed, goal float64) result {
	ratio := ours.perCPUSecond / bare.perCPUSecond
	return result{What: fmt.Sprintf("%s (%.0f a second of time, bare %.0f)", what, ours.perSecond, bare.perSecond), Ours: ours.perCPUSecond, Bare: bare.perCPUSecond,
		Unit: "per CPU second", Ratio: ratio, Goal: fmt.Sprintf("≥ %.1f", goal), Met: ratio >= goal}
}

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

// process measures the server itself: its memory with everything that was seeded, and how long its start takes
// beside that of an empty one.
func process(ctx context.Context, full, empty string, out *report) error {
	var starts [2][]float64
	var resident float64
	for range 3 {
		for i, dir := range []string{full, empty} {
			took, rss, err := startServer(ctx, dir)
			if err != nil {
				return err
			}
			starts[i] = append(starts[i], ms(took))
			if i == 0 {
				resident = max(resident, rss)
			}
			if err := os.RemoveAll(empty); err != nil {
				return err
			}
		}
	}
	ours, than := median(starts[0]), median(starts[1])
	out.cost(result{What: "resident memory after the start", Ours: resident, Unit: "MiB", Goal: "≤ 300 MiB", Met: resident <= 300})
	out.cost(result{What: "start, to that of an empty server", Ours: ours, Bare: than, Unit: "ms", Ratio: ours / than, Goal: "≤ 10", Met: ours <= 10*than})
	return nil
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
