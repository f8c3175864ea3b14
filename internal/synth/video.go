package synth

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"time"

	"github.com/pion/rtp/codecs"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/synth/signal"
)

const (
	payloadSize = 1200
	// keySpacing keeps a storm of key-frame requests from making every picture a key frame.
	keySpacing = 200 * time.Millisecond
)

// camera draws and encodes at one picture size. The video goroutine owns it.
type camera struct {
	width, height int
	painter       *signal.Painter
	canvas        *av.Canvas
	frame         *image.YCbCr // the canvas's memory
	encoder       *av.H264Encoder
}

func newCamera(p *Publisher, width, height int) (*camera, error) {
	c := &camera{width: width, height: height}
	var err error
	if c.painter, err = signal.NewPainter(p.Index, p.Name, width, height); err != nil {
		return nil, err
	}
	if c.canvas, err = av.NewCanvas(width, height); err != nil {
		return nil, err
	}
	c.encoder, err = av.NewH264Encoder(av.H264Config{
		Width: width, Height: height, FrameRate: p.FrameRate, BitRate: p.BitRate,
		KeyInterval: int(math.Ceil(2 * p.FrameRate)), Preset: p.Preset, Profile: "baseline",
	})
	if err != nil {
		c.canvas.Close()
		return nil, err
	}
	c.frame = &image.YCbCr{Rect: c.canvas.Bounds(), SubsampleRatio: image.YCbCrSubsampleRatio420}
	c.frame.Y, c.frame.YStride = c.canvas.Plane(0)
	c.frame.Cb, c.frame.CStride = c.canvas.Plane(1)
	c.frame.Cr, _ = c.canvas.Plane(2)
	return c, nil
}

func (c *camera) close() {
	c.encoder.Close()
	c.canvas.Close()
}

// sendVideo captures, encodes and sends pictures until ctx ends.
func (s *session) sendVideo(ctx context.Context) error {
	p := s.publisher
	var film *camera
	defer func() {
		if film != nil {
			film.close()
		}
	}()
	var payloader codecs.H264Payloader
	var lastKey time.Time
	for number := pictureAfter(time.Now(), p.FrameRate); ; number++ {
		// A picture that is due since more than a frame is left out, as a camera would do.
		if now := pictureAfter(time.Now(), p.FrameRate) - 1; now > number {
			p.counts.skipped.Add(uint64(now - number))
			number = now
		}
		captured := pictureTime(number, p.FrameRate)
		if err := sleepUntil(ctx, captured); err != nil {
			return err
		}
		faults := p.currentFaults()
		if faults.Silent || faults.PauseVideo {
			continue
		}
		timestamp := s.video.clock.at(captured)
		if faults.Garbage {
			if err := s.video.write(timestamp, true, noise(200+rand.IntN(payloadSize-200))); err != nil {
				return err
			}
			continue
		}
		width, height := cmp.Or(faults.Width, p.Width), cmp.Or(faults.Height, p.Height)
		if film == nil || film.width != width || film.height != height {
			next, err := newCamera(p, width, height)
			if err != nil {
				return fmt.Errorf("film at %dx%d: %w", width, height, err)
			}
			if film != nil {
				film.close()
			}
			film = next
		}
		key := captured.Sub(lastKey) >= keySpacing && s.keyWanted.Swap(false)
		film.painter.Draw(film.frame, captured.Local())
		picture, err := film.encoder.Encode(film.canvas, number, key)
		if err != nil {
			return err
		}
		p.counts.pictures.Add(1)
		if picture.Key {
			p.counts.keyPictures.Add(1)
			lastKey = captured
		}
		payloads := payloader.Payload(payloadSize, picture.Data)
		for i, payload := range payloads {
			if err := s.video.write(timestamp, i == len(payloads)-1, payload); err != nil {
				return err
			}
		}
	}
}

// pictureTime is when picture n since the Unix epoch is captured. Each whole second has a picture when the
// rate is a whole number.
func pictureTime(n int64, rate float64) time.Time {
	if rate == math.Trunc(rate) {
		perSecond := int64(rate)
		return time.Unix(n/perSecond, n%perSecond*int64(time.Second)/perSecond)
	}
	seconds, fraction := math.Modf(float64(n) / rate)
	return time.Unix(int64(seconds), int64(fraction*1e9))
}

// pictureAfter is the number of the first picture after t.
func pictureAfter(t time.Time, rate float64) int64 {
	n := int64((float64(t.Unix()) + float64(t.Nanosecond())/1e9) * rate)
	for !pictureTime(n, rate).After(t) {
		n++
	}
	return n
}

// noise is n random bytes.
func noise(n int) []byte {
	bytes := make([]byte, n)
	_, _ = crand.Read(bytes) // never fails
	return bytes
}
