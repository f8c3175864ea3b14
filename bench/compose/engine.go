package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/audio"
	"github.com/footlight-live/footlight/internal/composer/video"
)

// Task is what a process of our engine does.
type Task struct {
	Job
	Files   []string // the inputs
	Encoder string
	Preset  string
	Prefix  string        // of the outputs
	Paced   bool          // keep to the clock, as a live composition does
	Wait    time.Duration // before the start, up to stagger: compositions do not begin all at once
}

// Stages is what a run took, in CPU seconds of the engine's thread.
type Stages struct {
	Decode, Draw, Encode, Audio float64
	Total                       float64 // of all threads, without what it takes to start
	Ticks, Late                 int     // when paced, while all run: pictures, and those not ready one tick after their time
}

// composition is our engine without network: the parts of the composer process, driven as fast as they go or by
// a clock.
type composition struct {
	Task
	people  []*participant
	tiles   []video.Tile
	mixer   *video.Mixer
	encoder *av.H264Encoder
	effort  video.Effort
	sound   audio.Mixer
	aac     *av.AACEncoder
	stages  Stages

	h264, adts *os.File
}

// compose makes the whole output and says on standard output what the stages took. The caller has locked its
// thread.
func compose(task Task) error {
	c := composition{Task: task}
	var err error
	if c.mixer, err = video.New(video.Config{Width: c.Width, Height: c.Height}); err != nil {
		return err
	}
	defer c.mixer.Close()
	c.encoder, err = av.NewH264Encoder(av.H264Config{
		Width: c.Width, Height: c.Height, FrameRate: float64(c.FrameRate), BitRate: c.BitRate,
		KeyInterval: c.KeyInterval, Encoder: c.Encoder, Preset: c.Preset,
	})
	if err != nil {
		return err
	}
	defer c.encoder.Close()
	if c.aac, err = av.NewAACEncoder(c.AudioBitRate); err != nil {
		return err
	}
	defer c.aac.Close()
	if c.h264, err = os.Create(c.Prefix + ".h264"); err != nil {
		return err
	}
	defer c.h264.Close()
	if c.adts, err = os.Create(c.Prefix + ".aac"); err != nil {
		return err
	}
	defer c.adts.Close()
	for i, tile := range c.Job.tiles() {
		p, err := openParticipant(c.Files[i])
		if err != nil {
			return fmt.Errorf("read %s: %w", c.Files[i], err)
		}
		defer p.close()
		c.people = append(c.people, p)
		c.tiles = append(c.tiles, video.Tile{Rect: tile.Rect, Fill: tile.Fill})
	}
	if err := c.run(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(c.stages)
}

func (c *composition) run() error {
	time.Sleep(c.Wait)
	before := processTime()
	defer func() { c.stages.Total = processTime() - before }()
	start, tick := time.Now(), time.Second/time.Duration(c.FrameRate)
	for n := range c.Seconds * c.FrameRate {
		at := time.Duration(n) * time.Second / time.Duration(c.FrameRate)
		if c.Paced {
			time.Sleep(at - time.Since(start))
		}
		began := time.Now()
		if err := c.picture(n, at); err != nil {
			return err
		}
		took := time.Since(began)
		if !c.Paced {
			took = 0 // nothing is late
		}
		c.encoder.Hurry(c.effort.Note(took, tick, c.mixer.Reduced()))
		if since := c.Wait + at; c.Paced && since >= stagger && since < time.Duration(c.Seconds)*time.Second {
			c.stages.Ticks++
			if time.Since(start) > at+tick {
				c.stages.Late++
			}
		}
		if err := timed(&c.stages.Audio, func() error { return c.audio(at + tick) }); err != nil {
			return err
		}
	}
	return nil
}

// timed adds the thread's CPU time of f to a stage.
func timed(stage *float64, f func() error) error {
	before := threadTime()
	err := f()
	*stage += threadTime() - before
	return err
}

func threadTime() float64  { return cpuClock(unix.CLOCK_THREAD_CPUTIME_ID) }
func processTime() float64 { return cpuClock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// cpuClock is in seconds, 0 where there is no such clock.
func cpuClock(id int32) float64 {
	var t unix.Timespec
	if unix.ClockGettime(id, &t) != nil {
		return 0
	}
	return float64(t.Nano()) / 1e9
}

// picture makes output picture n from the newest picture of each participant.
func (c *composition) picture(n int, now time.Duration) error {
	err := timed(&c.stages.Decode, func() error {
		for i, p := range c.people {
			if err := p.decodeUntil(now); err != nil {
				return err
			}
			c.tiles[i].Picture = p.picture
		}
		return nil
	})
	if err != nil {
		return err
	}
	var canvas *av.Canvas
	_ = timed(&c.stages.Draw, func() error { canvas = c.mixer.Compose(c.tiles); return nil })
	return timed(&c.stages.Encode, func() error {
		coded, err := c.encoder.Encode(canvas, int64(n), false)
		if err != nil {
			return err
		}
		_, err = c.h264.Write(coded.Data)
		return err
	})
}

// audio makes all AAC frames whose sound lies before now.
func (c *composition) audio(now time.Duration) error {
	var pcm [2 * audio.Block]float32
	timelines := make([]*audio.Timeline, len(c.people))
	for i, p := range c.people {
		p.hearUntil(now)
		timelines[i] = &p.timeline
	}
	for samples(c.sound.Reads()) <= now {
		c.sound.Mix(pcm[:], timelines)
		frame, err := c.aac.Encode(pcm[:])
		if err != nil {
			return err
		}
		if frame == nil {
			continue
		}
		if _, err := c.adts.Write(adtsHeader(len(frame))); err != nil {
			return err
		}
		if _, err := c.adts.Write(frame); err != nil {
			return err
		}
	}
	return nil
}

func samples(n int64) time.Duration { return time.Duration(n) * time.Second / audio.Rate }

// adtsHeader is the header of one AAC-LC frame, 48 kHz stereo (ISO/IEC 13818-7 section 6.2).
func adtsHeader(payload int) []byte {
	n := payload + 7
	return []byte{0xff, 0xf1, 0x4c, 0x80 | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1f, 0xfc}
}
