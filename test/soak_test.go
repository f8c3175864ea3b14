package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/internal/synth/link"
	"github.com/footlight-live/footlight/test/harness"
)

// TestSoak lets people come, go, fall silent, change their picture and lose packets at random for as long as the
// variable FOOTLIGHT_SOAK says (`make soak`: 30m), judges every moment, and watches what the programs hold.
// FOOTLIGHT_SOAK_SEED repeats a run.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("FOOTLIGHT_SOAK"))
	if err != nil {
		t.Skip("FOOTLIGHT_SOAK says for how long, for example 30m")
	}
	seed, err := strconv.ParseUint(os.Getenv("FOOTLIGHT_SOAK_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("FOOTLIGHT_SOAK_SEED=%d", seed)
	s := harness.StartServer(t)
	stage := s.CreateStage("soak")
	s.Publish(stage, ada, "Ada")
	s.WaitPublishing(stage, 1)
	k := &soak{t: t, server: s, stage: stage, random: rand.New(rand.NewPCG(seed, 0)), people: []*person{{index: ada}}}
	p := plan{}
	for range max(4, int(length/(reaction+soakHold))) {
		p.steps = append(p.steps, k.step())
	}
	p.carryOut(t, s, stage)
	k.judgeHoldings()
}

const (
	soakHold = 2 * time.Second
	crowd    = 4 // at most on stage
)

// soak plans at random: step says what happens and what must be seen, before any of it happens.
type soak struct {
	t      *testing.T
	server *harness.Server
	stage  *types.Stage
	random *rand.Rand
	people []*person // in order of arrival, Ada first
	steps  int

	held []holding // one per step
}

// person is somebody on stage, as planned.
type person struct {
	index     int
	faults    synth.Faults
	muted     synth.Muted
	publisher *synth.Publisher // from the moment of joining
}

// holding is what the programs hold at a moment.
type holding struct {
	serverMiB, composerMiB     float64
	goroutines                 float64
	serverFiles, composerFiles int
}

// step plans one action, and what it makes of the picture.
func (k *soak) step() step {
	k.steps++
	name, act := k.action()
	st := step{name: fmt.Sprintf("step %d, %s", k.steps, name), holds: soakHold}
	ps := make([]layout.Participant, len(k.people))
	for i, p := range k.people {
		ps[i] = camera(strconv.Itoa(i), nil)
		if !p.faults.Silent && !p.muted.Audio {
			st.hears = append(st.hears, p.index)
		}
	}
	slices.Sort(st.hears)
	for i, place := range harness.Tiles(layout.Default(), ps...) {
		p := k.people[i]
		st.sees = append(st.sees, sight{p.index, place, p.faults.Silent || p.faults.PauseVideo || p.muted.Video})
	}
	st.act = func() {
		act()
		k.held = append(k.held, k.hold())
	}
	return st
}

// action plans what happens next.
func (k *soak) action() (string, func()) {
	if k.steps == 1 {
		return "Ada is alone", func() {}
	}
	if n := len(k.people); n == 1 || n < crowd && k.random.IntN(3) == 0 {
		index := 1
		for slices.ContainsFunc(k.people, func(p *person) bool { return p.index == index }) {
			index++
		}
		p := &person{index: index}
		k.people = append(k.people, p)
		return fmt.Sprintf("%d joins", index), func() {
			p.publisher = k.server.Publish(k.stage, index, strconv.Itoa(index))
			k.server.WaitPublishing(k.stage, n+1)
		}
	}
	i := 1 + k.random.IntN(len(k.people)-1)
	p := k.people[i]
	p.faults, p.muted = synth.Faults{}, synth.Muted{}
	name := "does well"
	switch k.random.IntN(9) {
	case 0:
		k.people = slices.Delete(k.people, i, i+1)
		n := len(k.people)
		return fmt.Sprintf("%d leaves", p.index), func() {
			p.publisher.Close()
			k.server.WaitPublishing(k.stage, n)
		}
	case 1:
		p.faults, name = synth.Faults{Silent: true}, "falls silent"
	case 2:
		p.faults, name = synth.Faults{PauseVideo: true}, "stops the camera"
	case 3:
		p.muted, name = synth.Muted{Audio: true}, "mutes the microphone"
	case 4:
		p.muted, name = synth.Muted{Video: true}, "mutes the camera"
	case 5:
		p.faults, name = synth.Faults{Up: link.Conditions{Loss: 0.02}}, "loses 2 % of the packets"
	case 6:
		p.faults, name = synth.Faults{Up: link.Conditions{Jitter: 50}}, "has 50 ms of jitter"
	case 7:
		p.faults, name = synth.Faults{Width: 320, Height: 180}, "sends 320x180"
	}
	faults, muted := p.faults, p.muted
	return fmt.Sprintf("%d %s", p.index, name), func() {
		p.publisher.SetFaults(faults)
		p.publisher.SetMuted(muted)
	}
}

// hold measures both programs.
func (k *soak) hold() holding {
	var h holding
	h.serverMiB, h.serverFiles = k.process(k.server.PID())
	for _, pid := range k.server.Composers() {
		mib, files := k.process(pid)
		h.composerMiB += mib
		h.composerFiles += files
	}
	metrics, err := harness.Get(context.Background(), k.server.URL+"/metrics")
	if err != nil {
		k.t.Errorf("read the metrics: %v", err)
	}
	for line := range strings.Lines(metrics) {
		if rest, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			h.goroutines, _ = strconv.ParseFloat(strings.TrimSpace(rest), 64)
		}
	}
	return h
}

// process is a program's resident memory and the number of its open files.
func (k *soak) process(pid int) (mib float64, files int) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	statm, err := os.ReadFile(filepath.Join(dir, "statm"))
	if err != nil {
		k.t.Errorf("process %d: %v", pid, err)
		return 0, 0
	}
	if fields := strings.Fields(string(statm)); len(fields) > 1 {
		pages, _ := strconv.Atoi(fields[1])
		mib = float64(pages*os.Getpagesize()) / (1 << 20)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		k.t.Errorf("process %d: %v", pid, err)
	}
	return mib, len(entries)
}

// judgeHoldings compares the last quarter of the run with the second one: neither program may grow.
func (k *soak) judgeHoldings() {
	quarter := len(k.held) / 4
	if quarter == 0 {
		return
	}
	most := func(from int, of func(holding) float64) (value float64) {
		for _, h := range k.held[from : from+quarter] {
			value = max(value, of(h))
		}
		return value
	}
	for _, figure := range []struct {
		name  string
		slack float64
		of    func(holding) float64
	}{
		{"server MiB", 30, func(h holding) float64 { return h.serverMiB }},
		{"composer MiB", 30, func(h holding) float64 { return h.composerMiB }},
		{"server goroutines", 60, func(h holding) float64 { return h.goroutines }},
		{"server files", 20, func(h holding) float64 { return float64(h.serverFiles) }},
		{"composer files", 20, func(h holding) float64 { return float64(h.composerFiles) }},
	} {
		early, late := most(quarter, figure.of), most(len(k.held)-quarter, figure.of)
		k.t.Logf("%s: at most %.0f in the second quarter, %.0f in the last", figure.name, early, late)
		if late > early+figure.slack {
			k.t.Errorf("%s grew from %.0f to %.0f", figure.name, early, late)
		}
	}
}
