package composer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/footlight-live/footlight/internal/composer/clock"
	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/wire"
)

const (
	// heartbeatInterval is part of the protocol; see package wire.
	heartbeatInterval = 500 * time.Millisecond
	// stuckAfter is how long a loop may stand still before the composer stops to call itself alive.
	stuckAfter = 2 * time.Second
	// jobTimeout is how long the server may take to say what to do.
	jobTimeout = 10 * time.Second
)

// ErrServerGone is the end of a composer whose server closed the socket or broke off in mid-sentence.
var ErrServerGone = errors.New("the server is gone")

// Composer runs one composition. Run's goroutine owns the roster and the inputs' lives.
type Composer struct {
	Conn *wire.Conn // to the server
	Log  *slog.Logger

	job    wire.Job
	layout layout.Config // of the job; a scene may have another
	clock  *clock.Clock
	whep   whep
	meters meters
	usage  usage

	inputs   map[string]*running // of the publishing participants
	leaving  sync.WaitGroup      // of inputs that end
	cast     atomic.Pointer[cast]
	canvases []*canvas
	sound    sound
	outputs  []*output
	live     *webcast        // nil unless the job asks for it
	scenes   chan wire.Scene // to the dresser: the newest one only
}

// running is an input and what ends it.
type running struct {
	*input
	end context.CancelFunc
}

// Run takes the job from the socket and composes until the server says Stop or ctx ends (both end gracefully),
// the socket closes, or a part fails.
func (c *Composer) Run(ctx context.Context) error {
	messages := make(chan wire.Message)
	broken := make(chan error, 1)
	reading, stopReading := context.WithCancel(context.Background())
	defer stopReading()
	go func() {
		for {
			m, err := c.Conn.Receive()
			if err != nil {
				broken <- err
				return
			}
			select {
			case messages <- m:
			case <-reading.Done():
				return
			}
		}
	}()
	select {
	case m := <-messages:
		if m.Job == nil {
			return errors.New("run composer: the first message is no job")
		}
		c.job = *m.Job
	case err := <-broken:
		return gone(err)
	case <-time.After(jobTimeout):
		return errors.New("run composer: no job came")
	case <-ctx.Done():
		return nil
	}
	if err := c.prepare(); err != nil {
		return fmt.Errorf("run composer: %w", err)
	}
	reason, err := c.compose(ctx, messages, broken)
	if errors.Is(err, ErrServerGone) {
		return err
	}
	last := wire.Stopped{Reason: reason}
	if err != nil {
		last.Error = err.Error()
	}
	// The server may have gone in the meantime: there is nobody else to tell.
	_ = c.Conn.Send(wire.Message{Stopped: &last})
	return err
}

func gone(err error) error {
	if errors.Is(err, io.EOF) {
		return ErrServerGone
	}
	return fmt.Errorf("%w: %w", ErrServerGone, err)
}

// prepare makes everything that can fail before anything runs.
func (c *Composer) prepare() error {
	var err error
	if c.layout, err = layout.ParseConfig(c.job.Layout); err != nil {
		return err
	}
	if len(c.job.Outputs) == 0 {
		return errors.New("the job has no output")
	}
	api, err := newAPI()
	if err != nil {
		return err
	}
	c.whep = whep{api: api, http: &http.Client{}, bearer: c.job.Token}
	c.clock = clock.New()
	c.inputs = map[string]*running{}
	c.cast.Store(&cast{})
	for _, j := range c.job.Outputs {
		o := &output{job: j, clock: c.clock, meters: &c.meters, report: c.report, log: c.Log.With("destination", j.DestinationID), queue: make(chan *packet, outputQueue)}
		c.outputs = append(c.outputs, o)
		cv := c.canvasFor(formatOf(j))
		cv.outputs = append(cv.outputs, o)
	}
	c.sound = sound{clock: c.clock, cast: &c.cast, outputs: c.outputs, meters: &c.meters}
	if err := c.sound.open(); err != nil {
		return err
	}
	for _, cv := range c.canvases {
		cv.shared = len(c.canvases) > 1
		if err := cv.open(); err != nil {
			return err
		}
		h := headers{sps: cv.encoder.SPS(), pps: cv.encoder.PPS(), audio: c.sound.config}
		for _, o := range cv.outputs {
			o.header = h
		}
	}
	if c.job.Live {
		cv := c.canvases[0]
		if c.live, err = newWebcast(c.job.WHIPURL, c.job.Token, cv.encoder.SPS(), cv.encoder.PPS(), c.clock, c.Log); err != nil {
			return err
		}
		cv.live, c.sound.live = c.live, c.live
	}
	if err := c.dress(c.job.Scene); err != nil {
		c.Log.Error("the composition begins without its scene", "reason", err)
	}
	return nil
}

func (c *Composer) canvasFor(f format) *canvas {
	for _, cv := range c.canvases {
		if cv.format == f {
			return cv
		}
	}
	cv := &canvas{format: f, clock: c.clock, cast: &c.cast, meters: &c.meters, log: c.Log}
	cv.look.Store(&look{layout: c.layout})
	c.canvases = append(c.canvases, cv)
	return cv
}

// report tells the server about a destination.
func (c *Composer) report(d wire.Destination) {
	if err := c.Conn.Send(wire.Message{Destination: &d}); err != nil {
		c.Log.Warn("server does not listen", "reason", err)
	}
}

// compose runs all parts. It returns why it stopped, and an error unless that was graceful.
func (c *Composer) compose(ctx context.Context, messages <-chan wire.Message, broken <-chan error) (reason string, err error) {
	// Three scopes: the media loops end first, then the outputs flush, and abort cuts everything.
	abort, cut := context.WithCancel(context.Background())
	defer cut()
	media, endMedia := context.WithCancel(abort)
	subscribing, unsubscribe := context.WithCancel(abort)
	stop := make(chan struct{})

	c.scenes = make(chan wire.Scene, 1)
	snapshots := make(chan []member)
	r := &roster{url: c.job.EventsURL, token: c.job.Token, log: c.Log, update: func(ctx context.Context, ms []member) {
		select {
		case snapshots <- ms:
		case <-ctx.Done():
		}
	}}
	failed := make(chan error, len(c.canvases)+1)
	allDone := make(chan struct{})
	var loops, senders, following sync.WaitGroup
	following.Go(func() { r.run(subscribing) })
	for _, cv := range c.canvases {
		loops.Go(func() { failed <- cv.run(media) })
	}
	loops.Go(func() { failed <- c.sound.run(media) })
	loops.Go(func() { c.dresser(media) })
	for _, o := range c.outputs {
		senders.Go(func() { o.run(abort, stop) })
	}
	go func() { senders.Wait(); close(allDone) }()
	if c.live != nil {
		following.Go(func() { c.live.run(subscribing) })
	}

	reason, err = c.serve(ctx, messages, broken, snapshots, failed, allDone, subscribing)

	if errors.Is(err, ErrServerGone) {
		// Without goodbye: the channel keeps the stream open for the composer that takes over.
		cut()
	}
	endMedia()
	loops.Wait()
	close(stop)
	unsubscribe()
	for _, in := range c.inputs {
		in.end()
	}
	<-allDone
	cut()
	following.Wait()
	c.leaving.Wait()
	return reason, err
}

// serve is the composer's main loop.
func (c *Composer) serve(ctx context.Context, messages <-chan wire.Message, broken <-chan error, snapshots <-chan []member,
	failed <-chan error, allDone <-chan struct{}, subscribing context.Context) (reason string, err error) {
	beat := time.NewTicker(heartbeatInterval)
	defer beat.Stop()
	ready := false
	for {
		select {
		case m := <-messages:
			if m.Stop != nil {
				return m.Stop.Reason, nil
			}
			if m.Scene != nil {
				c.change(*m.Scene)
			}
		case err := <-broken:
			return "", gone(err)
		case <-ctx.Done():
			return "signal", nil
		case err := <-failed:
			return "", err
		case <-allDone:
			return "all destinations have ended", nil
		case ms := <-snapshots:
			c.follow(subscribing, ms)
			if !ready {
				ready = true
				if err := c.Conn.Send(wire.Message{Ready: &wire.Ready{PID: os.Getpid()}}); err != nil {
					return "", gone(err)
				}
			}
		case <-beat.C:
			if !c.alive() {
				continue
			}
			c.resize()
			if err := c.Conn.Send(wire.Message{Heartbeat: c.heartbeat()}); err != nil {
				return "", gone(err)
			}
		}
	}
}

// alive tells whether all loops tick.
func (c *Composer) alive() bool {
	ok := behind(c.clock, &c.sound.ticked) < stuckAfter
	for _, cv := range c.canvases {
		ok = ok && behind(c.clock, &cv.ticked) < stuckAfter
	}
	if !ok {
		c.Log.Error("a media loop stands still")
	}
	return ok
}
