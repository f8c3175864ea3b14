package main

import (
	"fmt"
	"path/filepath"

	"github.com/footlight-live/footlight/internal/composer/layout"
)

// Job is the work that every engine does.
type Job struct {
	Inputs       int    `json:"inputs"`
	InputHeight  int    `json:"inputHeight"`
	Seconds      int    `json:"seconds"`
	Width        int    `json:"width"`
	Height       int    `json:"height"`
	FrameRate    int    `json:"frameRate"`
	BitRate      int    `json:"bitRate"`      // of the H.264 output, bits per second
	AudioBitRate int    `json:"audioBitRate"` // of the AAC output, bits per second
	KeyInterval  int    `json:"keyInterval"`  // pictures
	Preset       string `json:"preset"`

	inputs []string // MP4 files
}

// String describes the job in a line.
func (j Job) String() string {
	return fmt.Sprintf("%d × %dx%d@30 H.264 + Opus → %dx%d@%d x264 %s main zerolatency %.1f Mb/s + AAC %d kb/s",
		j.Inputs, j.InputHeight*16/9, j.InputHeight, j.Width, j.Height, j.FrameRate, j.Preset,
		float64(j.BitRate)/1e6, j.AudioBitRate/1000)
}

// tiles are the places of the inputs: those that our default layout gives them.
func (j Job) tiles() []layout.Tile {
	ps := make([]layout.Participant, j.Inputs)
	for i := range ps {
		ps[i] = layout.Participant{ID: fmt.Sprint(i), HasVideo: true, Joined: int64(i)}
	}
	return layout.Compute(layout.Default(), layout.Size{W: j.Width, H: j.Height}, ps)
}

func inputPaths(dir string, j Job) []string {
	var paths []string
	for i := range j.Inputs {
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("%dp-%d-%ds.mp4", j.InputHeight, i, j.Seconds)))
	}
	return paths
}
