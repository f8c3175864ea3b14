package link

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/footlight-live/footlight/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestShares measures what becomes of many packets, one every 2 ms.
func TestShares(t *testing.T) {
	const n = 200_000
	for name, test := range map[string]struct {
		conditions                Conditions
		lost, doubled, overtaken  float64 // shares
		run                       float64 // mean length of losses
		shortest, longest, spread time.Duration
	}{
		"perfect":   {run: math.NaN()},
		"loss":      {conditions: Conditions{Loss: 0.05}, lost: 0.05, run: 1.05},
		"bursts":    {conditions: Conditions{Loss: 0.05, Burst: 8}, lost: 0.05, run: 8},
		"all lost":  {conditions: Conditions{Loss: 1}, lost: 1, run: n},
		"duplicate": {conditions: Conditions{Duplicate: 0.1}, doubled: 0.1, run: math.NaN()},
		"reorder":   {conditions: Conditions{Reorder: 0.02}, overtaken: 0.02, run: math.NaN(), longest: longestHold},
		"delay":     {conditions: Conditions{Delay: 30}, run: math.NaN(), shortest: 30 * time.Millisecond, longest: 30 * time.Millisecond},
		"jitter":    {conditions: Conditions{Jitter: 200}, run: math.NaN(), longest: 200 * time.Millisecond, spread: 150 * time.Millisecond},
		"blackout":  {conditions: Conditions{BlackoutEvery: 1000, BlackoutFor: 100}, lost: 0.1, run: 50},
		"cut":       {conditions: Conditions{Cut: true}, lost: 1, run: n},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Unix(1764000000, 0)
			p := newPath(7, start)
			var lost, runs, doubled, overtaken, inRow int
			var newest time.Time
			shortest, longest := time.Hour, time.Duration(0)
			for i := range n {
				now := start.Add(time.Duration(i) * 2 * time.Millisecond)
				due, copies := p.fate(test.conditions, true, now)
				if copies == 0 {
					if lost++; inRow == 0 {
						runs++
					}
					inRow++
					continue
				}
				inRow = 0
				if copies == 2 {
					doubled++
				}
				if late := due[0].Sub(now); late > time.Millisecond && test.overtaken > 0 {
					overtaken++
				}
				if test.overtaken == 0 && due[0].Before(newest) {
					t.Fatalf("packet %d overtakes", i)
				}
				newest = due[0]
				shortest, longest = min(shortest, due[0].Sub(now)), max(longest, due[0].Sub(now))
			}
			near := func(what string, got, want, off float64) {
				t.Helper()
				if math.Abs(got-want) > off*want+0.002 {
					t.Errorf("%s: %v, want %v", what, got, want)
				}
			}
			near("lost", float64(lost)/n, test.lost, 0.1)
			near("doubled", float64(doubled)/n, test.doubled, 0.1)
			near("overtaken", float64(overtaken)/n, test.overtaken, 0.15)
			if !math.IsNaN(test.run) {
				near("lost in a row", float64(lost)/float64(max(runs, 1)), test.run, 0.1)
			}
			if lost == n {
				return
			}
			if shortest < test.shortest || longest > test.longest || longest-shortest < test.spread {
				t.Errorf("the delay is %v to %v", shortest, longest)
			}
		})
	}
}

// TestOnlyMediaGetsLost keeps connections alive under loss: their checks pass.
func TestOnlyMediaGetsLost(t *testing.T) {
	p := newPath(1, time.Now())
	all := Conditions{Loss: 1, Duplicate: 1, Reorder: 1}
	if _, copies := p.fate(all, false, time.Now()); copies != 1 {
		t.Errorf("%d copies of a packet that is no media", copies)
	}
	for first, media := range map[byte]bool{0: false, 1: false, 20: false, 63: false, 128: true, 191: true, 192: false} {
		if isMedia([]byte{first}) != media {
			t.Errorf("first byte %d: media should be %v", first, media)
		}
	}
	if isMedia(nil) {
		t.Error("nothing is media")
	}
}

// pipe is a packet socket that brings what is written to it.
type pipe struct {
	net.PacketConn
	packets chan []byte
	closed  chan struct{}
}

func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	p.packets <- append([]byte(nil), b...)
	return len(b), nil
}

func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case packet := <-p.packets:
		return copy(b, packet), &net.UDPAddr{Port: 9}, nil
	case <-p.closed:
		return 0, nil, net.ErrClosed
	}
}

func (p *pipe) Close() error { close(p.closed); return nil }

// TestConn sends packets around through both directions: they come in order, as late as the delays say.
func TestConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := func() Conditions { return Conditions{Delay: 20, Jitter: 100} }
		down := func() Conditions { return Conditions{Delay: 10} }
		c := Wrap(&pipe{packets: make(chan []byte, 1000), closed: make(chan struct{})}, up, down)
		begin := time.Now()
		go func() {
			for i := range uint32(200) {
				packet := binary.BigEndian.AppendUint32([]byte{128}, i)
				if n, err := c.WriteTo(packet, &net.UDPAddr{}); n != 5 || err != nil {
					t.Errorf("wrote %d: %v", n, err)
				}
				time.Sleep(3 * time.Millisecond)
			}
		}()
		buffer := make([]byte, 100)
		for i := range uint32(200) {
			n, from, err := c.ReadFrom(buffer)
			late := time.Since(begin) - time.Duration(i)*3*time.Millisecond
			if n != 5 || err != nil || from == nil || binary.BigEndian.Uint32(buffer[1:]) != i || late < 30*time.Millisecond || late > 130*time.Millisecond {
				t.Fatalf("packet %d: % x after %v: %v", i, buffer[:n], late, err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, _, err := c.ReadFrom(buffer); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading after Close: %v", err)
		}
	})
}

// TestConnWithoutLinks passes packets on at once.
func TestConnWithoutLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Wrap(&pipe{packets: make(chan []byte, 10), closed: make(chan struct{})}, nil, nil)
		begin := time.Now()
		if _, err := c.WriteTo([]byte("hello"), nil); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 100)
		if n, _, err := c.ReadFrom(buffer); err != nil || string(buffer[:n]) != "hello" || time.Since(begin) != 0 {
			t.Errorf("read %q after %v: %v", buffer[:n], time.Since(begin), err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
