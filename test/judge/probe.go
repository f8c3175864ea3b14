package judge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// Facts is what ffprobe says of a URL or file. Zero values mean that the stream is not there.
type Facts struct {
	VideoCodec   string  // h264
	VideoProfile string  // Main, Constrained Baseline…
	Width        int     // pixels
	Height       int     // pixels
	FrameRate    float64 // frames per second, as the container or the codec declares it
	BFrames      bool
	AudioCodec   string // aac, opus
	AudioProfile string // LC
	SampleRate   int
	Channels     int
}

// Probe asks ffprobe about the first video and the first audio stream of a URL or file.
func Probe(ctx context.Context, url string) (Facts, error) {
	command := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-show_streams", "-of", "json", url)
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		return Facts{}, fmt.Errorf("probe %s: %w: %s", url, err, tail(complaints.String()))
	}
	return parseFacts(output)
}

func parseFacts(output []byte) (Facts, error) {
	var report struct {
		Streams []struct {
			Type        string `json:"codec_type"`
			Codec       string `json:"codec_name"`
			Profile     string `json:"profile"`
			Width       int    `json:"width"`
			Height      int    `json:"height"`
			FrameRate   string `json:"r_frame_rate"`
			HasBFrames  int    `json:"has_b_frames"`
			SampleRate  string `json:"sample_rate"`
			Channels    int    `json:"channels"`
			AverageRate string `json:"avg_frame_rate"`
		} `json:"streams"`
	}
	if err := json.Unmarshal(output, &report); err != nil {
		return Facts{}, fmt.Errorf("read ffprobe's report: %w", err)
	}
	var facts Facts
	for _, stream := range report.Streams {
		switch {
		case stream.Type == "video" && facts.VideoCodec == "":
			facts.VideoCodec, facts.VideoProfile = stream.Codec, stream.Profile
			facts.Width, facts.Height = stream.Width, stream.Height
			facts.BFrames = stream.HasBFrames > 0
			if facts.FrameRate = ratio(stream.AverageRate); facts.FrameRate == 0 {
				facts.FrameRate = ratio(stream.FrameRate)
			}
		case stream.Type == "audio" && facts.AudioCodec == "":
			facts.AudioCodec, facts.AudioProfile = stream.Codec, stream.Profile
			facts.SampleRate, _ = strconv.Atoi(stream.SampleRate) // 0 when it is not known
			facts.Channels = stream.Channels
		}
	}
	return facts, nil
}

// ratio reads "30000/1001"; 0 when it is not known.
func ratio(text string) float64 {
	over, under, _ := strings.Cut(text, "/")
	a, _ := strconv.ParseFloat(over, 64)
	b, _ := strconv.ParseFloat(under, 64)
	if b == 0 {
		return 0
	}
	return a / b
}

// tail is the end of what a command complained of.
func tail(text string) string {
	text = strings.TrimSpace(text)
	const most = 600
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return text
}
