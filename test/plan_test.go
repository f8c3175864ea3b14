package test

import (
	"context"
	"fmt"
	"image"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// A plan is what people on a stage do, step after step, and what a player must get of each step. Ada, participant
// 0, is on stage from the first to the last step: the clock in her picture tells which moment each received
// picture shows, so that steps are told apart to the picture, whatever the player's delay.
type plan struct {
	start func(*ivsrealtime.StartCompositionInput) // adjusts the request; nil: as it is
	begun func(compositionARN string)              // called once it runs; may be nil
	steps []step
}

// step is one action and its outcome, which must hold from `reaction` after the action for `holds`.
type step struct {
	name  string
	act   func()
	sees  []sight // by participant; whoever is not named is nowhere
	hears []int   // whose tones are in the mix
	holds time.Duration
}

// sight is one participant's tile.
type sight struct {
	index int
	place image.Rectangle // of the whole picture
	blank bool            // a placeholder: nobody is recognised there
}

// ada is the participant whose clock counts.
const ada = 0

// reaction is how long a step may take to be in the picture: a publisher connects, a key frame comes, and one that
// is silent is given up after two seconds.
const reaction = 3 * time.Second

// afterglow is how long pictures of Ada's may take to be composed: until then the next step must not begin.
const afterglow = time.Second

// span is when a step's outcome must hold, by Ada's clock.
type span struct{ from, to time.Time }

// carryOut runs the plan against a composition of the stage, with a player recording, and judges.
func (p *plan) carryOut(t *testing.T, s *harness.Server, stage *types.Stage) {
	channel := s.CreateChannel("plan")
	start := []func(*ivsrealtime.StartCompositionInput){}
	if p.start != nil {
		start = append(start, p.start)
	}
	composition := s.StartComposition(stage, channel, s.CreateEncoder(1280, 720, 30, 2_500_000), start...)
	s.WaitDestination(composition.Arn, types.DestinationStateActive)
	if p.begun != nil {
		p.begun(*composition.Arn)
	}
	harness.WaitPlayable(t, *channel.PlaybackUrl)

	places := p.places()
	var shown atomic.Int64 // Ada's clock in the newest picture received, Unix milliseconds
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	recorded := make(chan *judge.Capture, 1)
	go func() {
		c, err := judge.Record(ctx, *channel.PlaybackUrl, time.Hour, judge.Options{
			Tiles: places, InputArgs: []string{"-live_start_index", "-1"},
			OnFrame: func(n int, luma *image.Gray) {
				if n%10 != 0 {
					return
				}
				for _, place := range places {
					if index, at, ok := judge.ReadStrip(luma, place); ok && index == ada {
						shown.Store(at)
						return
					}
				}
			},
		})
		if c == nil {
			t.Errorf("record: %v", err)
		}
		recorded <- c
	}()
	until := func(what string, at time.Time) {
		harness.Eventually(t, 60*time.Second, "the player shows "+what, func(context.Context) error {
			if now := time.UnixMilli(shown.Load()); now.Before(at) {
				return fmt.Errorf("it shows what Ada sent %.1f s before", at.Sub(now).Seconds())
			}
			return nil
		})
	}
	until("Ada", time.UnixMilli(1))
	spans := make([]span, len(p.steps))
	for i, st := range p.steps {
		st.act()
		begin := time.Now().Add(reaction)
		spans[i] = span{begin, begin.Add(st.holds)}
		<-time.After(time.Until(spans[i].to.Add(afterglow)))
	}
	until("the last step", spans[len(spans)-1].to)
	stop()
	c := <-recorded
	if c == nil {
		return
	}
	for i := range p.steps {
		p.steps[i].judge(t, c, places, spans[i])
	}
	cadence, notMade := c.Cadence(), s.MissedFrames(*composition.Arn)
	t.Logf("%d pictures, %d missing, of which %d were not made; %.0f ms the longest between two; gaps in each minute: %v",
		cadence.Frames, cadence.Missing, notMade, 1e3*cadence.Longest.Seconds(), perMinute(cadence.Gaps))
	// On a machine that is too slow pictures give way, never the sound, and the composition says how many.
	if cadence.Duplicates > 0 || cadence.Missing-notMade > cadence.Frames/2 || len(c.SoundGaps) > 0 {
		t.Errorf("cadence over all steps: %+v, gaps in the sound: %v", cadence, c.SoundGaps)
	}
	if sync := c.LipSync(ada); len(sync.Offsets) < 5 || sync.Fine.Abs() > 40*time.Millisecond {
		t.Errorf("Ada's lip sync: %+v", sync)
	}
	if _, err := s.RealTime.StopComposition(t.Context(), &ivsrealtime.StopCompositionInput{Arn: composition.Arn}); err != nil {
		t.Errorf("stop-composition: %v", err)
	}
	s.WaitComposition(composition.Arn, types.CompositionStateStopped)
}

// places is everywhere that somebody can be in the plan.
func (p *plan) places() []image.Rectangle {
	var all []image.Rectangle
	for _, st := range p.steps {
		for _, sight := range st.sees {
			if !slices.Contains(all, sight.place) {
				all = append(all, sight.place)
			}
		}
	}
	return all
}

// judge looks at the pictures whose Ada is of the span, and listens to the sound beside them.
func (st *step) judge(t *testing.T, c *judge.Capture, places []image.Rectangle, during span) {
	t.Helper()
	var frames []judge.Frame
	for _, f := range c.Frames {
		for _, tile := range f.Tiles {
			if tile.OK && tile.Index == ada {
				if at := time.UnixMilli(tile.TimeMS); at.After(during.from) && at.Before(during.to) {
					frames = append(frames, f)
				}
				break
			}
		}
	}
	if len(frames) < 4 {
		t.Errorf("%s: only %d pictures show it", st.name, len(frames))
		return
	}
	from, to := frames[0].PTS, frames[len(frames)-1].PTS
	defer func() {
		if t.Failed() {
			t.Logf("%s: seen were %+v", st.name, c.Presence(from, to))
		}
	}()
	for _, want := range st.sees {
		at := slices.Index(places, want.place)
		hits, strangers := 0, 0
		for _, f := range frames {
			switch r := f.Tiles[at]; {
			case r.OK && r.Index == want.index:
				hits++
			case r.OK:
				strangers++
			}
		}
		share := float64(hits) / float64(len(frames))
		if want.blank && (share > 0.2 || strangers > 0) {
			t.Errorf("%s: participant %d is at %v in %d of %d pictures, want a placeholder", st.name, want.index, want.place, hits+strangers, len(frames))
		}
		if !want.blank && (share < 0.7 || strangers > 0) {
			t.Errorf("%s: participant %d is at %v in %.0f %% of the pictures, somebody else in %d", st.name, want.index, want.place, 100*share, strangers)
		}
	}
	if heard := c.Tones(from, to); !slices.Equal(heard, st.hears) {
		t.Errorf("%s: the mix holds the tones of %v, want %v", st.name, heard, st.hears)
	}
}

// camera is a participant of the layout with a picture of 640x360, or of another size.
func camera(id string, attributes map[string]string, size ...int) layout.Participant {
	p := layout.Participant{ID: id, Attributes: attributes, HasVideo: true, VideoWidth: 640, VideoHeight: 360}
	if len(size) == 2 {
		p.VideoWidth, p.VideoHeight = size[0], size[1]
	}
	return p
}

// TestPlan follows who is in which tile and who is heard while people join, share a screen, mute, fall silent,
// turn their phone, and leave.
func TestPlan(t *testing.T) {
	const grace, share = 5, 7
	featured := map[string]string{"screen-share": "true"}
	cfg := layout.Default()
	cfg.FeaturedAttribute, cfg.Fill = "screen-share", layout.Contain
	alone := harness.Tiles(cfg, camera("ada", nil))
	two := harness.Tiles(cfg, camera("ada", nil), camera("grace", nil))
	turned := harness.Tiles(cfg, camera("ada", nil), camera("grace", nil, 360, 640))
	three := harness.Tiles(cfg, camera("ada", nil), camera("grace", nil), camera("share", featured, 1280, 720))

	s := harness.StartServer(t)
	stage := s.CreateStage("plan")
	s.Publish(stage, ada, "Ada")
	s.WaitPublishing(stage, 1)
	var graces, shares *synth.Publisher
	p := plan{
		start: func(in *ivsrealtime.StartCompositionInput) {
			in.Layout = &types.LayoutConfiguration{Grid: &types.GridConfiguration{
				FeaturedParticipantAttribute: new("screen-share"), VideoFillMode: types.VideoFillModeContain,
			}}
		},
		steps: []step{
			{"Ada is alone", func() {}, []sight{{ada, alone[0], false}}, []int{ada}, time.Second},
			{"Grace joins", func() {
				graces = s.Publish(stage, grace, "Grace")
				s.WaitPublishing(stage, 2)
			}, []sight{{ada, two[0], false}, {grace, two[1], false}}, []int{ada, grace}, time.Second},
			{"a screen is shared", func() {
				shares = s.Publish(stage, share, "screen", func(p *synth.Publisher) {
					p.Token = s.Token(stage, "screen", featured)
					p.Width, p.Height, p.FrameRate, p.VideoOnly, p.Content = 1280, 720, 10, true, synth.Screen
				})
				s.WaitPublishing(stage, 3)
			}, []sight{{ada, three[0], false}, {grace, three[1], false}, {share, three[2], false}}, []int{ada, grace}, time.Second},
			{"Grace mutes her camera", func() { graces.SetMuted(synth.Muted{Video: true}) },
				[]sight{{ada, three[0], false}, {grace, three[1], true}, {share, three[2], false}}, []int{ada, grace}, time.Second},
			{"Grace mutes her microphone instead", func() { graces.SetMuted(synth.Muted{Audio: true}) },
				[]sight{{ada, three[0], false}, {grace, three[1], false}, {share, three[2], false}}, []int{ada}, time.Second},
			{"Grace unmutes, and her connection stalls", func() {
				graces.SetMuted(synth.Muted{})
				graces.SetFaults(synth.Faults{Silent: true})
			},
				[]sight{{ada, three[0], false}, {grace, three[1], true}, {share, three[2], false}}, []int{ada}, time.Second},
			{"Grace is back", func() { graces.SetFaults(synth.Faults{}) },
				[]sight{{ada, three[0], false}, {grace, three[1], false}, {share, three[2], false}}, []int{ada, grace}, time.Second},
			{"the screen is no longer shared", func() {
				shares.Close()
				s.WaitPublishing(stage, 2)
			}, []sight{{ada, two[0], false}, {grace, two[1], false}}, []int{ada, grace}, time.Second},
			{"Grace turns her phone", func() { graces.SetFaults(synth.Faults{Width: 360, Height: 640}) },
				[]sight{{ada, turned[0], false}, {grace, turned[1], false}}, []int{ada, grace}, time.Second},
			{"Grace leaves", func() {
				graces.Close()
				s.WaitPublishing(stage, 1)
			}, []sight{{ada, alone[0], false}}, []int{ada}, time.Second},
		},
	}
	p.carryOut(t, s, stage)
}

// perMinute counts gaps.
func perMinute(gaps []judge.Gap) (counts []int) {
	for _, g := range gaps {
		for len(counts) <= int(g.At/time.Minute) {
			counts = append(counts, 0)
		}
		counts[g.At/time.Minute]++
	}
	return counts
}
