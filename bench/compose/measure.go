package main

import (
	"bytes"
	"context"
	"encoding/json"
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
	CPU      float64 `json:"cpu"`              // seconds of all threads and processes, user and system, per second of media
	Wall     float64 `json:"wall"`             // seconds per second of media
	Memory   float64 `json:"memory"`           // MiB at most
	Steal    float64 `json:"steal"`            // seconds that the host took from the machine meanwhile
	Pictures int     `json:"pictures"`         // in the output
	BitRate  float64 `json:"bitRate"`          // of the H.264 output
	SSIM     float64 `json:"ssim,omitzero"`    // of luma, against the ideal composite; measured once
	Floor    float64 `json:"floor,omitzero"`   // of our engine: the CPU of decoding, encoding and sound alone
	Engine   float64 `json:"engine,omitzero"`  // of our engine: all CPU but that of the start
	Doubled  int     `json:"doubled,omitzero"` // of the browser way: pictures that equal the one before
	Draw     float64 `json:"draw,omitzero"`    // of our engine: the CPU of drawing
}

// measure runs the engine once and checks its output. With quality it also compares that with the ideal.
func measure(ctx context.Context, j Job, e Engine, quality bool) (Measurement, error) {
	dir, err := os.MkdirTemp("", "compose-")
	if err != nil {
		return Measurement{}, err
	}
	defer os.RemoveAll(dir)
	prefix := filepath.Join(dir, "out")
	stolen, start := steal(), time.Now()
	var m Measurement
	if e.Command == nil {
		m, err = film(ctx, j, dir, prefix)
	} else {
		m, err = execute(ctx, j, e.Command(j, prefix))
	}
	if err != nil {
		return m, err
	}
	if m.Wall == 0 {
		m.Wall = time.Since(start).Seconds() / float64(j.Seconds)
	}
	m.Steal = steal() - stolen
	if err := m.check(ctx, j, prefix, e.Command != nil); err != nil {
		return m, err
	}
	if quality && e.Command != nil {
		m.SSIM, err = j.ssim(ctx, prefix+".h264", strings.HasPrefix(e.Name, "footlight"))
	}
	return m, err
}

func execute(ctx context.Context, j Job, args []string) (Measurement, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var output, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &errors
	if err := cmd.Run(); err != nil {
		return Measurement{}, fmt.Errorf("%s: %w: %s", args[0], err, errors.Bytes())
	}
	media := float64(j.Seconds)
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	m := Measurement{
		CPU:    (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() / media,
		Memory: float64(usage.Maxrss) / 1024,
	}
	var s Stages
	if json.Unmarshal(output.Bytes(), &s) == nil {
		m.Floor, m.Draw, m.Engine = (s.Decode+s.Encode+s.Audio)/media, s.Draw/media, s.Total/media
	}
	return m, nil
}

// check fails unless the output has the pictures, the bitrate and the sound that the job asks for.
func (m *Measurement) check(ctx context.Context, j Job, prefix string, sound bool) error {
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
	if r := m.BitRate / float64(j.BitRate); r > 1.15 || r < 0.85 && j.Content == moving {
		return fmt.Errorf("%.0f b/s of video, want %d", m.BitRate, j.BitRate)
	}
	if !sound {
		return nil
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
