// Package live measures the running product from outside, as its users meet it: how soon a composition plays,
// how far behind the picture is, whether it is whole, and how fast it comes back.
//
//	go test -run '^$' -bench . -benchtime 1x -timeout 30m ./bench/live
//
// Each benchmark runs its scenario by itself as often as its figure needs, prints its figures as metrics, and
// writes them to results.json. Absolute times depend on the machine; nothing here fails for being slow.
package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivs"
	ivstypes "github.com/aws/aws-sdk-go-v2/service/ivs/types"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"
	"github.com/chromedp/chromedp"

	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/internal/synth/link"
	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

const resultsFile = "results.json"

func TestMain(m *testing.M) {
	code := m.Run()
	harness.RemoveBinaries()
	os.Exit(code)
}

// record keeps a benchmark's figures in results.json, beside those of the others.
func record(b *testing.B, figures map[string]float64) {
	b.Helper()
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		b.ReportMetric(figures[name], name)
	}
	b.ReportMetric(0, "ns/op")
	all := map[string]map[string]float64{}
	if old, err := os.ReadFile(resultsFile); err == nil {
		if err := json.Unmarshal(old, &all); err != nil {
			b.Fatal(err)
		}
	}
	all[strings.TrimPrefix(b.Name(), "Benchmark")] = figures
	out, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = os.WriteFile(resultsFile, append(out, '\n'), 0o644)
	}
	if err != nil {
		b.Fatal(err)
	}
}

func median(v []float64) float64 { return quantile(v, 0.5) }

// quantile sorts v and returns the value below which the share q lies; 0 when v is empty.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[min(len(v)-1, int(q*float64(len(v))))]
}

// scene is a stage with n participants and a channel. change, when given, adjusts the participants.
func scene(b *testing.B, n int, change ...func(*synth.Publisher)) (*harness.Server, *types.Stage, *ivstypes.Channel) {
	b.Helper()
	s := harness.StartServer(b)
	stage, channel := s.CreateStage("bench"), s.CreateChannel("bench")
	for i := range n {
		s.Publish(stage, i, fmt.Sprintf("P%d", i), change...)
		s.WaitPublishing(stage, i+1)
	}
	return s, stage, channel
}

// BenchmarkStart measures start-composition until the first part can be fetched, in MPEG-TS.
func BenchmarkStart(b *testing.B) { start(b) }

// BenchmarkStartFragmentedMP4 does the same in fragmented MP4.
func BenchmarkStartFragmentedMP4(b *testing.B) { start(b, harness.FragmentedMP4) }

func start(b *testing.B, change ...func(*ivs.CreateChannelInput)) {
	s, stage, _ := scene(b, 2)
	encoder := s.CreateEncoder(1280, 720, 30, 2_500_000)
	var seconds []float64
	for range 7 {
		channel := s.CreateChannel("start", change...)
		start := time.Now()
		composition := s.StartComposition(stage, channel, encoder)
		for {
			ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
			err := firstPart(ctx, *channel.PlaybackUrl)
			cancel()
			if err == nil {
				break
			}
			if time.Since(start) > 30*time.Second {
				b.Fatalf("not playable: %v", err)
			}
			time.Sleep(5 * time.Millisecond) // the sampling of the measurement
		}
		seconds = append(seconds, time.Since(start).Seconds())
		if _, err := s.RealTime.StopComposition(b.Context(), &ivsrealtime.StopCompositionInput{Arn: composition.Arn}); err != nil {
			b.Fatal(err)
		}
		s.WaitComposition(composition.Arn, types.CompositionStateStopped)
	}
	record(b, map[string]float64{"median-s": median(seconds), "max-s": quantile(seconds, 1)})
}

// firstPart fetches the first part or segment that the playlists lead to.
func firstPart(ctx context.Context, playbackURL string) error {
	variant, err := harness.Variant(ctx, playbackURL)
	if err != nil {
		return err
	}
	playlist, err := harness.Get(ctx, variant)
	if err != nil {
		return err
	}
	_, rest, ok := strings.Cut(playlist, "#EXT-X-PART:")
	if !ok {
		return errors.New("no part yet")
	}
	_, rest, _ = strings.Cut(rest, `URI="`)
	uri, _, _ := strings.Cut(rest, `"`)
	_, err = harness.Get(ctx, variant[:strings.LastIndex(variant, "/")+1]+uri)
	return err
}

// BenchmarkGlassToGlass reads the clock drawn in the publishers' pictures where hls.js shows it on the watch page, out of
// MPEG-TS.
func BenchmarkGlassToGlass(b *testing.B) { glassToGlass(b) }

// BenchmarkGlassToGlassFragmentedMP4 does the same with fragmented MP4.
func BenchmarkGlassToGlassFragmentedMP4(b *testing.B) { glassToGlass(b, harness.FragmentedMP4) }

func glassToGlass(b *testing.B, change ...func(*ivs.CreateChannelInput)) {
	s, stage, _ := scene(b, 2)
	channel := s.CreateChannel("glass", change...)
	s.StartComposition(stage, channel, s.CreateEncoder(1280, 720, 30, 2_500_000))
	harness.WaitPlayable(b, *channel.PlaybackUrl)
	tab, cancel := context.WithTimeout(harness.Browser(b), 3*time.Minute)
	defer cancel()
	samples := harness.WatchPage(b, tab, s, *channel.PlaybackUrl, harness.GridTiles(2), 30*time.Second)
	ms := judge.Latencies(samples)
	record(b, map[string]float64{"median-ms": median(ms), "p95-ms": quantile(ms, 0.95), "pictures": float64(len(samples))})
}

// BenchmarkComposition composes four 640x360@30 participants to 1280x720@30 for 60 s and judges what a player got.
func BenchmarkComposition(b *testing.B) {
	s, stage, channel := scene(b, 4)
	compose(b, s, stage, channel, 4, time.Minute)
}

// BenchmarkTwelve composes as many participants as a stage has, with small pictures, so that two cores can play them all.
func BenchmarkTwelve(b *testing.B) {
	s, stage, channel := scene(b, 12, func(p *synth.Publisher) { p.Width, p.Height, p.FrameRate = 320, 180, 15 })
	compose(b, s, stage, channel, 12, 30*time.Second)
}

// BenchmarkTwelveLarge is for the composer's memory: twelve 1280x720 pictures without simulcast, few a second, so that
// two cores can encode and decode them all.
func BenchmarkTwelveLarge(b *testing.B) {
	s, stage, channel := scene(b, 12, func(p *synth.Publisher) { p.Width, p.Height, p.FrameRate = 1280, 720, 10 })
	compose(b, s, stage, channel, 12, 30*time.Second)
}

// BenchmarkBadLinks composes two participants for FOOTLIGHT_BAD_LINKS, 10m unless it is set, whose clocks drift apart
// by 200 ppm, and whose links lose 2 % of the packets and have 50 ms of jitter.
func BenchmarkBadLinks(b *testing.B) {
	length := 10 * time.Minute
	if set := os.Getenv("FOOTLIGHT_BAD_LINKS"); set != "" {
		var err error
		if length, err = time.ParseDuration(set); err != nil {
			b.Fatalf("FOOTLIGHT_BAD_LINKS: %v", err)
		}
	}
	i := 0
	s, stage, channel := scene(b, 2, func(p *synth.Publisher) {
		p.SetFaults(synth.Faults{Drift: []float64{100, -100}[i], Up: link.Conditions{Loss: 0.02, Jitter: 50}})
		i++
	})
	compose(b, s, stage, channel, 2, length)
}

// compose composes n participants to 1280x720@30 for a while, and records what a player got and what it took.
func compose(b *testing.B, s *harness.Server, stage *types.Stage, channel *ivstypes.Channel, n int, length time.Duration) {
	composition := s.StartComposition(stage, channel, s.CreateEncoder(1280, 720, 30, 2_500_000))
	harness.WaitPlayable(b, *channel.PlaybackUrl)
	composer := s.Composers()[0]
	before, start := cpuSeconds(b, composer), time.Now()
	c, err := judge.Record(b.Context(), *channel.PlaybackUrl, length, judge.Options{Tiles: harness.GridTiles(n), InputArgs: []string{"-live_start_index", "-1"}})
	if err != nil {
		b.Fatal(err)
	}
	cpu := (cpuSeconds(b, composer) - before) / time.Since(start).Seconds()
	cadence := c.Cadence()
	figures := map[string]float64{
		"frames": float64(cadence.Frames), "missing": float64(cadence.Missing), "composer-cores": cpu,
		"sound-gaps": float64(len(c.SoundGaps)), "composer-MiB": residentMiB(b, composer),
	}
	var own struct {
		Measurements struct {
			Latency wire.Timing `json:"latency"`
		} `json:"measurements"`
	}
	id := (*composition.Arn)[strings.LastIndexByte(*composition.Arn, '/')+1:]
	if err := json.Unmarshal(s.Call("GET", "compositions/"+id, "", nil), &own); err != nil {
		b.Fatal(err)
	}
	figures["added-latency-p50-ms"], figures["added-latency-p99-ms"] = own.Measurements.Latency.P50, own.Measurements.Latency.P99
	var offsets []float64
	least := 100.0
	for i := range n {
		for _, o := range c.LipSync(i).Offsets {
			offsets = append(offsets, max(o, -o).Seconds()*1000)
		}
		least = min(least, 100*c.Share(i, i, 5*time.Second, judge.Forever))
	}
	figures["seen-least-%"] = least
	figures["beeps"] = float64(len(offsets))
	within := 0
	for _, o := range offsets {
		if o <= 40 {
			within++
		}
	}
	figures["lip-sync-within-40ms-%"] = 100 * float64(within) / float64(max(1, len(offsets)))
	figures["lip-sync-p95-ms"] = quantile(offsets, 0.95)
	record(b, figures)
}

// BenchmarkRecovery kills the composer, then the server, and measures until hls.js shows new pictures again
// and until the composition is live again.
func BenchmarkRecovery(b *testing.B) {
	s, stage, channel := scene(b, 1)
	composition := s.StartComposition(stage, channel, s.CreateEncoder(1280, 720, 30, 2_500_000))
	harness.WaitPlayable(b, *channel.PlaybackUrl)
	browser := harness.Browser(b)
	harness.WatchPage(b, browser, s, *channel.PlaybackUrl, harness.GridTiles(1), 2*time.Second)

	// Where the picture stands still for longest, seen by a player that stays on the page.
	var stalls []float64
	for range 3 {
		if err := syscall.Kill(s.Composers()[0], syscall.SIGKILL); err != nil {
			b.Fatal(err)
		}
		stall, err := chromedp.Run(browser, chromedp.Evaluate[float64](longestStall, harness.AwaitPromise))
		if err != nil {
			b.Fatal(err)
		}
		stalls = append(stalls, stall/1000)
		s.WaitDestination(composition.Arn, types.DestinationStateActive)
	}

	var restarts []float64
	for range 3 {
		s.Kill()
		start := time.Now()
		s.Start()
		harness.WaitPlayable(b, *channel.PlaybackUrl)
		restarts = append(restarts, time.Since(start).Seconds())
		s.WaitDestination(composition.Arn, types.DestinationStateActive)
	}
	record(b, map[string]float64{
		"composer-killed-stall-median-s": median(stalls), "composer-killed-stall-max-s": quantile(stalls, 1),
		"server-killed-live-median-s": median(restarts), "server-killed-live-max-s": quantile(restarts, 1),
	})
}

// longestStall watches the page's video for eight seconds and gives the longest time between two pictures, in ms.
const longestStall = `new Promise((done) => {
	const video = footlight.video, from = performance.now();
	let last = from, longest = 0;
	const see = () => { const now = performance.now(); longest = Math.max(longest, now - last); last = now; video.requestVideoFrameCallback(see); };
	video.requestVideoFrameCallback(see);
	setTimeout(() => done(Math.max(longest, performance.now() - last)), 8000);
})`

// cpuSeconds is the processor time that a process has used.
func cpuSeconds(b *testing.B, pid int) float64 {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	if err := errors.Join(err1, err2); err != nil {
		b.Fatal(err)
	}
	return (user + system) / 100 // clock ticks are 10 ms on Linux
}

// residentMiB is a process's resident memory.
func residentMiB(b *testing.B, pid int) float64 {
	b.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.ParseFloat(strings.Fields(string(statm))[1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return pages * float64(os.Getpagesize()) / (1 << 20)
}
