package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Measurement is one run of an engine.
type Measurement struct {
	CPU      float64 `json:"cpu"`      // seconds of all threads, user and system, per second of media
	Wall     float64 `json:"wall"`     // seconds per second of media
	Memory   float64 `json:"memory"`   // MiB at most
	Steal    float64 `json:"steal"`    // seconds that the host took from the machine meanwhile
	Pictures int     `json:"pictures"` // in the output
	BitRate  float64 `json:"bitRate"`  // of the H.264 output
}

// measure runs the engine once and checks its output.
func measure(ctx context.Context, j Job, e Engine) (Measurement, error) {
	dir, err := os.MkdirTemp("", "compose-")
	if err != nil {
		return Measurement{}, err
	}
	defer os.RemoveAll(dir)
	prefix := filepath.Join(dir, "out")
	args := e.Command(prefix)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	stolen, start := steal(), time.Now()
	if err := cmd.Run(); err != nil {
		return Measurement{}, fmt.Errorf("%s: %w: %s", args[0], err, output.Bytes())
	}
	media := float64(j.Seconds)
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	m := Measurement{
		CPU:    (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() / media,
		Wall:   time.Since(start).Seconds() / media,
		Memory: float64(usage.Maxrss) / 1024,
		Steal:  steal() - stolen,
	}
	return m, m.check(ctx, j, prefix)
}

// check fails unless the output has the pictures, the bitrate and the sound that the job asks for.
func (m *Measurement) check(ctx context.Context, j Job, prefix string) error {
	var err error
	if m.Pictures, err = packets(ctx, prefix+".h264"); err != nil {
		return err
	}
	info, err := os.Stat(prefix + ".h264")
	if err != nil {
		return err
	}
	m.BitRate = float64(info.Size()) * 8 / float64(j.Seconds)
	if want := j.Seconds * j.FrameRate; math.Abs(float64(m.Pictures-want)) > 3 {
		return fmt.Errorf("%d pictures, want %d", m.Pictures, want)
	}
	if r := m.BitRate / float64(j.BitRate); r < 0.9 || r > 1.15 {
		return fmt.Errorf("%.0f b/s of video, want %d", m.BitRate, j.BitRate)
	}
	frames, err := packets(ctx, prefix+".aac")
	if err != nil {
		return err
	}
	if want := j.Seconds * 48000 / 1024; math.Abs(float64(frames-want)) > 6 {
		return fmt.Errorf("%d AAC frames, want %d", frames, want)
	}
	return nil
}

// packets counts access units or audio frames.
func packets(ctx context.Context, path string) (int, error) {
	out, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-count_packets", "-show_entries",
		"stream=nb_read_packets", "-of", "csv=p=0", path).Output()
	if err != nil {
		return 0, fmt.Errorf("ffprobe %s: %w", path, err)
	}
	return strconv.Atoi(strings.Trim(strings.TrimSpace(string(out)), ","))
}

// steal is the CPU time, in seconds, that the host of a virtual machine gave to others since boot, 0 where
// that is unknown.
func steal() float64 {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(strings.SplitN(string(data), "\n", 2)[0])
	if len(fields) < 9 {
		return 0
	}
	ticks, _ := strconv.ParseFloat(fields[8], 64)
	return ticks / 100
}

// machine names the processor.
func machine() string {
	out, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	cores, name := 0, "unknown"
	for line := range strings.Lines(string(out)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			cores, name = cores+1, strings.TrimSpace(value)
		}
	}
	return fmt.Sprintf("%d × %s", cores, name)
}
