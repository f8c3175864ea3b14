package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Engine is one way to do the job. Command writes prefix.h264 and prefix.aac.
type Engine struct {
	Name    string
	What    string
	Command func(prefix string) []string
}

// engines are the contenders, ours first.
func engines(j Job) ([]Engine, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	work := filepath.Dir(j.inputs[0])
	return []Engine{
		{"footlight", "our composer's engine", func(prefix string) []string {
			return []string{self, "-child", "-result", prefix, "-work", work, "-preset", j.Preset, "-n", fmt.Sprint(j.Inputs),
				"-height", fmt.Sprint(j.InputHeight), "-seconds", fmt.Sprint(j.Seconds)}
		}},
		{"gstreamer", "GStreamer compositor and audiomixer", j.gstreamer},
		{"ffmpeg", "ffmpeg xstack and amix, defaults", func(prefix string) []string { return j.ffmpeg(prefix, false) }},
		{"ffmpeg-tuned", "the same with one thread and the fast_bilinear scaler", func(prefix string) []string { return j.ffmpeg(prefix, true) }},
	}, nil
}

func (j Job) gstreamer(prefix string) []string {
	var p strings.Builder
	fmt.Fprint(&p, "compositor name=c background=black")
	for i, t := range j.tiles() {
		fmt.Fprintf(&p, " sink_%[1]d::xpos=%[2]d sink_%[1]d::ypos=%[3]d sink_%[1]d::width=%[4]d sink_%[1]d::height=%[5]d",
			i, t.Rect.X, t.Rect.Y, t.Rect.W, t.Rect.H)
	}
	fmt.Fprintf(&p, " ! video/x-raw,format=I420,width=%d,height=%d,framerate=%d/1 ! queue max-size-buffers=3", j.Width, j.Height, j.FrameRate)
	fmt.Fprintf(&p, " ! x264enc speed-preset=%s tune=zerolatency bitrate=%d vbv-buf-capacity=1000 key-int-max=%d option-string=scenecut=0",
		j.Preset, j.BitRate/1000, j.KeyInterval)
	fmt.Fprintf(&p, " ! video/x-h264,profile=main,stream-format=byte-stream ! filesink location=%s.h264", prefix)
	fmt.Fprintf(&p, " audiomixer name=m ! audioconvert ! audio/x-raw,rate=48000,channels=2 ! avenc_aac bitrate=%d", j.AudioBitRate)
	fmt.Fprintf(&p, " ! aacparse ! audio/mpeg,stream-format=adts ! filesink location=%s.aac", prefix)
	for i, path := range j.inputs {
		fmt.Fprintf(&p, " filesrc location=%[2]s ! qtdemux name=d%[1]d"+
			" d%[1]d.video_0 ! queue ! h264parse ! avdec_h264 ! queue max-size-buffers=3 ! c.sink_%[1]d"+
			" d%[1]d.audio_0 ! queue ! opusdec ! audioconvert ! m.", i, path)
	}
	return append([]string{"gst-launch-1.0", "-q"}, strings.Fields(p.String())...)
}

func (j Job) ffmpeg(prefix string, tuned bool) []string {
	args := []string{"ffmpeg", "-nostdin", "-v", "error", "-y"}
	var threads []string
	flags := ""
	if tuned {
		threads, flags = []string{"-threads", "1"}, ":flags=fast_bilinear"
	}
	tiles := j.tiles()
	left, top := tiles[0].Rect.X, tiles[0].Rect.Y
	var graph, labels, places, sounds strings.Builder
	for _, t := range tiles {
		left, top = min(left, t.Rect.X), min(top, t.Rect.Y)
	}
	for i, t := range tiles {
		args = append(append(args, threads...), "-i", j.inputs[i])
		fmt.Fprintf(&graph, "[%d:v]scale=%d:%d%s,setsar=1[v%d];", i, t.Rect.W, t.Rect.H, flags, i)
		fmt.Fprintf(&labels, "[v%d]", i)
		fmt.Fprintf(&places, "|%d_%d", t.Rect.X-left, t.Rect.Y-top)
		fmt.Fprintf(&sounds, "[%d:a]", i)
	}
	if len(tiles) > 1 {
		fmt.Fprintf(&graph, "%sxstack=inputs=%d:layout=%s:fill=black,", labels.String(), len(tiles), places.String()[1:])
		fmt.Fprintf(&sounds, "amix=inputs=%d", len(tiles))
	} else {
		fmt.Fprint(&graph, "[v0]")
		fmt.Fprint(&sounds, "anull")
	}
	fmt.Fprintf(&graph, "pad=%d:%d:%d:%d[v];%s[a]", j.Width, j.Height, left, top, sounds.String())
	rate := fmt.Sprint(j.BitRate)
	args = append(args, "-filter_complex", graph.String(), "-map", "[v]", "-r", fmt.Sprint(j.FrameRate),
		"-c:v", "libx264", "-preset", j.Preset, "-tune", "zerolatency", "-profile:v", "main",
		"-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-g", fmt.Sprint(j.KeyInterval), "-sc_threshold", "0")
	args = append(append(args, threads...), "-t", fmt.Sprint(j.Seconds), prefix+".h264")
	return append(args, "-map", "[a]", "-ac", "2", "-c:a", "aac", "-b:a", fmt.Sprint(j.AudioBitRate),
		"-t", fmt.Sprint(j.Seconds), prefix+".aac")
}
