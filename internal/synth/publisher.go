package synth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// State is where a publisher is in its life.
type State string

// The states of a publisher. Failed and Closed are final.
const (
	Idle         State = "idle"
	Connecting   State = "connecting"
	Live         State = "live"
	Reconnecting State = "reconnecting"
	Failed       State = "failed"
	Closed       State = "closed"
)

// Publisher is one synthetic participant. Set its exported fields, then Start it; they must not change
// after that. A goroutine of its own, begun by Start, owns the connection and the state.
type Publisher struct {
	WHIPURL   string  `json:"whipUrl"`
	Token     string  `json:"token"` // a secret
	Name      string  `json:"name"`
	Index     int     `json:"index"`                 // 0 to signal.MaxIndex; decides hue, tone and beep
	Width     int     `json:"width,omitzero"`        // pixels, even; 640 by default
	Height    int     `json:"height,omitzero"`       // pixels, even; 360 by default
	FrameRate float64 `json:"frameRate,omitzero"`    // pictures per second; 30 by default
	BitRate   int     `json:"bitRate,omitzero"`      // of the video, bits per second; 1 Mb/s by default
	Audio     int     `json:"audioBitRate,omitzero"` // bits per second; 64 kb/s by default
	Preset    string  `json:"preset,omitzero"`       // of x264; ultrafast by default
	AudioOnly bool    `json:"audioOnly,omitzero"`    // offers video, which stages demand, but sends none
	VideoOnly bool    `json:"videoOnly,omitzero"`    // offers no audio
	Layers    int     `json:"layers,omitzero"`       // of simulcast: 2 or 3, each half as large as the one before; 1 by default, without simulcast
	Content   Content `json:"content,omitzero"`      // of the picture; Camera by default
	Muted     Muted   `json:"muted,omitzero"`        // at the start

	HTTPClient *http.Client                     `json:"-"` // http.DefaultClient's transport by default
	OnState    func(state State, reason string) `json:"-"` // called in order; must not block
	Log        *slog.Logger                     `json:"-"`

	state        State
	faults       atomic.Pointer[Faults]
	muted        atomic.Pointer[Muted]
	mutedChanged chan struct{}
	clock        timepiece
	counts       counters
	cancel       context.CancelFunc
	done         chan struct{}
	err          error
}

// Content is what a publisher's picture shows, besides the strip and the lamp.
type Content string

// The contents.
const (
	Camera Content = "camera" // a name, a clock, and a ball that swings
	Screen Content = "screen" // a page of text, which stands still and scrolls by turns
)

// layerNames are the rids of simulcast layers, from the largest to the smallest.
var layerNames = []string{"hi", "mid", "low"}

// rids are the publisher's simulcast layers, nil without simulcast.
func (p *Publisher) rids() []string {
	if p.Layers == 1 {
		return nil
	}
	return layerNames[:p.Layers]
}

// counters are what a publisher has sent so far, over all its connections.
type counters struct {
	connections, pictures, keyPictures, skipped, keyRequests, packets atomic.Uint64
}

// Stats is a snapshot of what a publisher has sent so far, over all its connections.
type Stats struct {
	Connections uint64 // that went live
	Pictures    uint64 // encoded
	KeyPictures uint64 // among them
	Skipped     uint64 // pictures left out because the machine was too slow
	KeyRequests uint64 // PLI and FIR received
	Packets     uint64 // RTP packets handed to the transport
}

// Stats may be called at any time.
func (p *Publisher) Stats() Stats {
	return Stats{
		p.counts.connections.Load(), p.counts.pictures.Load(), p.counts.keyPictures.Load(),
		p.counts.skipped.Load(), p.counts.keyRequests.Load(), p.counts.packets.Load(),
	}
}

// SetFaults makes the publisher do something wrong from now on; Faults{} puts it right. It may be called at
// any time, also before Start.
func (p *Publisher) SetFaults(faults Faults) { p.faults.Store(&faults) }

func (p *Publisher) currentFaults() Faults {
	if faults := p.faults.Load(); faults != nil {
		return *faults
	}
	return Faults{}
}

// Start begins to publish and returns at once; an error means that a field is wrong and nothing was begun.
// The publisher ends with ctx, with Close, or when it is refused for good.
func (p *Publisher) Start(ctx context.Context) error {
	p.Width, p.Height = cmp.Or(p.Width, 640), cmp.Or(p.Height, 360)
	p.FrameRate = cmp.Or(p.FrameRate, 30)
	p.BitRate, p.Audio = cmp.Or(p.BitRate, 1_000_000), cmp.Or(p.Audio, 64_000)
	p.Preset = cmp.Or(p.Preset, "ultrafast")
	p.Layers, p.Content = cmp.Or(p.Layers, 1), cmp.Or(p.Content, Camera)
	p.Log = cmp.Or(p.Log, slog.Default()).With("component", "synth", "participant", p.Name)
	if p.AudioOnly && p.VideoOnly {
		return fmt.Errorf("start publisher %q: audio only and video only exclude each other", p.Name)
	}
	if p.FrameRate < 1 || p.FrameRate > 60 {
		return fmt.Errorf("start publisher %q: frame rate %v is not within 1 to 60", p.Name, p.FrameRate)
	}
	if p.Layers < 1 || p.Layers > len(layerNames) {
		return fmt.Errorf("start publisher %q: %d simulcast layers are not within 1 to %d", p.Name, p.Layers, len(layerNames))
	}
	if _, err := p.newPainter(p.Width, p.Height); err != nil {
		return fmt.Errorf("start publisher %q: %w", p.Name, err)
	}
	ctx, p.cancel = context.WithCancel(ctx)
	p.done = make(chan struct{})
	p.mutedChanged = make(chan struct{}, 1)
	p.state = Idle
	go func() {
		defer close(p.done)
		var presence sync.WaitGroup
		presence.Go(func() { p.present(ctx) })
		defer presence.Wait()
		defer p.cancel()
		p.err = p.run(ctx)
	}()
	return nil
}

// Close says goodbye to the server and returns when all is released. It does nothing before Start.
func (p *Publisher) Close() error {
	if p.done == nil {
		return nil
	}
	p.cancel()
	return p.Wait()
}

// Wait returns when the publisher has ended: nil after Close or the end of Start's context, else the reason
// why the server refused it for good. It must not be called before Start.
func (p *Publisher) Wait() error {
	<-p.done
	return p.err
}

const (
	firstPause   = 250 * time.Millisecond
	longestPause = 4 * time.Second
)

func (p *Publisher) run(ctx context.Context) error {
	pause := firstPause
	for {
		if p.state != Reconnecting {
			p.transition(Connecting, "")
		}
		err := p.publishOnce(ctx, func() { pause = firstPause })
		var refused *refusal
		switch {
		case ctx.Err() != nil:
			p.transition(Closed, "asked to")
			return nil
		case errors.As(err, &refused) && refused.final():
			p.transition(Failed, err.Error())
			return fmt.Errorf("publish %q: %w", p.Name, err)
		}
		p.transition(Reconnecting, err.Error())
		timer := time.NewTimer(pause + rand.N(pause/4))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, longestPause)
	}
}

// publishOnce connects and sends until the connection breaks or ctx ends. It calls live once connected.
func (p *Publisher) publishOnce(ctx context.Context, live func()) error {
	s, err := p.connect(ctx)
	if err != nil {
		return err
	}
	live()
	p.counts.connections.Add(1)
	p.transition(Live, "")
	err = s.send(ctx)
	s.close(ctx.Err() != nil)
	return err
}

// transition is the only place where the state changes.
func (p *Publisher) transition(to State, reason string) {
	if p.state == to && reason == "" {
		return
	}
	p.Log.Info("publisher state", "from", p.state, "to", to, "reason", reason)
	p.state = to
	if p.OnState != nil {
		p.OnState(to, reason)
	}
}
