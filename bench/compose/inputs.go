package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// scenes are moving pictures with the kinds of change that cameras and screens have; a little noise is
// added to each, because a synthetic picture without it costs a coder nothing.
var scenes = []string{
	"testsrc2=s=1280x720:r=30",
	"mandelbrot=s=1280x720:r=30:maxiter=300:start_scale=3:end_scale=0.2:end_pts=1200:inner=black",
	"gradients=s=1280x720:r=30:n=6:seed=7:speed=0.02",
	"life=s=160x90:r=30:ratio=0.15:mold=25:life_color=white:death_color=#404080:seed=3,scale=1280:720:flags=bicubic",
}

// makeInputs encodes the inputs that do not exist yet, as browsers would: constrained baseline without
// reordering, key frames far apart, mono Opus with packets of 20 ms.
func makeInputs(ctx context.Context, j Job) error {
	for i, path := range j.inputs {
		if _, err := os.Stat(path); err == nil {
			continue
		}
		fmt.Fprintf(os.Stderr, "making input %d of %d\n", i+1, len(j.inputs))
		if err := makeInput(ctx, j, i, path); err != nil {
			return fmt.Errorf("make %s: %w", path, err)
		}
	}
	return nil
}

func makeInput(ctx context.Context, j Job, i int, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	kilobits := 700
	if j.InputHeight > 360 {
		kilobits = 2000
	}
	sound := fmt.Sprintf("aevalsrc='0.25*sin(2*PI*%d*t)*(0.5+0.5*sin(2*PI*3*t))+0.05*(random(0)-0.5)':s=48000", 200+55*i)
	picture := fmt.Sprintf("%s,hue=h=%d,noise=c0s=7:c0f=t+u:all_seed=%d,scale=%d:%d:flags=area,format=yuv420p",
		scenes[i%len(scenes)], 25*i, 17*i+3, j.InputHeight*16/9, j.InputHeight)
	part := path + ".part"
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-y",
		"-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound,
		"-c:v", "libx264", "-profile:v", "baseline", "-preset", "superfast", "-tune", "zerolatency", "-refs", "1",
		"-g", "300", "-threads", "1", "-b:v", fmt.Sprint(kilobits, "k"), "-maxrate", fmt.Sprint(kilobits, "k"),
		"-bufsize", fmt.Sprint(kilobits/2, "k"),
		"-c:a", "libopus", "-application", "voip", "-b:a", "32k", "-frame_duration", "20", "-ac", "1",
		"-t", fmt.Sprint(j.Seconds), "-f", "mp4", part)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	return os.Rename(part, path)
}
