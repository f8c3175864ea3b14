package judge

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/synth/signal"
)

// readFrames reads yuv4mpeg with luma only and judges each picture. A cut-off last picture is left out.
func (c *Capture) readFrames(r io.Reader, onFrame func(int, *image.Gray)) error {
	in := bufio.NewReaderSize(r, 1<<20)
	header, err := in.ReadString('\n')
	if err != nil {
		return unlessEnd("read the video's header", err)
	}
	width, height, err := y4mSize(header)
	if err != nil {
		return err
	}
	picture := image.NewGray(image.Rect(0, 0, width, height))
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return unlessEnd("read a picture's header", err)
		}
		if !strings.HasPrefix(line, "FRAME") {
			return fmt.Errorf("read picture %d: the picture's size changed", len(c.Frames))
		}
		if _, err := io.ReadFull(in, picture.Pix); err != nil {
			return unlessEnd("read a picture", err)
		}
		number := len(c.Frames)
		c.Frames = append(c.Frames, judgeFrame(picture, c.Tiles))
		if onFrame != nil {
			onFrame(number, picture)
		}
	}
}

// y4mSize reads the size from a line like "YUV4MPEG2 W1280 H720 F30:1 Ip A1:1 Cmono".
func y4mSize(header string) (width, height int, err error) {
	for _, field := range strings.Fields(header) {
		switch field[0] {
		case 'W':
			width, err = strconv.Atoi(field[1:])
		case 'H':
			height, err = strconv.Atoi(field[1:])
		}
		if err != nil {
			break
		}
	}
	const most = 16384
	if err != nil || width < 1 || height < 1 || width > most || height > most || !strings.HasPrefix(header, "YUV4MPEG2 ") {
		return 0, 0, fmt.Errorf("read the video's header %q: no size in it", header)
	}
	return width, height, nil
}

func judgeFrame(picture *image.Gray, tiles []image.Rectangle) Frame {
	frame := Frame{Arrived: time.Now(), Tiles: make([]TileReading, len(tiles))}
	frame.Mean, frame.Max = survey(picture, picture.Rect)
	for i, tile := range tiles {
		reading := &frame.Tiles[i]
		reading.Index, reading.TimeMS, reading.OK = signal.ReadStrip(picture, tile)
		reading.Lamp = readLamp(picture, tile)
		reading.Mean, _ = survey(picture, tile)
	}
	return frame
}

// timestamps are the PTS of the frames of both streams, in the order of the frames.
type timestamps struct {
	video []time.Duration
	audio []stamp
}

// stamp is the PTS of a run of samples.
type stamp struct {
	pts     time.Duration
	first   int // number of its first sample
	samples int
}

// read reads what ffmpeg's framecrc muxer writes, and calls enough once the given length of media has come.
func (t *timestamps) read(r io.Reader, length time.Duration, enough func()) error {
	in := bufio.NewScanner(r)
	var streams [2]struct {
		video bool
		base  float64 // seconds per unit
		begun bool
		last  time.Duration
		media time.Duration // that has come
	}
	for in.Scan() {
		line := in.Text()
		if header, found := strings.CutPrefix(line, "#"); found {
			key, value, _ := strings.Cut(header, ":")
			var number int
			name, _, _ := strings.Cut(key, " ")
			if n, err := fmt.Sscanf(key[len(name):], "%d", &number); n != 1 || err != nil || number < 0 || number > 1 {
				continue
			}
			switch name {
			case "tb":
				streams[number].base = ratio(strings.TrimSpace(value))
			case "media_type":
				streams[number].video = strings.TrimSpace(value) == "video"
			}
			continue
		}
		number, pts, size, err := frameLine(line)
		if err != nil {
			return err
		}
		s := &streams[number]
		at := time.Duration(float64(pts) * s.base * float64(time.Second))
		if s.video {
			t.video = append(t.video, at)
		} else {
			first := 0
			if n := len(t.audio); n > 0 {
				first = t.audio[n-1].first + t.audio[n-1].samples
			}
			t.audio = append(t.audio, stamp{pts: at, first: first, samples: size / 4})
		}
		const jump = 5 * time.Second // a new timeline rather than a pause
		if step := at - s.last; s.begun && step > 0 && step < jump {
			if s.media += step; s.media >= length {
				enough()
			}
		}
		s.begun, s.last = true, at
	}
	return unlessEnd("read timestamps", in.Err())
}

// frameLine reads "stream, dts, pts, duration, size, checksum".
func frameLine(line string) (stream int, pts int64, size int, err error) {
	fields := strings.Split(line, ",")
	if len(fields) < 6 {
		return 0, 0, 0, fmt.Errorf("read timestamps: %q has no six fields", line)
	}
	stream, streamErr := strconv.Atoi(strings.TrimSpace(fields[0]))
	pts, ptsErr := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
	size, sizeErr := strconv.Atoi(strings.TrimSpace(fields[4]))
	if err := errors.Join(streamErr, ptsErr, sizeErr); err != nil || stream < 0 || stream > 1 || size < 0 {
		return 0, 0, 0, fmt.Errorf("read timestamps: %q: %w", line, errors.Join(err, errors.ErrUnsupported))
	}
	return stream, pts, size, nil
}

func unlessEnd(operation string, err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// join puts the timestamps to what was seen and heard. Frames whose timestamp did not come are left out.
func (c *Capture) join(sound *soundReader, stamps *timestamps) {
	c.Frames = c.Frames[:min(len(c.Frames), len(stamps.video))]
	clock := soundClock(stamps.audio)
	switch {
	case len(c.Frames) > 0 && len(stamps.audio) > 0:
		c.Start = min(stamps.video[0], stamps.audio[0].pts)
	case len(c.Frames) > 0:
		c.Start = stamps.video[0]
	case len(stamps.audio) > 0:
		c.Start = stamps.audio[0].pts
	}
	for i := range c.Frames {
		c.Frames[i].PTS = stamps.video[i] - c.Start
	}
	c.SoundGaps = clock.gaps(c.Start)
	c.Sound, c.Beeps = sound.judge(func(sample float64) time.Duration { return clock.pts(sample) - c.Start })
}
