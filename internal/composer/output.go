package composer

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/footlight-live/footlight/internal/composer/clock"
	"github.com/footlight-live/footlight/internal/composer/wire"
)

// packet is one coded frame on its way to destinations, which share it: nobody changes it.
type packet struct {
	video bool
	key   bool
	pts   time.Duration // composer time; decoding time is the same
	data  []byte        // AVCC for video, a raw frame for AAC
	made  time.Duration // composer time when it was encoded
}

const (
	// outputQueue is how many frames may wait for the network: about four seconds of 30 pictures and 47
	// audio frames a second.
	outputQueue = 320
	// giveUpAfter is for how long a destination is tried before it FAILED (spec: composition §3).
	giveUpAfter = 60 * time.Second
	// busyFor is for how long a channel that has another publisher is tried: after a crash the server may
	// still hold our own previous connection.
	busyFor = 5 * time.Second
	// flushTime bounds what is sent after a stop.
	flushTime = 2 * time.Second
)

// retryPauses are the pauses between attempts; the last one repeats.
var retryPauses = []time.Duration{250 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second}

// output sends to one destination. Its goroutine, run, owns the connection; canvas and sound loop offer frames.
type output struct {
	job    wire.OutputJob
	header headers // set before run starts
	clock  *clock.Clock
	meters *meters
	report func(wire.Destination)
	log    *slog.Logger
	queue  chan *packet

	bytes, retries atomic.Uint64

	mu      sync.Mutex
	open    bool // connected
	started bool // took a key frame since it opened or overflowed
	from    time.Duration
	dropped uint64
	logged  time.Time
}

// figures are for the heartbeat.
func (o *output) figures() wire.DestinationFigure {
	o.mu.Lock()
	defer o.mu.Unlock()
	return wire.DestinationFigure{ID: o.job.DestinationID, Bytes: o.bytes.Load(), Dropped: o.dropped, Queue: len(o.queue), Retries: int(o.retries.Load())}
}

// wants tells whether frames are of use, and whether nothing but a key frame is.
func (o *output) wants() (frames, key bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	begins := o.open && !o.started && o.hasRoom()
	return o.open && o.started || begins, begins
}

// hasRoom tells whether there is enough room to begin with a key frame.
func (o *output) hasRoom() bool { return len(o.queue) <= outputQueue/2 }

// offer takes a frame if there is room. When there is not, it drops up to the first key frame with much room.
func (o *output) offer(p *packet) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.open {
		return
	}
	if !o.started {
		if !p.video || !p.key || !o.hasRoom() {
			o.dropped++
			return
		}
		o.started, o.from = true, p.pts
	}
	if !p.video && p.pts < o.from {
		return
	}
	select {
	case o.queue <- p:
	default:
		o.started = false
		o.dropped++
		if now := time.Now(); now.Sub(o.logged) > time.Second {
			o.logged = now
			o.log.Warn("destination is too slow: dropping to the next key frame", "dropped", o.dropped)
		}
	}
}

func (o *output) setOpen(open bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open, o.started = open, false
	for open && len(o.queue) > 0 {
		<-o.queue
	}
}

// run connects and sends until ctx ends at once, or stop asks for a graceful end, or the destination failed.
func (o *output) run(ctx context.Context, stop <-chan struct{}) {
	o.report(wire.Destination{ID: o.job.DestinationID, State: wire.Connecting})
	retries, since, was := 0, time.Now(), wire.Connecting
	for {
		began := time.Now()
		sent, err := o.publish(ctx, stop, func() {
			was = wire.Active
			o.report(wire.Destination{ID: o.job.DestinationID, State: wire.Active, Retries: retries})
			o.log.Info("destination is active", "retries", retries)
		})
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			o.report(wire.Destination{ID: o.job.DestinationID, State: wire.Ended, Retries: retries})
			o.log.Info("destination has ended")
			return
		}
		if sent {
			since = time.Now()
			if time.Since(began) > giveUpAfter {
				retries = 0
			}
		}
		o.log.Warn("destination is not connected", "reason", err, "retries", retries)
		busy, patience := isBusy(err), giveUpAfter
		if busy && was == wire.Connecting {
			patience = busyFor
		}
		refusal, final := wire.ParseRefusal(err.Error())
		if time.Since(since) >= patience || final && was == wire.Connecting {
			d := wire.Destination{ID: o.job.DestinationID, State: wire.Failed, Code: "InternalServerException", Reason: "Service internal error", Retries: retries}
			if busy {
				d.Code, d.Reason = "ConflictException", "Stream already exists"
			}
			if final {
				d.Code, d.Reason = refusal.Code, refusal.Reason
			}
			o.report(d)
			o.log.Error("destination has failed", "code", d.Code, "reason", err)
			return
		}
		if sent {
			was = wire.Reconnecting
			o.report(wire.Destination{ID: o.job.DestinationID, State: wire.Reconnecting, Reason: err.Error(), Retries: retries})
		}
		pause := retryPauses[min(retries, len(retryPauses)-1)]
		retries++
		o.retries.Add(1)
		select {
		case <-time.After(min(pause, max(patience-time.Since(since), retryPauses[0]))):
		case <-stop:
			o.report(wire.Destination{ID: o.job.DestinationID, State: wire.Ended, Retries: retries})
			return
		case <-ctx.Done():
			return
		}
	}
}

// publish sends over one connection. It returns nil only after a graceful end; sent tells whether any
// frame went out, which active was called for.
func (o *output) publish(ctx context.Context, stop <-chan struct{}, active func()) (sent bool, err error) {
	dialing, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-dialing.Done():
		}
	}()
	conn, err := dialRTMP(dialing, o.job, o.header)
	if err != nil {
		select {
		case <-stop:
			return false, nil
		default:
			return false, err
		}
	}
	o.setOpen(true)
	defer o.setOpen(false)
	for {
		select {
		case p := <-o.queue:
			if err := o.send(conn, p); err != nil {
				conn.close()
				return sent, err
			}
			if !sent {
				sent = true
				active()
			}
		case <-conn.readable():
			if err := conn.hear(); err != nil {
				conn.close()
				return sent, err
			}
		case <-stop:
			o.flush(conn)
			conn.bye(o.job.StreamKey)
			return sent, nil
		case <-ctx.Done():
			conn.close()
			return sent, ctx.Err()
		}
	}
}

func (o *output) send(conn *rtmpConn, p *packet) error {
	if err := conn.send(p); err != nil {
		return err
	}
	now := o.clock.Now()
	o.meters.publish.add(now, now-p.made)
	o.bytes.Add(uint64(len(p.data)))
	return nil
}

// flush sends what still waits. Canvas and sound have ended before.
func (o *output) flush(conn *rtmpConn) {
	until := time.Now().Add(flushTime)
	for time.Now().Before(until) {
		select {
		case p := <-o.queue:
			if o.send(conn, p) != nil {
				return
			}
		default:
			return
		}
	}
}

// isBusy tells whether the server refused because somebody else publishes there. RTMP servers answer so with
// this code; ours has the same one for keys that open nothing, and says so.
func isBusy(err error) bool {
	return strings.Contains(err.Error(), "NetStream.Publish.BadName") && !strings.Contains(err.Error(), "unknown stream key")
}
