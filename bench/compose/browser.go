package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// warmUp is how long the browser plays before it is measured.
const warmUp = 4 * time.Second

// film does the job the browser's way, in real time: Chromium in an X server without screen plays the inputs in a
// page, and ffmpeg films that. The CPU time and memory are those of all their processes.
func film(ctx context.Context, j Job, dir, prefix string) (m Measurement, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	page := filepath.Join(dir, "page.html")
	if err := os.WriteFile(page, []byte(j.page()), 0o644); err != nil {
		return m, err
	}
	display, err := startX(ctx, j)
	if err != nil {
		return m, err
	}
	environment := append(os.Environ(), "DISPLAY="+display.name)
	chromium := exec.CommandContext(ctx, "chromium", "--no-sandbox", "--kiosk", "--window-position=0,0",
		fmt.Sprintf("--window-size=%d,%d", j.Width, j.Height), "--autoplay-policy=no-user-gesture-required", "--no-first-run",
		"--disable-extensions", "--disable-sync", "--disable-component-update", "--disable-background-networking",
		"--user-data-dir="+filepath.Join(dir, "profile"), "file://"+page)
	chromium.Env = environment
	if err := chromium.Start(); err != nil {
		return m, fmt.Errorf("start chromium: %w", err)
	}
	defer func() {
		stop()
		_ = chromium.Wait() // killed
		<-display.ended
	}()
	if err := wait(ctx, warmUp); err != nil {
		return m, err
	}
	rate := fmt.Sprint(j.BitRate)
	camera := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "x11grab", "-draw_mouse", "0",
		"-framerate", fmt.Sprint(j.FrameRate), "-video_size", fmt.Sprintf("%dx%d", j.Width, j.Height), "-i", display.name,
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", preset, "-tune", "zerolatency", "-profile:v", "main",
		"-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-g", fmt.Sprint(j.KeyInterval), "-sc_threshold", "0",
		"-frames:v", fmt.Sprint(j.Seconds*j.FrameRate), prefix+".h264")
	camera.Env = environment
	var complaints bytes.Buffer
	camera.Stderr = &complaints
	before, start := tree(os.Getpid()), time.Now()
	if err := camera.Start(); err != nil {
		return m, fmt.Errorf("start ffmpeg: %w", err)
	}
	if err := wait(ctx, time.Duration(j.Seconds)*time.Second-200*time.Millisecond); err != nil {
		return m, err
	}
	after := tree(os.Getpid())
	m.Wall = 1
	m.CPU = (after.cpu - before.cpu) / time.Since(start).Seconds()
	m.Memory = after.memory
	if err := camera.Wait(); err != nil {
		return m, fmt.Errorf("ffmpeg x11grab: %w: %s%s", err, complaints.String(), display.fate())
	}
	m.Doubled, err = doubled(ctx, prefix+".h264")
	return m, err
}

// page shows the inputs in the places of the job's tiles, in a loop.
func (j Job) page() string {
	var b strings.Builder
	b.WriteString("<!doctype html><style>body{margin:0;background:#000;overflow:hidden}video{position:absolute;object-fit:cover}</style>")
	for i, t := range j.tiles() {
		fmt.Fprintf(&b, `<video src="file://%s" autoplay loop muted style="left:%dpx;top:%dpx;width:%dpx;height:%dpx"></video>`,
			j.Files[i], t.Rect.X, t.Rect.Y, t.Rect.W, t.Rect.H)
	}
	return b.String()
}

type xServer struct {
	name       string
	process    *exec.Cmd
	complaints bytes.Buffer
	ended      chan struct{}
}

// fate tells whether the server is still there, and what it had to say if not.
func (x *xServer) fate() string {
	select {
	case <-x.ended:
		return fmt.Sprintf("; the X server has ended: %v: %s", x.process.ProcessState, x.complaints.String())
	default:
		return "; the X server runs"
	}
}

// startX starts an X server on a free display, whose number it says on descriptor 3.
func startX(ctx context.Context, j Job) (*xServer, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	cmd := exec.CommandContext(ctx, "Xvfb", "-noreset", "-displayfd", "3", "-screen", "0", fmt.Sprintf("%dx%dx24", j.Width, j.Height), "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{write}
	x := &xServer{process: cmd, ended: make(chan struct{})}
	cmd.Stderr = &x.complaints
	// Asked to end, it takes its lock and its socket away; killed, it leaves both to the next one.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Start()
	write.Close()
	if err != nil {
		return nil, fmt.Errorf("start Xvfb: %w", err)
	}
	go func() {
		_ = cmd.Wait() // fate says how
		close(x.ended)
	}()
	// Xvfb writes the end of the line by itself, and ends when nobody reads it.
	number, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		<-x.ended
		return nil, fmt.Errorf("no display named by Xvfb: %w%s", err, x.fate())
	}
	x.name = ":" + strings.TrimSpace(number)
	return x, nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// usage is what processes took: CPU in seconds since their start, memory in MiB, shared pages by their share.
type usage struct{ cpu, memory float64 }

// tree sums up the living descendants of a process.
func tree(root int) usage {
	parents := map[int]int{}
	ticks := map[int]float64{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // from field 3 on
		parents[pid], _ = strconv.Atoi(fields[1])
		user, _ := strconv.ParseFloat(fields[11], 64)
		system, _ := strconv.ParseFloat(fields[12], 64)
		ticks[pid] = user + system
	}
	var u usage
	for pid := range parents {
		for p := parents[pid]; p != 0; p = parents[p] {
			if p == root {
				u.cpu += ticks[pid] / 100
				u.memory += proportional(pid)
				break
			}
		}
	}
	return u
}

var pss = regexp.MustCompile(`(?m)^Pss:\s+(\d+)`)

func proportional(pid int) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	found := pss.FindSubmatch(data)
	if found == nil {
		return 0
	}
	kib, _ := strconv.ParseFloat(string(found[1]), 64)
	return kib / 1024
}

var dropped = regexp.MustCompile(`drop pts`)

// doubled counts pictures that look like the one before: the browser or the camera missed one.
func doubled(ctx context.Context, path string) (int, error) {
	out, err := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "debug", "-i", path, "-vf", "mpdecimate=hi=128:lo=64:frac=0.0005",
		"-f", "null", "-").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("look for doubled pictures: %w", err)
	}
	return len(dropped.FindAll(out, -1)), nil
}
