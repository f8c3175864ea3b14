package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/video"
)

// clipSeconds is the length of the clips that the encoders are compared on.
const clipSeconds = 8

// contenders are the encoders compared; the others are measured against the first.
var contenders = []av.H264Config{
	{Encoder: av.X264, Preset: "veryfast"},
	{Encoder: av.X264, Preset: "superfast"},
	{Encoder: av.X264, Preset: "ultrafast"},
	{Encoder: av.OpenH264, Preset: "medium"},
	{Encoder: av.OpenH264, Preset: "low"},
}

// clip is composed pictures in memory and in a file, I420.
type clip struct {
	name string
	job  Job
	// shows is which participants are in a picture, nil: all
	shows  func(n int) []int
	frames []*av.Canvas
	raw    string
}

// trial is what one encoder did with one clip.
type trial struct {
	cpu      []float64 // milliseconds per picture, of each round
	times    []float64 // milliseconds of each picture, of all rounds
	sizes    []int     // bytes of each picture
	ssim     float64   // luma
	leastOne float64   // the worst second's
}

// compareEncoders encodes composed pictures with each encoder, in turns, and writes the table.
func compareEncoders(ctx context.Context, inputs string, rounds int, path string) error {
	runtime.LockOSThread() // its time is what the trials take
	defer runtime.UnlockOSThread()
	dir, err := os.MkdirTemp("", "compose-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var b strings.Builder
	fmt.Fprintf(&b, "# Which encoder\n\nMade by `go run ./bench/compose -encoders` on %s: the same composed pictures, 1280x720@30, encoded at "+
		"2.5 Mb/s with key frames every 2 s, %d rounds in turns. CPU is of one thread, against veryfast in the same round. "+
		"x264 is as Footlight runs it: zerolatency, diamond search. Peak is the most bits in any one second, buffer how many seconds a "+
		"player that reads at 2.5 Mb/s waits for the worst picture. SSIM is of luma; in brackets that of the worst second.\n\n"+
		"Only encoders whose SSIM is at most 0.005 below veryfast's on moving and on screen content come into question; what was "+
		"chosen of them, and why, is at encodingFor in internal/composer.\n", machine(), rounds)
	for _, c := range []*clip{
		{name: "a grid in motion (4 × 360p)", job: newJob(4, 360, moving, clipSeconds, inputs)},
		{name: "a grid of nine in motion (9 × 720p)", job: newJob(9, 720, moving, clipSeconds, inputs)},
		{name: "a screen share with text: still, scrolling, replaced", job: newJob(1, 720, screen, clipSeconds, inputs)},
		{name: "cuts: another full picture every second", job: newJob(4, 720, moving, clipSeconds, inputs),
			shows: func(n int) []int { return []int{n / 30 % 4} }},
	} {
		if err := makeInputs(ctx, []Job{c.job}); err != nil {
			return err
		}
		c.raw = filepath.Join(dir, "clip.yuv")
		if err := c.compose(); err != nil {
			return fmt.Errorf("compose %s: %w", c.name, err)
		}
		err := c.tryAll(ctx, &b, dir, rounds)
		c.close()
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	fmt.Print(b.String())
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// compose makes the pictures.
func (c *clip) compose() error {
	out, err := os.Create(c.raw)
	if err != nil {
		return err
	}
	defer out.Close()
	mixer, err := video.New(video.Config{Width: c.job.Width, Height: c.job.Height})
	if err != nil {
		return err
	}
	defer mixer.Close()
	var people []*participant
	for _, path := range c.job.Files {
		p, err := openParticipant(path)
		if err != nil {
			return err
		}
		defer p.close()
		people = append(people, p)
	}
	for n := range clipSeconds * c.job.FrameRate {
		for _, p := range people {
			if err := p.decodeUntil(samples(int64(n) * 1600)); err != nil {
				return err
			}
		}
		var tiles []video.Tile
		if c.shows == nil {
			for i, t := range c.job.tiles() {
				tiles = append(tiles, video.Tile{Rect: t.Rect, Fill: t.Fill, Picture: people[i].picture})
			}
		} else {
			for _, i := range c.shows(n) {
				tiles = append(tiles, video.Tile{Rect: layout.Rect{W: c.job.Width, H: c.job.Height}, Fill: layout.Cover, Picture: people[i].picture})
			}
		}
		if err := c.keep(mixer.Compose(tiles), out); err != nil {
			return err
		}
	}
	return nil
}

// keep copies a picture to memory and to the file.
func (c *clip) keep(from *av.Canvas, out io.Writer) error {
	to, err := av.NewCanvas(from.Width, from.Height)
	if err != nil {
		return err
	}
	c.frames = append(c.frames, to)
	for i := range 3 {
		a, stride := from.Plane(i)
		b, _ := to.Plane(i)
		copy(b, a)
		w := from.Width >> min(i, 1)
		for row := range slices.Chunk(a, stride) {
			if _, err := out.Write(row[:w]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *clip) close() {
	for _, f := range c.frames {
		f.Close()
	}
}

// tryAll measures the contenders and writes their table.
func (c *clip) tryAll(ctx context.Context, b *strings.Builder, dir string, rounds int) error {
	trials := make([]trial, len(contenders))
	for round := range rounds {
		for i, cfg := range contenders {
			path := filepath.Join(dir, "clip.h264")
			if err := c.try(&trials[i], cfg, path); err != nil {
				return err
			}
			if round > 0 {
				continue
			}
			if err := c.judge(ctx, &trials[i], path); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(b, "\n## %s\n\n| encoder | CPU | ms per picture: p50, p99 | kb/s | peak kb/s | buffer s | SSIM | to veryfast |\n|---|---|---|---|---|---|---|---|\n", c.name)
	for i, cfg := range contenders {
		t := &trials[i]
		var ratios []float64
		for n := range t.cpu {
			ratios = append(ratios, t.cpu[n]/trials[0].cpu[n])
		}
		slices.Sort(t.times)
		mean, peak, buffer := t.rates(c.job)
		fmt.Fprintf(b, "| %s %s | %.2f | %.1f, %.1f | %.0f | %.0f | %.2f | %.4f (%.4f) | %+.4f |\n", cfg.Encoder, cfg.Preset, median(ratios),
			t.times[len(t.times)/2], t.times[len(t.times)*99/100], mean, peak, buffer, t.ssim, t.leastOne, t.ssim-trials[0].ssim)
	}
	return nil
}

// try encodes the clip once.
func (c *clip) try(t *trial, cfg av.H264Config, path string) error {
	cfg.Width, cfg.Height, cfg.FrameRate = c.job.Width, c.job.Height, float64(c.job.FrameRate)
	cfg.BitRate, cfg.KeyInterval = c.job.BitRate, c.job.KeyInterval
	e, err := av.NewH264Encoder(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	t.sizes = t.sizes[:0]
	total := 0.0
	for n, frame := range c.frames {
		before := threadTime()
		coded, err := e.Encode(frame, int64(n), false)
		if err != nil {
			return err
		}
		took := 1000 * (threadTime() - before)
		total += took
		t.times = append(t.times, took)
		t.sizes = append(t.sizes, len(coded.Data))
		if _, err := out.Write(coded.Data); err != nil {
			return err
		}
	}
	t.cpu = append(t.cpu, total/float64(len(c.frames)))
	return nil
}

// rates are the mean and the peak rate in kb/s, and the seconds that a leaky bucket of the target rate holds at most.
func (t *trial) rates(j Job) (mean, peak, buffer float64) {
	var sum, window, level float64
	drain := float64(j.BitRate) / float64(j.FrameRate)
	for i, size := range t.sizes {
		bits := 8 * float64(size)
		sum += bits
		window += bits
		if i >= j.FrameRate {
			window -= 8 * float64(t.sizes[i-j.FrameRate])
		}
		peak = max(peak, window)
		level += bits
		buffer = max(buffer, level)
		level = max(0, level-drain)
	}
	return sum / float64(len(t.sizes)) * float64(j.FrameRate) / 1000, peak / 1000, buffer / float64(j.BitRate)
}

// judge compares the stream with the pictures.
func (c *clip) judge(ctx context.Context, t *trial, path string) error {
	stats := path + ".ssim"
	out, err := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "info", "-r", "30", "-i", path, "-f", "rawvideo", "-pix_fmt", "yuv420p",
		"-s", fmt.Sprintf("%dx%d", c.job.Width, c.job.Height), "-r", "30", "-i", c.raw,
		"-lavfi", "[0:v][1:v]ssim=stats_file="+stats, "-f", "null", "-").CombinedOutput()
	found := ssimOf.FindSubmatch(out)
	if err != nil || found == nil {
		return fmt.Errorf("compare: %w: %s", err, out)
	}
	if t.ssim, err = strconv.ParseFloat(string(found[1]), 64); err != nil {
		return err
	}
	lines, err := os.ReadFile(stats)
	if err != nil {
		return err
	}
	t.leastOne = 1
	sum, n := 0.0, 0
	for line := range strings.Lines(string(lines)) {
		_, rest, _ := strings.Cut(line, " Y:")
		v, err := strconv.ParseFloat(strings.SplitN(rest, " ", 2)[0], 64)
		if err != nil {
			return fmt.Errorf("read %q: %w", line, err)
		}
		sum, n = sum+v, n+1
		if n%c.job.FrameRate == 0 {
			t.leastOne, sum = min(t.leastOne, sum/float64(c.job.FrameRate)), 0
		}
	}
	if n != len(c.frames) {
		return fmt.Errorf("%d pictures in the stream, want %d", n, len(c.frames))
	}
	return nil
}
