package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// scenes are moving pictures with the kinds of change that cameras have, and harder ones; a little noise is
// added to each, because a synthetic picture without it costs a coder nothing.
var scenes = []string{
	"testsrc2=s=1280x720:r=30",
	"mandelbrot=s=1280x720:r=30:maxiter=300:start_scale=3:end_scale=0.2:end_pts=1200:inner=black",
	"gradients=s=1280x720:r=30:n=6:seed=7:speed=0.02",
	"life=s=160x90:r=30:ratio=0.15:mold=25:life_color=white:death_color=#404080:seed=3,scale=1280:720:flags=bicubic",
}

const font = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"

// makeInputs encodes the inputs that do not exist yet, as browsers would: constrained baseline without
// reordering, key frames far apart, mono Opus with packets of 20 ms. They say BT.709, so that no engine has
// colours to convert.
func makeInputs(ctx context.Context, jobs []Job) error {
	for _, j := range jobs {
		for i, path := range j.Files {
			if _, err := os.Stat(path); err == nil {
				continue
			}
			fmt.Fprintf(os.Stderr, "making input %s\n", filepath.Base(path))
			if err := makeInput(ctx, j, i, path); err != nil {
				return fmt.Errorf("make %s: %w", path, err)
			}
		}
	}
	return nil
}

func makeInput(ctx context.Context, j Job, i int, path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	picture := fmt.Sprintf("%s,hue=h=%d,noise=c0s=7:c0f=t+u:all_seed=%d", scenes[i%len(scenes)], 25*i, 17*i+3)
	if j.Content == screen {
		var err error
		if picture, err = page(dir, j.Seconds); err != nil {
			return err
		}
	}
	kilobits := map[int]int{180: 200, 360: 700, 720: 2000}[j.InputHeight]
	sound := fmt.Sprintf("aevalsrc='0.25*sin(2*PI*%d*t)*(0.5+0.5*sin(2*PI*3*t))+0.05*(random(0)-0.5)':s=48000", 200+55*i)
	picture += fmt.Sprintf(",scale=%d:%d:flags=area,format=yuv420p", j.inputWidth(), j.InputHeight)
	part := path + ".part"
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-y",
		"-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound,
		"-c:v", "libx264", "-profile:v", "baseline", "-preset", "superfast", "-tune", "zerolatency", "-refs", "1",
		"-g", "300", "-threads", "1", "-b:v", fmt.Sprint(kilobits, "k"), "-maxrate", fmt.Sprint(kilobits, "k"),
		"-bufsize", fmt.Sprint(kilobits/2, "k"), "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709",
		"-c:a", "libopus", "-application", "voip", "-b:a", "32k", "-frame_duration", "20", "-ac", "1",
		"-t", fmt.Sprint(j.Seconds), "-f", "mp4", part)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	return os.Rename(part, path)
}

// page is a filter graph of a screen with text, the files of this program: black on white, it stands for the
// first quarter of the time with a blinking cursor and scrolls in the second; in the third another one stands,
// light on dark, and it scrolls in steps in the last.
func page(dir string, seconds int) (string, error) {
	var names [2]string
	for i, source := range []string{"inputs.go", "engine.go"} {
		text, err := sources.ReadFile(source)
		if err != nil {
			return "", err
		}
		names[i] = filepath.Join(dir, source+".txt")
		if err := os.WriteFile(names[i], []byte(strings.ReplaceAll(string(text), "\t", "    ")), 0o644); err != nil {
			return "", err
		}
	}
	q := float64(seconds) / 4
	text := func(file, colour, y, when string) string {
		return fmt.Sprintf("drawtext=fontfile=%s:textfile=%s:expansion=none:fontsize=16:line_spacing=2:fontcolor=%s:x=40:y='%s':enable='%s'",
			font, file, colour, y, when)
	}
	first, then := fmt.Sprintf("lt(t,%g)", 2*q), fmt.Sprintf("gte(t,%g)", 2*q)
	return strings.Join([]string{
		"color=c=white:s=1280x720:r=30",
		text(names[0], "0x202020", fmt.Sprintf("20-240*max(0,t-%g)", q), first),
		fmt.Sprintf("drawbox=x=300:y=300:w=9:h=18:color=black:t=fill:enable='%s*lt(mod(t,1),0.5)'", first),
		fmt.Sprintf("drawbox=c=0x1e1e1e:t=fill:enable='%s'", then),
		text(names[1], "0xd4d4d4", fmt.Sprintf("20-60*floor(5*max(0,t-%g))", 3*q), then),
	}, ","), nil
}
