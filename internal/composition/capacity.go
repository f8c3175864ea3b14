package composition

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// What a composition costs, in cores, as a rule of thumb that is rather too high: 0.54 for four 640x360 publishers
// on 1280x720 at 30 frames per second, where the whole composer took 0.40 to 0.51 on two cores of an AMD EPYC that had
// other work, and 1.0 for twelve. Twelve 720p publishers without simulcast may take a tenth more. It decides only until
// a composer has run for a while: then its own measurement does.
const (
	coresAlways       = 0.05             // sound, sockets
	coresPerMegapixel = 0.009            // drawn and encoded, per second
	coresPerPublisher = 0.06             // received and decoded
	coresShare        = 0.9              // of the machine, by default for composers
	youth             = 15 * time.Second // for which a composer's own measurement does not count alone
)

// demand is what a composition is expected to cost, in cores. Equal pictures are encoded once.
func demand(r Record, publishers int) float64 {
	cores := coresAlways + coresPerPublisher*float64(publishers)
	var seen []Video
	for _, d := range r.Destinations {
		if d.State.Ended() || slices.Contains(seen, d.Video) {
			continue
		}
		seen = append(seen, d.Video)
		cores += coresPerMegapixel * float64(d.Video.Width*d.Video.Height) * d.Video.FrameRate / 1e6
	}
	return cores
}

// Capacity is what composers, and others that reserve from it, may take of the machine, and what they take, in cores.
type Capacity struct {
	Cores float64 // that composers may take
	Used  float64 // measured, or for composers that are young the expected where that is more; and what is reserved
}

// Free is what a new composition may cost.
func (c Capacity) Free() float64 { return max(0, c.Cores-c.Used) }

// capacity is called with the lock held. all are the records.
func (m *Manager) capacity(all []Record) Capacity {
	c := Capacity{Cores: m.maxCores(), Used: m.reserved}
	for _, r := range all {
		if !r.State.Ended() {
			c.Used += m.uses(r)
		}
	}
	return c
}

// Reserve takes cores for what else shares the machine's capacity, until release is called. ErrCapacity says that there are
// not as many.
func (m *Manager) Reserve(cores float64) (release func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	all, err := m.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("reserve cores: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.capacity(all); cores > c.Free() {
		return nil, refuse(ErrCapacity, "about %.2f cores are needed, and %.2f of the %.2f are free: stop something else, or allow more with "+
			"`footlight serve --max-composer-cores`", cores, c.Free(), c.Cores)
	}
	m.reserved += cores
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.reserved -= cores
	}), nil
}

func (m *Manager) maxCores() float64 {
	return cmp.Or(m.MaxCores, coresShare*float64(runtime.GOMAXPROCS(0)))
}

// uses is what a composition takes of the machine.
func (m *Manager) uses(r Record) float64 {
	expected := demand(r, m.publishers(r.StageARN))
	l := m.lives[r.ID]
	if l == nil {
		return expected
	}
	v := l.vitals.Load()
	switch {
	case v == nil || v.heartbeat == nil:
		return expected
	case m.Now().Sub(v.since) < youth:
		return max(expected, v.cores)
	}
	return v.cores
}

// publishers is how many are counted with: at least one, since a composition without is none.
func (m *Manager) publishers(stageARN string) int {
	if m.Publishers == nil {
		return 1
	}
	return max(1, m.Publishers(stageARN))
}

// carries refuses what the machine cannot carry beside what runs. It is called with the lock held.
func (m *Manager) carries(all []Record, r Record) error {
	publishers := m.publishers(r.StageARN)
	need, c := demand(r, publishers), m.capacity(all)
	if need <= c.Free() {
		return nil
	}
	return refuse(ErrCapacity, "The composition needs about %.2f cores for %s and %s, and %.2f of the %.2f cores for compositions are free: "+
		"stop another composition, choose fewer pixels or frames per second, or allow more with `footlight serve --max-composer-cores`",
		need, people(publishers), pictures(r), c.Free(), c.Cores)
}

// pictures says what is to be encoded.
func pictures(r Record) string {
	var all []string
	for _, d := range r.Destinations {
		all = append(all, fmt.Sprintf("%dx%d at %g frames per second", d.Video.Width, d.Video.Height, d.Video.FrameRate))
	}
	return strings.Join(slices.Compact(all), " and ")
}

func people(publishers int) string {
	if publishers == 1 {
		return "1 publisher"
	}
	return fmt.Sprintf("%d publishers", publishers)
}
