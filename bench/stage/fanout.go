package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
)

// Fanout is one level of the fan-out: a number of subscribers over a window of time.
type Fanout struct {
	Server      string  `json:"server"`
	Subscribers int     `json:"subscribers"`
	Packets     int64   `json:"packetsPerSecond"` // that arrived, all subscribers together
	Loss        float64 `json:"loss"`             // share of the packets sent that did not arrive
	CPU         float64 `json:"cpuPerPacketMicroseconds"`
	Cores       float64 `json:"cores"`     // that the server used
	Load        float64 `json:"loadCores"` // that publisher and subscribers used
	P50         float64 `json:"delayP50Milliseconds"`
	P99         float64 `json:"delayP99Milliseconds"`
}

const (
	window = 6 * time.Second
	// One of so many subscribers, in the order in which they joined, measures the delay: servers may serve them in that
	// order, and then the first ones know nothing of the last.
	probeEvery = 25
	holding    = 0.001
)

// hall is a running server with a camera and its subscribers.
type hall struct {
	target  target
	server  *process
	poller  *poller
	camera  *camera
	source  *peer
	mu      sync.Mutex
	viewers []*peer
	delays  *delays
}

func open(t target) (*hall, error) {
	h := &hall{target: t, delays: new(delays)}
	var err error
	if h.poller, err = newPoller(4 * time.Millisecond); err != nil {
		return nil, err
	}
	if h.server, err = t.start(); err != nil {
		return nil, err
	}
	if h.camera, err = newCamera(); err != nil {
		return nil, err
	}
	at, err := h.poller.listen(false)
	if err != nil {
		return nil, err
	}
	// livekit answers an offer only once the track sends.
	go h.camera.run()
	if h.source, err = t.publish(h.camera, at); err != nil {
		return nil, fmt.Errorf("publish to %s: %w", t.name(), err)
	}
	// The server may take a moment to see that the publisher is there.
	for retries := 20; ; retries-- {
		if err = h.join(0); err == nil {
			return h, nil
		}
		if retries == 0 {
			return nil, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (h *hall) close() {
	h.camera.close()
	var closing sync.WaitGroup
	for _, v := range h.viewers {
		closing.Go(v.close)
	}
	closing.Wait()
	h.source.close()
	h.server.stop()
	h.poller.close()
}

func (h *hall) join(n int) error {
	probe := n%probeEvery == probeEvery/2
	at, err := h.poller.listen(probe)
	if err != nil {
		return err
	}
	p, err := h.target.subscribe(n, at)
	if err != nil {
		return fmt.Errorf("subscriber %d of %s: %w", n, h.target.name(), err)
	}
	if probe {
		p.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { h.delays.read(track, at) })
	}
	h.mu.Lock()
	h.viewers = append(h.viewers, p)
	h.mu.Unlock()
	return nil
}

// grow brings the number of subscribers up, a few at a time.
func (h *hall) grow(to int) error {
	limit := make(chan struct{}, 8)
	errs := make(chan error, max(to, 1))
	var work sync.WaitGroup
	for n := len(h.viewers); n < to; n++ {
		limit <- struct{}{}
		work.Go(func() {
			defer func() { <-limit }()
			errs <- h.join(n)
		})
	}
	work.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// measure looks at one level for a window.
func (h *hall) measure() Fanout {
	time.Sleep(2 * time.Second) // what joining has stirred up
	type count struct{ expected, received int64 }
	before := make([]count, len(h.viewers))
	for i, v := range h.viewers {
		before[i].expected, before[i].received = v.port.rtp.read()
	}
	h.delays.reset()
	sent, cpu, load, start := h.camera.sent.Load(), h.server.cpu(), self().cpu(), time.Now()
	time.Sleep(window)
	elapsed := time.Since(start)
	sent, cpu, load = h.camera.sent.Load()-sent, h.server.cpu()-cpu, self().cpu()-load
	var lost, received int64
	for i, v := range h.viewers {
		e, r := v.port.rtp.read()
		e, r = e-before[i].expected, r-before[i].received
		received += r
		// Holes in the numbers, and what is missing without leaving a hole; at the edges a few are on their way.
		lost += max(e-r, sent-r-10, 0)
	}
	f := Fanout{
		Server: h.target.name(), Subscribers: len(h.viewers), Packets: received * int64(time.Second) / int64(elapsed),
		Loss:  float64(lost) / float64(sent*int64(len(h.viewers))),
		CPU:   float64(cpu.Microseconds()) / float64(max(received, 1)),
		Cores: cpu.Seconds() / elapsed.Seconds(), Load: load.Seconds() / elapsed.Seconds(),
	}
	f.P50, f.P99 = h.delays.percentiles()
	return f
}

// fanout finds how many subscribers hold, and measures the delay at half of that.
func fanout(t target, levels []int, say func(Fanout)) ([]Fanout, error) {
	h, err := open(t)
	if err != nil {
		return nil, err
	}
	defer h.close()
	var out []Fanout
	for _, n := range levels {
		if err := h.grow(n); err != nil {
			fmt.Println(err)
			break
		}
		f := h.measure()
		say(f)
		out = append(out, f)
		if f.Loss > 10*holding {
			break
		}
	}
	return out, nil
}

// delays are the forwarding delays that the probes measure: from the moment before the publisher hands the packet to its
// connection until the subscriber's kernel has it.
type delays struct {
	mu  sync.Mutex
	all []float64 // milliseconds
}

func (d *delays) read(track *webrtc.TrackRemote, at *port) {
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		if len(p.Payload) < 8 {
			continue
		}
		sent := int64(binary.BigEndian.Uint64(p.Payload[len(p.Payload)-8:]))
		arrived := at.arrival[p.SequenceNumber]
		if ms := float64(arrived-sent) / 1e6; arrived != 0 && ms > 0 && ms < 10_000 {
			d.mu.Lock()
			d.all = append(d.all, ms)
			d.mu.Unlock()
		}
	}
}

func (d *delays) reset() {
	d.mu.Lock()
	d.all = nil
	d.mu.Unlock()
}

func (d *delays) percentiles() (p50, p99 float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.all) == 0 {
		return 0, 0
	}
	slices.Sort(d.all)
	return d.all[len(d.all)/2], d.all[len(d.all)*99/100]
}
