package stage

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// stalled is the silence after which a layer counts as paused: browsers pause layers when bandwidth or
	// processor time are short.
	stalled = 3 * time.Second
	// reviewInterval is how often the layers of a publisher are looked at.
	reviewInterval = 500 * time.Millisecond
)

// track is one kind of media of one publisher: its simulcast layers, or the one stream that there is without
// simulcast, and the sinks of all who receive it. A goroutine (run) decides which layer each sink gets; subscribers
// attach and detach. Media does not pass through it.
type track struct {
	all atomic.Pointer[[]*source] // the layers, one at least; more may be added

	review chan struct{} // something changed that may decide for other layers

	mu     sync.Mutex // taken before a source's
	sinks  []*sink
	closed bool
}

func newTrack(layers ...*source) *track {
	t := &track{review: make(chan struct{}, 1)}
	t.all.Store(new([]*source))
	for _, l := range layers {
		t.add(l)
	}
	return t
}

// add has the track be made of one layer more, which all sinks may get.
func (t *track) add(l *source) {
	l.changed = t.changed
	t.mu.Lock()
	defer t.mu.Unlock()
	layers := append(slices.Clone(t.layers()), l)
	t.all.Store(&layers)
	for _, k := range t.sinks {
		l.attach(k)
	}
	if t.closed {
		l.close()
	}
}

// layers are in the order in which they were offered. The slice is not to be changed.
func (t *track) layers() []*source { return *t.all.Load() }

// changed has the layers looked at soon. It never blocks.
func (t *track) changed() { signal(t.review) }

// layer returns the source for a stream of the publisher, nil when there is none of this name.
func (t *track) layer(rid string) *source {
	for _, l := range t.layers() {
		if l.rid == rid {
			return l
		}
	}
	return nil
}

// run decides for layers until ctx ends.
func (t *track) run(ctx context.Context) {
	ticker := time.NewTicker(reviewInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-t.review:
		}
		t.decide(time.Now())
	}
}

// decide aims every sink at its layer.
func (t *track) decide(now time.Time) {
	t.mu.Lock()
	sinks := slices.Clone(t.sinks)
	t.mu.Unlock()
	sources := t.layers()
	layers := lookAll(sources, now)
	for _, k := range sinks {
		k.choose(sources, layers, now)
	}
}

// choose decides for one of the layers, of which it is told how they are: the best for the size that the subscriber shows, and
// where its bandwidth is estimated the best of those that get through.
func (k *sink) choose(sources []*source, layers []layer, now time.Time) {
	if len(sources) == 1 {
		k.aimAt(sources[0]) // whether it flows or not
		return
	}
	best := chooseLayer(layers, k.shown())
	if best < 0 {
		return // none flows
	}
	if k.bandwidth != nil {
		current := slices.Index(sources, k.sends())
		affordable, next := affordLayer(layers, best, current, k.bandwidth.estimate())
		if rate := probeFactor * float64(next); next > 0 && k.bandwidth.due(rate, now) {
			k.probes(rate)
		}
		best = affordable
	}
	k.aimAt(sources[best])
}

func lookAll(sources []*source, now time.Time) []layer {
	layers := make([]layer, len(sources))
	for i, l := range sources {
		layers[i] = l.look(now)
	}
	return layers
}

// look tells what a layer is like now.
func (s *source) look(now time.Time) layer {
	s.view.Lock()
	defer s.view.Unlock()
	return layer{size: s.size, rate: int(s.bitRate.Load()), flows: !s.arrived.IsZero() && now.Sub(s.arrived) < stalled}
}

// attach feeds the sink from now on; for video it starts at the next key frame, which is asked for.
func (t *track) attach(k *sink) {
	t.mu.Lock()
	t.sinks = append(t.sinks, k)
	sources := t.layers()
	t.mu.Unlock()
	for _, l := range sources {
		l.attach(k)
	}
	now := time.Now()
	k.choose(sources, lookAll(sources, now), now)
}

// detach ends what attach began. The sink gets nothing after it returns.
func (t *track) detach(k *sink) {
	t.mu.Lock()
	t.sinks = slices.DeleteFunc(t.sinks, func(other *sink) bool { return other == k })
	sources := t.layers()
	t.mu.Unlock()
	for _, l := range sources {
		l.detach(k)
	}
}

// served counts the subscribers that get each layer.
func (t *track) served() map[*source]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[*source]int)
	for _, k := range t.sinks {
		if src := k.sends(); src != nil {
			out[src]++
		}
	}
	return out
}

// close lets go of all packets. Nothing is received after it.
func (t *track) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	for _, l := range t.layers() {
		l.close()
	}
}

// layer is what decides whether a simulcast layer is taken.
type layer struct {
	size
	rate  int // bits per second over the newest second, 0 before it was measured
	flows bool
}

// fits tells whether the layer is large enough for pictures of the wanted size: at least 7/8 of it in both
// directions, a difference that nobody sees.
func (l layer) fits(wanted size) bool {
	return 8*l.width >= 7*wanted.width && 8*l.height >= 7*wanted.height
}

// chooseLayer picks the smallest layer that fits among those that flow, else the largest of them, which is also
// what a subscriber gets that wants no size. It returns -1 when none flows. Of equals the first one wins.
func chooseLayer(layers []layer, wanted size) int {
	best := -1
	for i, l := range layers {
		if l.flows && (best < 0 || l.better(layers[best], wanted)) {
			best = i
		}
	}
	return best
}

func (l layer) better(than layer, wanted size) bool {
	if wanted == (size{}) {
		return l.area() > than.area()
	}
	switch mine, its := l.fits(wanted), than.fits(wanted); {
	case mine && its:
		return l.area() < than.area()
	case mine != its:
		return mine
	default:
		return l.area() > than.area()
	}
}

// affordLayer picks the largest layer that is no larger than the one wanted and gets through at a rate; the smallest when
// none does. The one that is sent already needs no headroom. next is the rate of the next larger one, which would be
// taken if more got through, 0 when there is none.
func affordLayer(layers []layer, wanted, current, rate int) (affordable, next int) {
	affordable = wanted
	for i, l := range layers {
		if l.flows && l.area() < layers[affordable].area() {
			affordable = i
		}
	}
	for i, l := range layers {
		if !l.flows || l.area() > layers[wanted].area() || l.rate == 0 {
			continue
		}
		needs := headroom * float64(l.rate)
		if i == current {
			needs = float64(l.rate) / headroom
		}
		switch {
		case needs <= float64(rate):
			if l.area() > layers[affordable].area() {
				affordable = i
			}
		case next == 0 || l.rate < next:
			next = l.rate
		}
	}
	if l := layers[affordable]; next <= l.rate {
		next = 0 // a smaller one that takes more is no goal
	}
	return affordable, next
}
