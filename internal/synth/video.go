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

// painter draws what a publisher shows at a time.
type painter interface {
	Draw(dst *image.YCbCr, t time.Time)
}

func (p *Publisher) newPainter(width, height int) (painter, error) {
	switch p.Content {
	case Camera:
		return signal.NewPainter(p.Index, p.Name, width, height)
	case Screen:
		return signal.NewPage(p.Index, width, height)
	}
	return nil, fmt.Errorf("there is no content %q", p.Content)
}

// black draws nothing but black: what browsers send of a camera that is muted.
type black struct{}

func (black) Draw(dst *image.YCbCr, _ time.Time) {
	for plane, value := range map[*[]uint8]uint8{&dst.Y: 16, &dst.Cb: 128, &dst.Cr: 128} {
		for i := range *plane {
			(*plane)[i] = value
		}
	}
}

// camera draws and encodes at one picture size for one outlet. The video goroutine owns it.
type camera struct {
	outlet        *outlet
	width, height int
	painter       painter
	canvas        *av.Canvas
	frame         *image.YCbCr // the canvas's memory
	encoder       *av.H264Encoder
	payloader     codecs.H264Payloader
	lastKey       time.Time
}

// newCamera prepares pictures for the nth layer (0 is the largest) of a publisher whose largest one has the given size.
func newCamera(p *Publisher, o *outlet, layer, width, height int) (*camera, error) {
	bitRate := p.BitRate
	for range layer {
		width, height, bitRate = width/4*2, height/4*2, bitRate/3
	}
	c := &camera{outlet: o, width: width, height: height}
	var err error
	if c.painter, err = p.newPainter(width, height); err != nil {
		return nil, err
	}
	if c.canvas, err = av.NewCanvas(width, height); err != nil {
		return nil, err
	}
	c.encoder, err = av.NewH264Encoder(av.H264Config{
		Width: width, Height: height, FrameRate: p.FrameRate, BitRate: bitRate,
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

// film is the cameras of all layers at one size.
type film struct {
	width, height int
	cameras       []*camera
}

func (f *film) close() {
	for _, c := range f.cameras {
		c.close()
	}
	f.cameras = nil
}

// newFilm has a camera for each outlet, but for layers that would be too small to be read.
func newFilm(p *Publisher, outlets []*outlet, width, height int) (*film, error) {
	f := &film{width: width, height: height}
	for i, o := range outlets {
		if i > 0 && (width>>i < signal.MinWidth || height>>i < signal.MinHeight) {
			break
		}
		c, err := newCamera(p, o, i, width, height)
		if err != nil {
			f.close()
			return nil, fmt.Errorf("film at %dx%d: %w", width, height, err)
		}
		f.cameras = append(f.cameras, c)
	}
	return f, nil
}

// sendVideo captures, encodes and sends pictures until ctx ends.
func (s *session) sendVideo(ctx context.Context) error {
	p := s.publisher
	f := &film{}
	defer func() { f.close() }()
	for number := pictureAfter(p.now(), p.FrameRate); ; number++ {
		// A picture that is due since more than a frame is left out, as a camera would do.
		if now := pictureAfter(p.now(), p.FrameRate) - 1; now > number {
			p.counts.skipped.Add(uint64(now - number))
			number = now
		}
		captured := pictureTime(number, p.FrameRate)
		if err := p.sleepUntil(ctx, captured); err != nil {
			return err
		}
		faults := p.currentFaults()
		if faults.Silent || faults.PauseVideo {
			continue
		}
		if faults.Garbage {
			for _, o := range s.video {
				if err := o.write(o.clock.at(captured), true, noise(200+rand.IntN(payloadSize-200))); err != nil {
					return err
				}
			}
			continue
		}
		width, height := cmp.Or(faults.Width, p.Width), cmp.Or(faults.Height, p.Height)
		if f.width != width || f.height != height {
			next, err := newFilm(p, s.video, width, height)
			if err != nil {
				return err
			}
			f.close()
			f = next
		}
		for _, c := range f.cameras {
			if faults.pauses(c.outlet.rid) {
				c.outlet.keyWanted.Store(true) // it comes back with one
				continue
			}
			if err := c.send(p, number, captured); err != nil {
				return err
			}
		}
	}
}

// send draws, encodes and sends one picture of one layer.
func (c *camera) send(p *Publisher, number int64, captured time.Time) error {
	key := captured.Sub(c.lastKey) >= keySpacing && c.outlet.keyWanted.Swap(false)
	if p.currentMuted().Video {
		black{}.Draw(c.frame, captured)
	} else {
		c.painter.Draw(c.frame, captured.Local())
	}
	picture, err := c.encoder.Encode(c.canvas, number, key)
	if err != nil {
		return err
	}
	p.counts.pictures.Add(1)
	if picture.Key {
		p.counts.keyPictures.Add(1)
		c.lastKey = captured
	}
	payloads := c.payloader.Payload(payloadSize, picture.Data)
	for i, payload := range payloads {
		if err := c.outlet.write(c.outlet.clock.at(captured), i == len(payloads)-1, payload); err != nil {
			return err
		}
	}
	return nil
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
