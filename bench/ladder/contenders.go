package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"

	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/video"
	"github.com/footlight-live/footlight/internal/transcode"
	"github.com/footlight-live/footlight/internal/transcode/ladder"
)

// film is what a publisher sends.
type film struct {
	name          string
	width, height int
	rate          int // pictures per second
	kilobits      int // per second
}

// scenes have the kinds of change that cameras have, and harder ones, with a little noise: a third of the film each.
var scenes = []string{
	"mandelbrot=s=%s:r=%d:maxiter=300:start_scale=3:end_scale=0.2:end_pts=1200:inner=black",
	"gradients=s=%s:r=%d:n=6:seed=7:speed=0.02",
	"testsrc2=s=%s:r=%d",
}

// make encodes the film as an encoder does that has the time.
func (f film) make(ctx context.Context, path string, seconds int) error {
	args := []string{"-nostdin", "-v", "error", "-y"}
	for _, s := range scenes {
		args = append(args, "-f", "lavfi", "-t", fmt.Sprint(float64(seconds)/float64(len(scenes))), "-i", fmt.Sprintf(s, fmt.Sprintf("%dx%d", f.width, f.height), f.rate))
	}
	args = append(args, "-filter_complex", fmt.Sprintf("[0][1][2]concat=n=%d,noise=c0s=7:c0f=t+u,format=yuv420p", len(scenes)),
		"-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", fmt.Sprint(2*f.rate), "-b:v", fmt.Sprint(f.kilobits, "k"),
		"-maxrate", fmt.Sprint(f.kilobits, "k"), "-bufsize", fmt.Sprint(f.kilobits, "k"),
		"-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-f", "mpegts", path)
	if out, err := exec.CommandContext(ctx, "ffmpeg", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("make %s: %w: %s", f.name, err, out)
	}
	return nil
}

// read returns the messages that a server sends of a film.
func read(path string) (units []transcode.Message, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r := &mpegts.Reader{R: file}
	if err := r.Initialize(); err != nil {
		return nil, err
	}
	r.OnDataH264(r.Tracks()[0], func(pts, _ int64, au [][]byte) error {
		m := transcode.Message{Kind: ladder.Frame, At: time.Duration(pts) * time.Second / 90000}
		for _, n := range au {
			if n[0]&0x1f == 5 {
				m.Kind = ladder.Key
			}
			m.Data = append(append(m.Data, 0, 0, 0, 1), n...)
		}
		units = append(units, m)
		return nil
	})
	for err == nil {
		err = r.Read()
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return units, nil
}

// result is what one contender did.
type result struct {
	cpu    []float64 // seconds, of each round
	delays []time.Duration
	files  []string // Annex B, of each size
}

func (r *result) add(next result) {
	r.cpu, r.delays, r.files = append(r.cpu, next.cpu...), append(r.delays, next.delays...), next.files
}

// runOurs sends one unit after the other.
func runOurs(ctx context.Context, program string, units []transcode.Message, dir string, tracks int) (r result, err error) {
	cmd := exec.CommandContext(ctx, program, "ladder", string(ladder.AdvancedHD), string(ladder.HigherBandwidth))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return r, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := cmd.Start(); err != nil {
		return r, err
	}
	coded := make([]bytes.Buffer, tracks)
	for _, u := range units {
		began := time.Now()
		if err := u.Write(in); err != nil {
			return r, err
		}
		for answered := false; !answered; {
			m, err := transcode.Read(out, 8<<20)
			if err != nil {
				return r, err
			}
			switch m.Kind {
			case ladder.Tracks:
				for i := range coded {
					m.Data = pieces(m.Data, 2, &coded[i])
				}
			case ladder.Pictures:
				unpack(m.Data[1:], coded)
			case ladder.Nothing:
				if ladder.Reason(m.Data[0]) == ladder.LeftOut {
					return r, errors.New("the machine is too busy: our process had to leave a picture out")
				}
			}
			if answered = m.At == u.At && m.Kind != ladder.Tracks; answered && m.Kind == ladder.Pictures {
				r.delays = append(r.delays, time.Since(began))
			}
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		return r, err
	}
	r.cpu = []float64{cpu(cmd)}
	for i := range coded {
		path := filepath.Join(dir, fmt.Sprintf("ours-%d.h264", i))
		r.files = append(r.files, path)
		if err := os.WriteFile(path, coded[i].Bytes(), 0o644); err != nil {
			return r, err
		}
	}
	return r, nil
}

// unpack appends pictures to those of their sizes.
func unpack(b []byte, coded []bytes.Buffer) {
	for len(b) > 0 {
		n := 5 + binary.BigEndian.Uint32(b[1:])
		pieces(b[5:n], -1, &coded[b[0]])
		b = b[n:]
	}
}

// pieces appends n pieces, each of which follows its length, as Annex B has them, and returns the rest; -1 means all.
func pieces(b []byte, n int, to *bytes.Buffer) []byte {
	for ; n != 0 && len(b) > 0; n-- {
		size := 4 + binary.BigEndian.Uint32(b)
		to.Write([]byte{0, 0, 0, 1})
		to.Write(b[4:size])
		b = b[size:]
	}
	return b
}

// runFFmpeg has ffmpeg make the same sizes.
func runFFmpeg(ctx context.Context, path, dir string, rungs []ladder.Rung, rate int, preset []string) (r result, err error) {
	graph := fmt.Sprintf("[0:v]split=%d", len(rungs))
	for i := range rungs {
		graph += fmt.Sprintf("[s%d]", i)
	}
	var outputs []string
	for i, rung := range rungs {
		graph += fmt.Sprintf(";[s%d]", i)
		if rung.Every > 1 {
			graph += fmt.Sprintf("fps=%g,", rung.FrameRate)
		}
		graph += fmt.Sprintf("scale=%d:%d[o%d]", rung.Width, rung.Height, i)
		file := filepath.Join(dir, fmt.Sprintf("ffmpeg-%s-%d.h264", strings.Join(preset, ""), i))
		r.files = append(r.files, file)
		bits := fmt.Sprint(rung.BitRate)
		outputs = append(append(append(outputs, "-map", fmt.Sprintf("[o%d]", i), "-c:v", "libx264"), preset...),
			"-profile:v", "main", "-threads", "1", "-bf", "0", "-g", fmt.Sprint(int(2*rung.FrameRate)), "-sc_threshold", "0",
			"-b:v", bits, "-maxrate", bits, "-bufsize", bits, "-f", "h264", file)
	}
	args := append([]string{"-nostdin", "-v", "error", "-y", "-threads", "1", "-i", path, "-filter_complex_threads", "1", "-filter_complex", graph}, outputs...)
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return r, fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	r.cpu = []float64{cpu(cmd)}
	return r, nil
}

// cpu is what a process has taken, in seconds.
func cpu(cmd *exec.Cmd) float64 {
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

var ssimOf = regexp.MustCompile(`SSIM Y:([0-9.]+)`)

// ssim compares a size with the film. Ours is cropped a little where that spares a filter, and its ideal is alike: half a
// pixel is no loss.
func ssim(ctx context.Context, path, file string, f film, rung ladder.Rung, ours bool) (float64, error) {
	crop := ""
	if ours {
		src, _ := video.Fit(layout.Cover, f.width, f.height, image.Rect(0, 0, rung.Width, rung.Height))
		crop = fmt.Sprintf("crop=%d:%d:%d:%d,", src.Dx(), src.Dy(), src.Min.X, src.Min.Y)
	}
	thin := ""
	if rung.Every > 1 {
		thin = fmt.Sprintf("select=not(mod(n\\,%d)),", rung.Every)
	}
	graph := fmt.Sprintf("[1:v]%s%sscale=%d:%d:flags=lanczos+accurate_rnd,settb=1/1000,setpts=N[want];[0:v]settb=1/1000,setpts=N[got];[got][want]ssim=shortest=1",
		thin, crop, rung.Width, rung.Height)
	out, err := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "info", "-i", file, "-i", path, "-filter_complex", graph, "-f", "null", "-").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("compare with the film: %w: %s", err, out)
	}
	found := ssimOf.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("compare with the film: no result in %s", out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
