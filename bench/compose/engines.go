package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/footlight-live/footlight/internal/av"
)

// preset is what the other tools encode with, all with x264 and zerolatency.
const preset = "veryfast"

// Engine is one way to do a job. Command writes prefix.h264 and prefix.aac.
type Engine struct {
	Name    string
	What    string
	Command func(j Job, prefix string) []string
}

// The engines. The first is as a composer runs it (see encodingFor in internal/composer).
var (
	footlight       = Engine{"footlight", "our composer's engine", ours(composer.encoder, composer.preset)}
	footlightX264   = Engine{"footlight-x264", "our composer's engine with the others' encoder and preset", ours(av.X264, preset)}
	ffmpeg          = Engine{"ffmpeg", "ffmpeg: xstack and amix, defaults", func(j Job, prefix string) []string { return j.ffmpeg(prefix, false) }}
	ffmpegTuned     = Engine{"ffmpeg-tuned", "the same, one thread, fast_bilinear scaler", func(j Job, prefix string) []string { return j.ffmpeg(prefix, true) }}
	gstreamer       = Engine{"gstreamer", "GStreamer: compositor and audiomixer", Job.gstreamer}
	browser         = Engine{Name: "browser", What: "Chromium in Xvfb, filmed by ffmpeg, without sound"}
	simulcastEngine = Engine{"footlight-simulcast", "our composer's engine, of publishers with layers of 720p, 360p and 180p", footlight.Command}
)

// ours runs this program as our engine.
func ours(encoder, preset string) func(Job, string) []string {
	return func(j Job, prefix string) []string {
		return Task{Job: j, Files: j.Files, Encoder: encoder, Preset: preset, Prefix: prefix}.command()
	}
}

func (t Task) command() []string {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	task, _ := json.Marshal(t) // numbers and strings
	return []string{self, "-task", string(task)}
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
		preset, j.BitRate/1000, j.KeyInterval)
	fmt.Fprintf(&p, " ! video/x-h264,profile=main,stream-format=byte-stream ! filesink location=%s.h264", prefix)
	fmt.Fprintf(&p, " audiomixer name=m ! audioconvert ! audio/x-raw,rate=48000,channels=2 ! avenc_aac bitrate=%d", j.AudioBitRate)
	fmt.Fprintf(&p, " ! aacparse ! audio/mpeg,stream-format=adts ! filesink location=%s.aac", prefix)
	for i, path := range j.Files {
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
	var sounds strings.Builder
	for i := range j.Files {
		args = append(append(args, threads...), "-i", j.Files[i])
		fmt.Fprintf(&sounds, "[%d:a]", i)
	}
	graph := j.stack(0, nil, flags)
	if len(j.Files) > 1 {
		graph += fmt.Sprintf("[v];%samix=inputs=%d[a]", sounds.String(), len(j.Files))
	} else {
		graph += "[v];[0:a]anull[a]"
	}
	rate := fmt.Sprint(j.BitRate)
	args = append(args, "-filter_complex", graph, "-map", "[v]", "-r", fmt.Sprint(j.FrameRate),
		"-c:v", "libx264", "-preset", preset, "-tune", "zerolatency", "-profile:v", "main",
		"-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-g", fmt.Sprint(j.KeyInterval), "-sc_threshold", "0")
	args = append(append(args, threads...), "-t", fmt.Sprint(j.Seconds), prefix+".h264")
	return append(args, "-map", "[a]", "-ac", "2", "-c:a", "aac", "-b:a", fmt.Sprint(j.AudioBitRate),
		"-t", fmt.Sprint(j.Seconds), prefix+".aac")
}

// stack is a filter graph without output label that puts the video of ffmpeg's inputs, from number first on,
// into the job's tiles. crops, where given, says which part of each picture.
func (j Job) stack(first int, crops []string, flags string) string {
	tiles := j.tiles()
	left, top := tiles[0].Rect.X, tiles[0].Rect.Y
	for _, t := range tiles {
		left, top = min(left, t.Rect.X), min(top, t.Rect.Y)
	}
	var graph, labels, places strings.Builder
	for i, t := range tiles {
		crop := ""
		if crops != nil {
			crop = "crop=" + crops[i] + ":exact=1,"
		}
		fmt.Fprintf(&graph, "[%d:v]%sscale=%d:%d%s,setsar=1[t%d];", first+i, crop, t.Rect.W, t.Rect.H, flags, i)
		fmt.Fprintf(&labels, "[t%d]", i)
		fmt.Fprintf(&places, "|%d_%d", t.Rect.X-left, t.Rect.Y-top)
	}
	graph.WriteString(labels.String())
	if len(tiles) > 1 {
		fmt.Fprintf(&graph, "xstack=inputs=%d:layout=%s:fill=black,", len(tiles), places.String()[1:])
	}
	fmt.Fprintf(&graph, "pad=%d:%d:%d:%d", j.Width, j.Height, left, top)
	return graph.String()
}
