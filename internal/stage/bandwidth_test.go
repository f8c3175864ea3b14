package stage

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
)

// path is the network between the stage and a subscriber: a queue that empties at a rate, then a way of fixed length,
// on which some packets get lost. All of it on a clock of its own.
type path struct {
	bandwidth *bandwidth
	now       time.Time
	rate      float64 // bits per second
	loss      float64
	jitter    time.Duration
	way       time.Duration // one way
	longest   time.Duration // of the queue; what comes then is lost

	free     time.Time // when the queue is empty
	recorder *twcc.Recorder
	arriving []arrival
	random   *rand.Rand
	reports  []sentReport
}

type arrival struct {
	sequence uint16
	at       time.Time
}

type sentReport struct {
	packets []rtcp.Packet
	at      time.Time
}

func newPath(rate float64) *path {
	now := time.Unix(1_700_000_000, 0)
	return &path{
		bandwidth: newBandwidth(now), now: now, free: now, rate: rate, way: 40 * time.Millisecond, longest: 500 * time.Millisecond,
		recorder: twcc.NewRecorder(1), random: rand.New(rand.NewPCG(1, 2)),
	}
}

func (p *path) send(payload int) {
	sequence := p.bandwidth.sent(payload, p.now)
	if p.free.Before(p.now) {
		p.free = p.now
	}
	if p.free.Sub(p.now) > p.longest || p.random.Float64() < p.loss {
		return
	}
	p.free = p.free.Add(time.Duration(float64(8*(payload+overhead)) / p.rate * 1e9))
	at := p.free.Add(p.way)
	if p.jitter > 0 {
		at = at.Add(time.Duration(p.random.Int64N(int64(p.jitter))))
	}
	p.arriving = append(p.arriving, arrival{sequence, at})
}

// step lets time pass and reports travel.
func (p *path) step(d time.Duration, feedback bool) {
	p.now = p.now.Add(d)
	slices.SortStableFunc(p.arriving, func(a, b arrival) int { return a.at.Compare(b.at) })
	for len(p.arriving) > 0 && !p.arriving[0].at.After(p.now) {
		p.recorder.Record(1, p.arriving[0].sequence, p.arriving[0].at.UnixMicro())
		p.arriving = p.arriving[1:]
	}
	if feedback {
		p.reports = append(p.reports, sentReport{p.recorder.BuildFeedbackPacket(), p.now.Add(p.way)})
	}
	for len(p.reports) > 0 && !p.reports[0].at.After(p.now) {
		for _, r := range p.reports[0].packets {
			b, err := r.Marshal()
			if err != nil {
				panic(err)
			}
			var cc rtcp.TransportLayerCC
			if err := cc.Unmarshal(b); err != nil {
				panic(err)
			}
			p.bandwidth.feedback(&cc, p.now)
		}
		p.reports = p.reports[1:]
	}
}

// watch has a subscriber get one of three layers for some seconds and returns which one it was at the end of each, 0 for
// the smallest.
func (p *path) watch(seconds int) string {
	layers := []layer{
		{size: size{1280, 720}, rate: 1_700_000, flows: true},
		{size: size{640, 360}, rate: 700_000, flows: true},
		{size: size{320, 180}, rate: 200_000, flows: true},
	}
	var out strings.Builder
	current, owed, extra := 2, 0.0, 0.0
	probe := time.Time{}
	probeRate, probed := 0.0, 0
	for tick := range seconds * 200 {
		if tick%100 == 0 {
			affordable, next := affordLayer(layers, 0, current, p.bandwidth.estimate())
			current = affordable
			if rate := probeFactor * float64(next); next > 0 && p.bandwidth.due(rate, p.now) {
				probe, probeRate, probed, extra = p.now, rate, 0, 0
			}
		}
		for owed += float64(layers[current].rate) / 200; owed > 8*1000; owed -= 8 * 1000 {
			p.send(1000)
		}
		if !probe.IsZero() {
			for extra += (probeRate - float64(layers[current].rate)) / 200; extra > 8*1000; extra -= 8 * 1000 {
				p.send(1000)
				probed += 1000
			}
			if p.now.Sub(probe) >= probeLength {
				p.bandwidth.ended(probeRate, probed, p.now)
				probe = time.Time{}
			}
		}
		p.step(5*time.Millisecond, tick%20 == 0)
		if tick%200 == 199 {
			fmt.Fprint(&out, 2-current)
		}
	}
	return out.String()
}

func TestBandwidth(t *testing.T) {
	share := func(got string, layer string) float64 { return float64(strings.Count(got, layer)) / float64(len(got)) }
	t.Run("ramps up", func(t *testing.T) {
		p := newPath(10_000_000)
		if got := p.watch(10); got[0] != '0' || !strings.HasSuffix(got, "2222") {
			t.Errorf("layers by second: %s", got)
		}
	})
	t.Run("takes what fits", func(t *testing.T) {
		for _, c := range []struct {
			rate  float64
			layer string
		}{{250_000, "0"}, {600_000, "0"}, {1_000_000, "1"}, {1_600_000, "1"}, {3_000_000, "2"}} {
			p := newPath(c.rate)
			if got := p.watch(120); share(got[10:], c.layer) < 0.95 {
				t.Errorf("at %.0f: layers by second: %s", c.rate, got)
			}
		}
	})
	t.Run("gives way and comes back", func(t *testing.T) {
		p := newPath(10_000_000)
		p.watch(10)
		p.rate = 400_000
		if got := p.watch(10); share(got[3:], "0") < 1 {
			t.Errorf("after the connection shrank: %s", got)
		}
		p.rate = 10_000_000
		if got := p.watch(60); share(got[35:], "2") < 1 {
			t.Errorf("after it grew: %s", got)
		}
	})
	t.Run("bears loss that is no congestion", func(t *testing.T) {
		p := newPath(10_000_000)
		p.loss, p.jitter = 0.1, 20*time.Millisecond
		if got := p.watch(60); share(got[15:], "2") < 0.95 {
			t.Errorf("with 10 %% of loss: %s", got)
		}
	})
	t.Run("heeds loss where nothing queues", func(t *testing.T) {
		p := newPath(1_000_000)
		p.longest = 20 * time.Millisecond
		if got := p.watch(60); share(got[10:], "2") > 0.1 {
			t.Errorf("with a short queue: %s", got)
		}
	})
}

// FuzzTransportFeedback takes any report.
func FuzzTransportFeedback(f *testing.F) {
	p := newPath(1_000_000)
	for range 50 {
		p.send(1000)
		p.step(5*time.Millisecond, false)
	}
	for _, r := range p.recorder.BuildFeedbackPacket() {
		b, err := r.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint16(20))
	}
	f.Fuzz(func(t *testing.T, data []byte, packets uint16) {
		now := time.Unix(1_700_000_000, 0)
		b := newBandwidth(now)
		buffer := &feedbackBuffer{subscriber: &subscriber{bandwidth: b}}
		for range packets % 1000 {
			b.sent(1000, now)
			now = now.Add(time.Millisecond)
		}
		b.due(1e9, now)
		if len(data) >= 2 {
			data[0], data[1] = 0x80|rtcp.FormatTCC, byte(rtcp.TypeTransportSpecificFeedback)
			for range 2 {
				if _, err := buffer.Write(data); err != nil && len(data) >= 4 {
					t.Error(err)
				}
				if e := b.estimate(); e < leastRate || e > 1e12 {
					t.Errorf("estimates %d", e)
				}
				b.due(1e9, now)
				b.ended(1e9, 1000, now)
			}
		}
	})
}
