package main

import (
	"fmt"
	"os"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/audio"
	"github.com/footlight-live/footlight/internal/composer/video"
)

// composition is our engine without network and clock: the parts of the composer process, driven as fast as
// they go.
type composition struct {
	job     Job
	people  []*participant
	tiles   []video.Tile
	mixer   *video.Mixer
	encoder *av.H264Encoder
	sound   audio.Mixer
	aac     *av.AACEncoder

	h264, adts *os.File
}

// compose makes the whole output of the job in files that begin with prefix.
func compose(j Job, prefix string) error {
	c := composition{job: j}
	var err error
	if c.mixer, err = video.New(video.Config{Width: j.Width, Height: j.Height}); err != nil {
		return err
	}
	defer c.mixer.Close()
	c.encoder, err = av.NewH264Encoder(av.H264Config{
		Width: j.Width, Height: j.Height, FrameRate: float64(j.FrameRate), BitRate: j.BitRate,
		KeyInterval: j.KeyInterval, Preset: j.Preset,
	})
	if err != nil {
		return err
	}
	defer c.encoder.Close()
	if c.aac, err = av.NewAACEncoder(j.AudioBitRate); err != nil {
		return err
	}
	defer c.aac.Close()
	if c.h264, err = os.Create(prefix + ".h264"); err != nil {
		return err
	}
	defer c.h264.Close()
	if c.adts, err = os.Create(prefix + ".aac"); err != nil {
		return err
	}
	defer c.adts.Close()
	for i, tile := range j.tiles() {
		p, err := openParticipant(j.inputs[i])
		if err != nil {
			return fmt.Errorf("read %s: %w", j.inputs[i], err)
		}
		defer p.close()
		c.people = append(c.people, p)
		c.tiles = append(c.tiles, video.Tile{Rect: tile.Rect, Fill: tile.Fill})
	}
	for n := range j.Seconds * j.FrameRate {
		if err := c.picture(n); err != nil {
			return err
		}
		if err := c.audio(time.Duration(n+1) * time.Second / time.Duration(j.FrameRate)); err != nil {
			return err
		}
	}
	return nil
}

// picture makes output picture n from the newest picture of each participant.
func (c *composition) picture(n int) error {
	now := time.Duration(n) * time.Second / time.Duration(c.job.FrameRate)
	for i, p := range c.people {
		if err := p.decodeUntil(now); err != nil {
			return err
		}
		c.tiles[i].Picture = p.picture
	}
	coded, err := c.encoder.Encode(c.mixer.Compose(c.tiles), int64(n), false)
	if err != nil {
		return err
	}
	_, err = c.h264.Write(coded.Data)
	return err
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
