package judge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// Options says what Record looks for. The zero value judges cadence, blackness and sound only.
type Options struct {
	// Tiles are where to look for participants: the whole picture of each, in pixels of the video.
	Tiles []image.Rectangle
	// InputArgs go to ffmpeg before -i, for example "-live_start_index", "-1".
	InputArgs []string
	// OnFrame, when set, sees each picture's luma as it is read: number from 0, valid during the call only.
	OnFrame func(number int, luma *image.Gray)
}

// Capture is what a player got. All times are PTS from Start on, unless said otherwise.
type Capture struct {
	Facts  Facts
	Start  time.Duration // the first PTS of the media itself
	Tiles  []image.Rectangle
	Frames []Frame
	Sound  []SoundWindow
	Beeps  []Beep // ordered by time
	// SoundGaps are the places where the PTS of sound jumped by more than 2 ms.
	SoundGaps []Gap
}

// Frame is what was seen in one picture.
type Frame struct {
	PTS     time.Duration
	Arrived time.Time // when ffmpeg handed it out
	Mean    uint8     // luma, full range
	Max     uint8     // the largest luma
	Tiles   []TileReading
}

// TileReading is what was seen in one tile of a picture. Index and TimeMS count only when OK.
type TileReading struct {
	OK     bool
	Index  int
	TimeMS int64
	Lamp   bool  // the flash area is white
	Mean   uint8 // luma, full range
}

// Gap is a place where the PTS did not go on as expected; Length is negative when it went back.
type Gap struct {
	At     time.Duration
	Length time.Duration
}

// Record plays a URL (an HLS playlist, RTMP…) or a file with ffmpeg for the given length of media and
// returns what it saw. It ends early, without an error, when the media ends. When ctx ends first, what was
// seen until then is returned with ctx's error.
func Record(ctx context.Context, url string, length time.Duration, options Options) (*Capture, error) {
	facts, err := Probe(ctx, url)
	if err != nil {
		return nil, err
	}
	if facts.VideoCodec == "" && facts.AudioCodec == "" {
		return nil, fmt.Errorf("record %s: neither video nor audio is in it", url)
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	p, err := startPlayer(running, url, facts, options.InputArgs)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", url, err)
	}

	capture := &Capture{Facts: facts, Tiles: slices.Clone(options.Tiles)}
	var sound soundReader
	var stamps timestamps
	var videoErr, audioErr, stampErr error
	var wait sync.WaitGroup
	wait.Go(func() { stampErr = stamps.read(p.stamps, length, stop) })
	if p.video != nil {
		wait.Go(func() { videoErr = capture.readFrames(p.video, options.OnFrame) })
	}
	if p.audio != nil {
		wait.Go(func() { audioErr = sound.read(p.audio) })
	}
	wait.Wait()
	playErr := p.wait()
	capture.join(&sound, &stamps)
	if len(capture.Frames) == 0 && len(capture.Sound) == 0 {
		return nil, fmt.Errorf("record %s: nothing came: %w: %s", url, errors.Join(playErr, ctx.Err()), tail(p.complaints.String()))
	}
	switch {
	case ctx.Err() != nil:
		return capture, fmt.Errorf("record %s: %w", url, ctx.Err())
	case running.Err() != nil:
		return capture, nil // stopped on purpose: broken pipes mean nothing
	}
	if err := errors.Join(videoErr, audioErr, stampErr, playErr); err != nil {
		return capture, fmt.Errorf("record %s: %w: %s", url, err, tail(p.complaints.String()))
	}
	return capture, nil
}

// player is a running ffmpeg that hands out pictures, samples and their timestamps, each through a pipe of
// its own. All three must be read at the same time.
type player struct {
	command    *exec.Cmd
	video      *os.File // yuv4mpeg, luma only; nil without video
	audio      *os.File // stereo, 16 bit, 48 kHz; nil without audio
	stamps     *os.File // framecrc: one line with the PTS of each frame of both
	complaints bytes.Buffer
}

func startPlayer(ctx context.Context, url string, facts Facts, inputArgs []string) (*player, error) {
	p := &player{}
	args := slices.Concat([]string{"-v", "error", "-nostdin", "-copyts"}, inputArgs, []string{"-i", url})
	var filters, stamped []string
	var outputs [][]string
	if facts.VideoCodec != "" {
		filters = append(filters, "[0:v:0]format=gray,split[v][vt]")
		outputs = append(outputs, []string{"-map", "[v]", "-strict", "-1", "-f", "yuv4mpegpipe"})
		stamped = append(stamped, "-map", "[vt]", "-enc_time_base:v", "1:90000")
	}
	if facts.AudioCodec != "" {
		filters = append(filters, "[0:a:0]aformat=sample_fmts=s16:sample_rates=48000:channel_layouts=stereo,asplit[a][at]")
		outputs = append(outputs, []string{"-map", "[a]", "-f", "s16le"})
		stamped = append(stamped, "-map", "[at]")
	}
	for i, filter := range filters {
		if i > 0 {
			args[len(args)-1] += ";" + filter
		} else {
			args = append(args, "-filter_complex", filter)
		}
	}
	p.command = exec.CommandContext(ctx, "ffmpeg")
	p.command.Stderr = &p.complaints
	p.command.WaitDelay = 5 * time.Second
	var ours []*os.File
	outputs = append(outputs, append(stamped, "-flush_packets", "1", "-f", "framecrc"))
	for _, output := range outputs {
		reader, writer, err := os.Pipe()
		if err != nil {
			closeAll(append(ours, p.command.ExtraFiles...))
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
		ours = append(ours, reader)
		p.command.ExtraFiles = append(p.command.ExtraFiles, writer)
		args = append(args, "-fps_mode", "passthrough")
		args = append(args, output...)
		args = append(args, fmt.Sprintf("pipe:%d", 2+len(ours)))
	}
	p.command.Args = append(p.command.Args, args...)
	err := p.command.Start()
	closeAll(p.command.ExtraFiles)
	if err != nil {
		closeAll(ours)
		return nil, fmt.Errorf("start ffmpeg: %w", err)
	}
	p.stamps = ours[len(ours)-1]
	if facts.VideoCodec != "" {
		p.video = ours[0]
	}
	if facts.AudioCodec != "" {
		p.audio = ours[len(ours)-2]
	}
	return p, nil
}

// wait returns when ffmpeg is gone; its pipes are closed then.
func (p *player) wait() error {
	err := p.command.Wait()
	for _, file := range []*os.File{p.video, p.audio, p.stamps} {
		if file != nil {
			_ = file.Close() // only read from
		}
	}
	if err != nil {
		return fmt.Errorf("ffmpeg: %w", err)
	}
	return nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		_ = file.Close() // nothing was written through it
	}
}
