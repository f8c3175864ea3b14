package main

import (
	"fmt"
	"path/filepath"

	"github.com/footlight-live/footlight/internal/composer/layout"
)

// What the participants show.
const (
	moving = "moving" // everything moves, with noise
	screen = "screen" // a shared screen: text that stands, scrolls and is replaced
)

// Job is the work that every engine does.
type Job struct {
	Inputs       int    `json:"inputs"`
	InputHeight  int    `json:"inputHeight"`
	Content      string `json:"content"`
	Seconds      int    `json:"seconds"`
	Width        int    `json:"width"`
	Height       int    `json:"height"`
	FrameRate    int    `json:"frameRate"`
	BitRate      int    `json:"bitRate"`      // of the H.264 output, bits per second
	AudioBitRate int    `json:"audioBitRate"` // of the AAC output, bits per second
	KeyInterval  int    `json:"keyInterval"`  // pictures

	Files []string `json:"-"` // the inputs, MP4
}

func newJob(inputs, height int, content string, seconds int, dir string) Job {
	j := Job{Inputs: inputs, InputHeight: height, Content: content, Seconds: seconds, Width: 1280, Height: 720,
		FrameRate: 30, BitRate: 2_500_000, AudioBitRate: 160_000, KeyInterval: 60}
	for i := range inputs {
		j.Files = append(j.Files, filepath.Join(dir, fmt.Sprintf("%s-%dp-%d-%ds.mp4", content, height, i, seconds)))
	}
	return j
}

// String describes the job in a few words.
func (j Job) String() string {
	if j.Content == screen {
		return fmt.Sprintf("a screen at %dp", j.InputHeight)
	}
	return fmt.Sprintf("%d × %dp", j.Inputs, j.InputHeight)
}

// inputWidth is that of each input: 16:9.
func (j Job) inputWidth() int { return j.InputHeight * 16 / 9 }

// tiles are the places of the inputs: those that our default layout gives them.
func (j Job) tiles() []layout.Tile {
	ps := make([]layout.Participant, j.Inputs)
	for i := range ps {
		ps[i] = layout.Participant{ID: fmt.Sprint(i), HasVideo: true, Joined: int64(i)}
	}
	return layout.Compute(layout.Default(), layout.Size{W: j.Width, H: j.Height}, ps)
}

// layer is the height of the simulcast layer, of 180, 360 and 720, that our stage sends for the job's tiles: the
// smallest that is at least 7/8 of the tile.
func layer(inputs int) int {
	tile := Job{Inputs: inputs, Width: 1280, Height: 720}.tiles()[0].Rect
	for _, h := range []int{180, 360} {
		if 8*h >= 7*tile.H && 8*h*16/9 >= 7*tile.W {
			return h
		}
	}
	return 720
}
