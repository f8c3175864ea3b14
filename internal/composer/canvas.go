package composer

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/clock"
	"github.com/footlight-live/footlight/internal/composer/video"
	"github.com/footlight-live/footlight/internal/composer/wire"
)

const (
	// keyEvery is the length of a closed group of pictures, so that segments of two seconds are possible.
	keyEvery = 2 * time.Second
	// openingEvery is that length during the first keyEvery of a stream. The packager makes each of its parts of
	// 200 ms a segment of its own there, so that players can begin at once, and some players, hls.js among them,
	// need a key frame at the start of every segment.
	openingEvery = 200 * time.Millisecond
	// arriving is how long a participant that has just come may be without picture before it gets a
	// placeholder: most have one sooner, and nobody wants to see the placeholder flash up.
	arriving = 400 * time.Millisecond
	// maxLag is how far pictures may be behind their time before some are left out. Up to there they are
	// made late but all.
	maxLag = 300 * time.Millisecond
	// strained is how long after the last picture left out the machine counts as too slow.
	strained = 3 * time.Second
	// standstill is how far behind nothing is worth catching up: the process stood still.
	standstill = time.Second
	// maxSlop is how far from its time a picture may be shown to keep an even cadence; see pictures.at.
	maxSlop = 4 * time.Millisecond
)

// format is what makes two destinations share one canvas and one encode.
type format struct {
	width, height int
	frameRate     float64
	bitRate       int
}

func formatOf(j wire.OutputJob) format { return format{j.Width, j.Height, j.FrameRate, j.BitRate} }

// canvas composes and encodes one picture per tick of a constant frame rate, for all outputs of one format.
// Picture n has timestamp n/rate, whenever it is made. Its goroutine is run.
type canvas struct {
	format
	clock   *clock.Clock
	cast    *atomic.Pointer[cast]
	look    atomic.Pointer[look] // never nil
	outputs []*output
	live    *webcast // takes the same pictures; nil for none
	shared  bool     // other canvases look at the same pictures
	meters  *meters
	log     *slog.Logger

	mixer   *video.Mixer
	encoder *av.H264Encoder
	cost    time.Duration // of a picture, smoothed
	behind  bool          // pictures are left out until they are in time again
	effort  video.Effort
	worn    *look              // what the mixer has
	shown   map[*session]int64 // PTS of the picture shown last
	dark    darkness
	keyed   int64 // the newest picture that began a group

	frames, late, missed atomic.Uint64
	ticked               atomic.Int64 // composer time of the latest tick
	calm                 atomic.Int64 // until that composer time the machine counts as too slow
	tiles                atomic.Pointer[[]placed]
}

// open makes mixer and encoder; run closes them.
func (c *canvas) open() error {
	encoder, err := av.NewH264Encoder(encodingFor(c.format))
	if err != nil {
		return err
	}
	mixer, err := video.New(video.Config{Width: c.width, Height: c.height})
	if err != nil {
		encoder.Close()
		return err
	}
	c.encoder, c.mixer, c.shown = encoder, mixer, map[*session]int64{}
	c.tiles.Store(&[]placed{})
	return nil
}

// openingInterval is a whole number of pictures, not longer than openingEvery, as the packager's parts are.
func (c *canvas) openingInterval() int64 {
	return max(1, int64(c.frameRate*openingEvery.Seconds()+1e-6))
}

// at is the time of picture n. It is computed from n, so nothing adds up.
func (c *canvas) at(n int64) time.Duration {
	return time.Duration(float64(n) / c.frameRate * float64(time.Second))
}

// ahead is how far beyond its time a picture looks. It stands for the time until the next one: looking at its middle
// keeps sound and picture together to within half a tick either way. Below 12.5 pictures a second that is further than any
// is decoded, or need have come: there pictures end up to a tick less decodeAhead behind the sound.
func (c *canvas) ahead() time.Duration {
	return min(time.Duration(float64(time.Second)/c.frameRate/2), decodeAhead)
}

// run makes pictures until ctx ends.
func (c *canvas) run(ctx context.Context) error {
	defer c.encoder.Close()
	defer c.mixer.Close()
	return c.pace(ctx, c.picture)
}

// pace calls picture for each picture at its time, as far as any output wants it, until ctx ends or picture fails.
func (c *canvas) pace(ctx context.Context, picture func(n int64, key bool) error) error {
	n := int64(math.Ceil(c.clock.Now().Seconds() * c.frameRate))
	nextKey := n
	opened := n // where the opening of the stream ends
	for sleep(ctx, c.clock.Until(c.at(n))) {
		began := c.clock.Now()
		c.ticked.Store(int64(began))
		used, begins := c.wanted()
		if used {
			if begins {
				opened = n + int64(c.keyInterval())
			}
			key := begins || n >= nextKey
			if key {
				nextKey = n + int64(c.keyInterval())
				if n < opened {
					nextKey = n + c.openingInterval()
				}
			}
			if err := picture(n, key); err != nil {
				return err
			}
			c.frames.Add(1)
		}
		n++
		if !used {
			continue
		}
		now := c.clock.Now()
		skip := c.giveWay(now, now-began, now-c.at(n))
		c.missed.Add(uint64(skip))
		n += skip
	}
	return nil
}

// giveWay is how many pictures to leave out after one that took so long and was ready so far behind the time of the
// next. None as long as the machine can catch up by itself. Once it is too far behind for that, as many as the
// picture took the time of, until nothing is late; and on a machine that turned out too slow on average that goes on
// with every late picture. So the cadence is even, also while it catches up.
func (c *canvas) giveWay(now, took, lag time.Duration) int64 {
	c.cost += (took - c.cost) / 16
	if lag <= 0 {
		c.behind = false
		return 0
	}
	c.late.Add(1)
	c.behind = c.behind || lag > maxLag
	tooSlow := c.overloaded() && c.cost.Seconds()*c.frameRate > 1
	if !c.behind && !tooSlow {
		return 0
	}
	c.calm.Store(int64(now + strained))
	present := int64(math.Ceil(lag.Seconds() * c.frameRate))
	if lag > standstill {
		return present
	}
	return min(max(1, int64(took.Seconds()*c.frameRate)), present)
}

// wanted tells whether any output takes frames, and whether a key frame is due at once: for the first
// output. One that joins while others are served waits for their next key frame, so that their segments
// keep their length.
func (c *canvas) wanted() (used, key bool) {
	fed := false
	used = c.live.wants()
	for _, o := range c.outputs {
		frames, onlyKey := o.wants()
		used = used || frames
		key = key || onlyKey
		fed = fed || frames && !onlyKey
	}
	return used, key && !fed
}

// overloaded tells whether pictures are left out because the machine is too slow.
func (c *canvas) overloaded() bool { return c.clock.Now() < time.Duration(c.calm.Load()) }

// picture composes, encodes and offers picture n.
func (c *canvas) picture(n int64, key bool) error {
	// Who watches live waits for a key frame no longer than necessary. Late in a group the next one is near, and one
	// more would change the lengths of a channel's segments.
	if !key && 2*(n-c.keyed) < int64(c.keyInterval()) && c.live.asksKey() {
		key = true
	} else if key {
		c.keyed = n
		c.live.asksKey() // this one serves
	}
	began := c.clock.Now()
	s := c.see(c.at(n) + c.ahead())
	drawn := c.mixer.Compose(s.tiles)
	c.dark.look(began, drawn, s.tiles)
	s.release()
	composed := c.clock.Now()
	coded, err := c.encoder.Encode(drawn, n, key)
	if err != nil {
		return fmt.Errorf("encode picture %d: %w", n, err)
	}
	data, err := h264.AVCC(coded.NALUs).Marshal()
	if err != nil {
		return fmt.Errorf("encode picture %d: %w", n, err)
	}
	now := c.clock.Now()
	c.encoder.Hurry(c.effort.Note(now-began, c.at(n+1)-c.at(n), c.mixer.Reduced()))
	p := &packet{video: true, key: coded.Key, pts: c.at(n), data: data, made: now}
	for _, o := range c.outputs {
		o.offer(p)
	}
	c.live.offer(p)
	c.meters.draw.add(now, composed-began)
	c.meters.encode.add(now, now-composed)
	for _, complete := range s.fresh {
		c.meters.latency.add(now, now-complete)
	}
	return nil
}
